"""What a plan leaves out, and what that costs: private columns, and what waits for a person's word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from dataplatform.auto_dw.build.there import There
from dataplatform.auto_dw.judge.report import status
from dataplatform.auto_dw.judge.roles import BRIDGE, FACT, MEASURE
from dataplatform.auto_dw.judge.verdicts import ColumnVerdict, Evaluation, TableVerdict
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, Reference
from dataplatform.auto_dw.said.decisions import Treatment
from dataplatform.auto_dw.said.outcome import Judged
from dataplatform.auto_dw.styles.common import Design
from dataplatform.auto_dw.styles.masks import LEFT, kind_of
from dataplatform.auto_dw.styles.parents import DIMENSIONS, surrogate
from dataplatform.auto_dw.styles.private import Fate, fate

_BECOMES = {
    "drop": "stays out",
    "hash": "is hashed",
    "mask": "is masked",
    "keep": "is in the warehouse as it is",
}


@dataclass(frozen=True)
class PrivateColumn:
    """A private or secret column. `becomes`: keep, hash, mask or drop; `why`: it is held private.

    `impossible`: the questions that it can no longer answer; `instead`: what another policy would keep.
    """

    table: str
    column: str
    becomes: Treatment
    why: str
    impossible: str
    instead: str = ""

    def __str__(self) -> str:
        text = f"{self.table}.{self.column} {_BECOMES[self.becomes]} ({self.why})"
        text += f"; nobody can ask for {self.impossible}" if self.impossible else ""
        return f"{text}; {self.instead}" if self.instead else text


def private_columns(design: Design, tables: Sequence[str]) -> tuple[PrivateColumn, ...]:
    """Those of the tables given, under the policy that metadata/auto_dw.yaml says."""
    return tuple(
        _private(name, column, design.evaluation.tables[name].columns[column.name], found)
        for name in tables
        for column in design.schema.tables[name].columns
        if (found := fate(design, name, column.name)).private
    )


def _private(table: str, column: ColumnProfile, verdict: ColumnVerdict, found: Fate) -> PrivateColumn:
    evidence = "; ".join(verdict.sensitive_evidence) or ("a secret" if verdict.secret else "private")
    why = f"{evidence}; {found.note}" if found.note else evidence
    lost = _lost(table, column, verdict, found.how)
    instead = _instead(column, found) if not verdict.secret else ""
    return PrivateColumn(table, column.name, found.how, why, lost, instead)


def _lost(table: str, column: ColumnProfile, verdict: ColumnVerdict, how: Treatment) -> str:
    """Questions that nobody can ask any more."""
    name = column.name
    if how == "keep":
        return ""
    if verdict.verdict.role == MEASURE:
        return f"sums or averages of {name} over {table}"
    if how == "mask":
        return f"how many {name} there are in {table}, and joins by it"
    is_day = column.kind in (kinds.DATE, kinds.TIME)
    by = f"{table} by the day, month or year of {name}" if is_day else f"{table} by {name}"
    if how == "hash":
        return by if is_day else f"what {name} of {table} says, such as {LEFT[kind_of(column)]}"
    return by if is_day else f"{by}, how many of them there are, and joins by it"


def _instead(column: ColumnProfile, found: Fate) -> str:
    mask = f"mask keeps {LEFT[kind_of(column)]}"
    if found.how == "drop" and column.kind != kinds.BINARY:
        return f"hash keeps counts and joins, {mask}"
    if found.how == "hash" and not found.note:
        return mask
    return "hash keeps counts and joins" if found.how == "mask" else ""


# what waits


def waiting_tables(
    evaluation: Evaluation, built: frozenset[str], style: str, enough: Sequence[str]
) -> dict[str, str]:
    """Tables whose role is not sure, or the key that their models stand on; unless they are built already."""
    found: dict[str, str] = {}
    for name, table in evaluation.tables.items():
        if name in built:
            continue
        if status(table.verdict.confidence) not in enough:
            found[name] = f"{table.verdict.role}, {table.verdict.confidence:.2f}"
        elif _needs_key(table, style) and status(table.key_confidence) not in enough:
            found[name] = f"key {', '.join(table.primary_key)}, {table.key_confidence:.2f}"
    return found


def _needs_key(table: TableVerdict, style: str) -> bool:
    """A fact stands without a key, at the grain of its source's rows."""
    return bool(table.primary_key) and (style == "data_vault" or table.verdict.role not in (FACT, BRIDGE))


def without(judged: Judged, tables: Mapping[str, str]) -> Judged:
    """The same schema as if the tables were not there."""
    profiles, evaluation = judged.profiles, judged.evaluation
    seen = replace(profiles, tables={n: t for n, t in profiles.tables.items() if n not in tables})
    said = replace(
        evaluation,
        tables={n: t for n, t in evaluation.tables.items() if n not in tables},
        references=tuple(
            r for r in evaluation.references if r.table not in tables and r.ref_table not in tables
        ),
    )
    return Judged(seen, said)


def sure(evaluation: Evaluation, there: There, enough: Sequence[str]) -> Evaluation:
    """The evaluation with the references and keys that are sure, and those that models follow already."""
    tables = {
        name: table
        if status(table.key_confidence) in enough or there.has_key(name, table.primary_key)
        else replace(table, primary_key=())
        for name, table in evaluation.tables.items()
    }
    kept = [r for r in evaluation.references if status(r.confidence) in enough or there.follows(r)]
    return replace(evaluation, tables=tables, references=tuple(kept))


def told(design: Design, tables: Mapping[str, str], used: Evaluation) -> dict[str, str]:
    """What waits, and what an answer would add. `design` has all that is likely, `used` what the plan is made of."""
    found = {name: f"{why}; {_gain(design, name)}" for name, why in tables.items()}
    followed = {(r.table, r.columns) for r in used.references}
    for reference in _likely(design.evaluation):
        if (reference.table, reference.columns) in followed or {
            reference.table,
            reference.ref_table,
        } & tables.keys():
            continue
        where = f"{reference.table}.{', '.join(reference.columns)}"
        parent = f"{reference.ref_table}.{', '.join(reference.ref_columns)}"
        found[where] = f"refers to {parent}, {reference.confidence:.2f}; {_adds(design, reference)}"
    return found


def _likely(evaluation: Evaluation) -> Iterator[Reference]:
    """The references that were chosen, then those that are possible beside them and worth a question."""
    yield from evaluation.references
    yield from evaluation.possible


def _adds(design: Design, reference: Reference) -> str:
    model, parent = _model(design, reference.table), _model(design, reference.ref_table)
    if not model or not parent:
        return "as they are, nothing is made of it"
    key = surrogate(design, reference.ref_table) if design.role(reference.ref_table) in DIMENSIONS else ""
    return f"an answer adds {key or f'what {parent} has'} to {model}"


def _gain(design: Design, table: str) -> str:
    """The model of a table, and the keys that others gain."""
    into = sorted({_model(design, r.table) for r in _into(design, table)} - {""})
    model = _model(design, table)
    if not model:
        return "as it is, nothing is made of it"
    key = f", and {surrogate(design, table)} to {', '.join(into)}" if into else ""
    return f"an answer adds {model}{key}"


def _into(design: Design, table: str) -> Iterator[Reference]:
    return (r for r in design.evaluation.references if r.ref_table == table != r.table)


def _model(design: Design, table: str) -> str:
    kind = {"fact": "fact", "bridge": "bridge", "dimension": "dim", "lookup": "dim"}.get(design.role(table))
    if kind is None:
        return ""
    return design.name(kind if design.decisions.style == "kimball" else "sat", table)
