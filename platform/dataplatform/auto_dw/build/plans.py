"""What `go` would do: the models that a style makes of an evaluation, beside those that are there."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Engine

from dataplatform.auto_dw.build.left_out import (
    PrivateColumn,
    private_columns,
    sure,
    told,
    waiting_tables,
    without,
)
from dataplatform.auto_dw.build.there import CALENDAR, There, folder, others, there
from dataplatform.auto_dw.build.years import facts, forms_of, years_of
from dataplatform.auto_dw.judge.roles import ATTRIBUTE
from dataplatform.auto_dw.judge.verdicts import ColumnVerdict
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile
from dataplatform.auto_dw.said import decisions, outcome
from dataplatform.auto_dw.said.decisions import SchemaDecision
from dataplatform.auto_dw.said.outcome import Judged
from dataplatform.auto_dw.styles import calendar, data_vault, kimball
from dataplatform.auto_dw.styles.common import Design, ModelDraft, relation, untouched
from dataplatform.auto_dw.styles.private import fate
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.names import quote
from dataplatform.storage.postgres import connected

FEW = 8  # values of a column whose others are worth a warning
_STYLES = {"kimball": kimball.models, "data_vault": data_vault.models}


@dataclass(frozen=True)
class Plan:
    """What `go` would do. Paths are relative to the metadata folder; `before` and `after` texts by path."""

    schema: str
    style: str
    drafts: tuple[ModelDraft, ...]
    before: Mapping[str, str | None]
    after: Mapping[str, str | None]
    kept: tuple[str, ...]
    skipped: Mapping[str, str]
    rows: Mapping[str, int]
    waiting: Mapping[str, str]
    private: tuple[PrivateColumn, ...]

    @property
    def added(self) -> list[str]:
        return [p for p, text in self.after.items() if self.before[p] is None and text is not None]

    @property
    def removed(self) -> list[str]:
        return [p for p, text in self.after.items() if text is None]

    @property
    def changed(self) -> list[str]:
        return [p for p, text in self.after.items() if text is not None and self.before[p] is not None]

    def as_json(self) -> dict[str, Any]:
        changes = {"add": self.added, "change": self.changed, "remove": self.removed}
        return {
            "schema": self.schema,
            "style": self.style,
            "models": {
                **{change: [Path(p).stem for p in paths] for change, paths in changes.items()},
                "kept": list(self.kept),
            },
            "tables": {d.name: self._about(d) for d in self.drafts},
            "skipped": dict(self.skipped),
            "waiting": dict(self.waiting),
            "private": [asdict(column) for column in self.private],
            "diff": self.diff(),
        }

    def _about(self, draft: ModelDraft) -> dict[str, Any]:
        return {
            "kind": draft.kind,
            "source": draft.source,
            "columns": list(draft.columns),
            "measures": dict(draft.measures),
            "rows": self.rows.get(draft.source),
            "description": draft.description,
        }

    def diff(self) -> str:
        lines: list[str] = []
        for path, text in self.after.items():
            old, new = (self.before[path] or "").splitlines(), (text or "").splitlines()
            lines += difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm="")
        return "\n".join(lines)


def plan(workspace: Workspace, accept_amber: bool = False) -> Plan:
    """Compares what should be with what is there; writes nothing, neither here nor in what it calls."""
    return planned(workspace, outcome.judge(workspace), accept_amber)


def planned(workspace: Workspace, judged: Judged, accept_amber: bool = False) -> Plan:
    """The plan that follows from verdicts.

    A table, key or reference that is not sure waits for a person, unless it is built already; `accept_amber`: only
    where it is red.
    """
    root, schema = workspace.root, workspace.schema
    decided, enough = decisions.load(root).of(schema), ("green", "amber") if accept_amber else ("green",)
    now = there(root, schema, judged.profiles.tables)
    likely = _design(workspace, judged, decided, now)
    wait = waiting_tables(judged.evaluation, now.built, decided.style, enough)
    left = without(Judged(judged.profiles, sure(judged.evaluation, now, enough)), wait)
    design = _design(workspace, left, decided, now)
    drafts = _drafts(workspace, design, now)
    kept = tuple(p for p, text in now.texts.items() if not untouched(text))
    after = _after({_path(schema, d): d.text() for d in drafts}, now.texts, kept, folder(schema))
    rows = {n: t.rows for n, t in left.profiles.tables.items()}
    used = {d.source for d in drafts}.union(*(d.folds for d in drafts))
    return Plan(
        schema,
        decided.style,
        drafts,
        {p: now.texts.get(p) for p in after},
        after,
        kept,
        _skipped(left, drafts),
        rows,
        told(likely, wait, left.evaluation),
        private_columns(design, [n for n in rows if n in used]),
    )


def _skipped(judged: Judged, drafts: Sequence[ModelDraft]) -> dict[str, str]:
    """Tables that have no model, and why."""
    used = {d.source for d in drafts}
    folded = {name: [d.name for d in drafts if name in d.folds] for name in judged.evaluation.tables}
    return {
        name: f"its names are in {', '.join(folded[name])}"
        if folded[name]
        else f"{table.verdict.role}, {table.verdict.confidence:.2f}"
        for name, table in judged.evaluation.tables.items()
        if name not in used
    }


def _design(workspace: Workspace, judged: Judged, decided: SchemaDecision, now: There) -> Design:
    taken = _taken(workspace.root, workspace.schema)
    return Design(judged.profiles, judged.evaluation, decided, taken, called=now.called, alone=now.dimensions)


def _drafts(workspace: Workspace, design: Design, now: There) -> tuple[ModelDraft, ...]:
    if design.decisions.style == "kimball":
        roles = {name: design.role(name) for name in design.schema.tables}
        happen = facts(design.schema.tables, roles)
        forms = forms_of(happen, now)
        years = years_of(workspace.engine, happen, forms)
        design = replace(design, accepted=_accepted(workspace.engine, design), years=years, forms=forms)
    drafts = _STYLES[design.decisions.style](design)
    own = {_path(design.schema.name, d) for d in drafts}
    mine = [text for path, text in now.texts.items() if path in own and not untouched(text)]
    days, old = calendar.days_of([*others(workspace.root, workspace.schema), *mine])
    shared = calendar.calendar(days.union(*(d.known.days for d in drafts)), old)
    return (shared, *drafts) if shared else tuple(drafts)


def _after(
    wanted: Mapping[str, str], there: Mapping[str, str], kept: Sequence[str], inside: str
) -> dict[str, str | None]:
    """Texts of the models that would change; None: it would go. Those that a person has changed are left alone."""
    after: dict[str, str | None] = {p: t for p, t in wanted.items() if there.get(p) != t and p not in kept}
    gone = [p for p in there if p not in wanted and p not in kept and p.startswith(inside)]
    return after | dict.fromkeys(gone)


def _accepted(engine: Engine, design: Design) -> dict[tuple[str, str], tuple[str, ...]]:
    """Values of the columns that have few of them and many rows, none of them private: codes, states, kinds."""
    result: dict[tuple[str, str], tuple[str, ...]] = {}
    with connected(engine) as conn:
        for name, table in design.schema.tables.items():
            verdicts = design.evaluation.tables[name].columns
            for column in table.columns:
                private = fate(design, name, column.name).private
                if private or not _has_few_values(column, verdicts[column.name]):
                    continue
                query = f"select distinct {quote(column.name)}::text from {relation(table)} order by 1"
                values = [v for v in conn.exec_driver_sql(query).scalars() if v is not None]
                if len(values) <= FEW:
                    result[name, column.name] = tuple(values)
    return result


def _has_few_values(column: ColumnProfile, verdict: ColumnVerdict) -> bool:
    """Few of them on many rows."""
    few = 1 < column.distinct <= FEW and column.filled >= 20 * column.distinct and column.max_length <= 40
    return few and column.kind == kinds.TEXT and verdict.verdict.role == ATTRIBUTE


def _taken(root: Path, schema: str) -> frozenset[str]:
    """Names of the models that are not this schema's."""
    own = root / folder(schema)
    return frozenset(
        p.stem for p in (root / "gold").rglob("*.sql") if own not in p.parents and p.stem != "dim_date"
    )


def _path(schema: str, draft: ModelDraft) -> str:
    return CALENDAR if draft.name == "dim_date" else f"{folder(schema)}/{draft.name}.sql"
