"""plan, go and undo: the models that a style makes of an evaluation, as files, and the builds they came from."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.auto_dw import decisions as people
from dataplatform.auto_dw import service, state
from dataplatform.auto_dw.model import Evaluation, SchemaProfile
from dataplatform.auto_dw.styles import data_vault, kimball
from dataplatform.auto_dw.styles.common import Design, ModelDraft, snake, untouched
from dataplatform.auto_dw.styles.common import relation as source_of
from dataplatform.errors import DataplatformError, LoadError, MetadataError
from dataplatform.layers.gold import build as gold_build
from dataplatform.metadata import load_catalog
from dataplatform.names import qualified, quote
from dataplatform.storage.postgres import database_errors

log = logging.getLogger(__name__)
FEW = 8  # values of a column whose others are worth a warning
_COMPARED = {"fact": "", "bridge": "", "satellite": "where load_end_date is null"}  # rows that hold now
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
        return {
            "schema": self.schema, "style": self.style,
            "models": {
                "add": [Path(p).stem for p in self.added], "change": [Path(p).stem for p in self.changed],
                "remove": [Path(p).stem for p in self.removed], "kept": list(self.kept),
            },
            "tables": {
                d.name: {"kind": d.kind, "source": d.source, "columns": list(d.columns), "measures": dict(d.measures),
                         "rows": self.rows.get(d.source), "description": d.description}
                for d in self.drafts
            },
            "skipped": dict(self.skipped), "diff": self.diff(),
        }  # fmt: skip

    def diff(self) -> str:
        lines: list[str] = []
        for path, text in self.after.items():
            old, new = (self.before[path] or "").splitlines(), (text or "").splitlines()
            lines += difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm="")
        return "\n".join(lines)


def folder(schema: str) -> str:
    return f"gold/auto_dw/{snake(schema)}"


def plan(engine: Engine, root: Path, schema: str) -> Plan:
    """Compares what should be with what is there; writes nothing."""
    profile, found = service.judge(engine, root, schema)
    own = people.load(root).of(schema)
    accepted = _accepted(engine, profile, found) if own.style == "kimball" else {}
    drafts = tuple(_STYLES[own.style](Design(profile, found, own, _taken(root, schema), accepted)))
    wanted = {_path(schema, d): d.text() for d in drafts}
    there = {_relative(root, p): p.read_text() for p in sorted((root / folder(schema)).glob("*.sql"))}
    shared = root / "gold/auto_dw/dim_date.sql"
    if shared.exists():
        there[_relative(root, shared)] = shared.read_text()
    kept = tuple(p for p, text in there.items() if not untouched(text))
    after: dict[str, str | None] = {p: t for p, t in wanted.items() if there.get(p) != t and p not in kept}
    gone = [p for p in there if p not in wanted and p not in kept and p.startswith(folder(schema))]
    after |= dict.fromkeys(gone)
    used = {d.source for d in drafts}
    skipped = {
        n: f"{v.verdict.role}, {v.verdict.confidence:.2f}" for n, v in found.tables.items() if n not in used
    }
    rows = {n: t.rows for n, t in profile.tables.items()}
    return Plan(schema, own.style, drafts, {p: there.get(p) for p in after}, after, kept, skipped, rows)


def _accepted(
    engine: Engine, profile: SchemaProfile, found: Evaluation
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Values of the columns that have few of them and many rows: codes, states, kinds."""
    result: dict[tuple[str, str], tuple[str, ...]] = {}
    with database_errors(engine), engine.connect() as conn:
        for name, table in profile.tables.items():
            for column in table.columns:
                verdict = found.tables[name].columns[column.name]
                few = (
                    1 < column.distinct <= FEW
                    and column.filled >= 20 * column.distinct
                    and column.max_length <= 40
                )
                if column.kind != "text" or not few or verdict.sensitive or verdict.secret:
                    continue
                if verdict.verdict.role != "attribute":
                    continue
                query = f"select distinct {quote(column.name)}::text from {source_of(table)} order by 1"
                values = [v for v in conn.exec_driver_sql(query).scalars() if v is not None]
                if len(values) <= FEW:
                    result[name, column.name] = tuple(values)
    return result


def _taken(root: Path, schema: str) -> frozenset[str]:
    """Names of the models that are not this schema's."""
    own = root / folder(schema)
    return frozenset(
        p.stem for p in (root / "gold").rglob("*.sql") if own not in p.parents and p.stem != "dim_date"
    )


def _path(schema: str, draft: ModelDraft) -> str:
    return "gold/auto_dw/dim_date.sql" if draft.name == "dim_date" else f"{folder(schema)}/{draft.name}.sql"


def _relative(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def go(engine: Engine, root: Path, schema: str) -> dict[str, Any]:
    """Makes the plan so: files, tables, checks. Nothing to change: nothing is done, and no build is noted."""
    wanted = plan(engine, root, schema)
    if not wanted.after:
        return {
            "status": "done",
            "build": None,
            "changes": 0,
            "models": {},
            "reconciliation": reconcile(engine, wanted),
        }
    _write(root, wanted.after)
    try:
        built = _refresh(engine, root, [Path(p).stem for p, text in wanted.after.items() if text is not None],
                         [Path(p).stem for p in wanted.removed])  # fmt: skip
    except DataplatformError:
        _write(root, wanted.before)  # tables built so far are right, and replaced next time
        raise
    sums = reconcile(engine, wanted)
    changes = {"add": wanted.added, "change": wanted.changed, "remove": wanted.removed}
    with database_errors(engine), engine.begin() as conn:
        number = state.add_build(conn, schema, wanted.style, changes, dict(wanted.before))
    return {
        "status": "done",
        "build": number,
        "changes": len(wanted.after),
        "models": built,
        "reconciliation": sums,
    }


def _write(root: Path, texts: Mapping[str, str | None]) -> None:
    for name, text in texts.items():
        path = root / name
        if text is None:
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        beside.write_text(text)
        beside.replace(path)


def _refresh(engine: Engine, root: Path, names: list[str], removed: list[str]) -> dict[str, Any]:
    """Builds the models, then drops those that are gone: where a build fails, nothing is missing."""
    models = load_catalog(root).models
    built = gold_build.build(engine, models, names, full=True) if names else []
    with database_errors(engine), engine.begin() as conn:
        for name in sorted(removed, key=lambda n: (n.startswith(("dim_", "hub_", "sat_")), n)):
            _drop(conn, name)
    return {b.name: {"rows": b.rows, "seconds": round(b.seconds, 3)} for b in built}


def _drop(conn: sa.Connection, name: str) -> None:
    row = conn.execute(
        sa.text("select relkind::text from pg_class where oid = to_regclass(:n)"),
        {"n": qualified("gold", name)},
    ).first()
    if row is not None:
        word = "view" if row[0] == "v" else "table"
        conn.exec_driver_sql(f"drop {word} {qualified('gold', name)} cascade")
    conn.execute(sa.text("delete from audit.gold_model where name = :n"), {"n": name})


def undo(engine: Engine, root: Path, schema: str | None = None) -> dict[str, Any]:
    """Back to the build before the last one."""
    with database_errors(engine), engine.connect() as conn:
        done = [
            b for b in state.builds(conn, 100) if b["status"] == "done" and schema in (None, b["schema_name"])
        ]
    if not done:
        raise MetadataError("there is no build to undo", "dataplatform auto-dw status shows the builds")
    last = done[0]
    files: dict[str, str | None] = last["files"]
    now = {p: (root / p).read_text() if (root / p).exists() else None for p in files}
    edited = [p for p, text in now.items() if text is not None and not untouched(text)]
    restored = {p: text for p, text in files.items() if p not in edited}
    _write(root, restored)
    names = [Path(p).stem for p, text in restored.items() if text is not None]
    built = _refresh(engine, root, names, [Path(p).stem for p, text in restored.items() if text is None])
    with database_errors(engine), engine.begin() as conn:
        state.set_build_status(conn, last["id"], "undone")
    return {"status": "done", "undone": last["id"], "schema": last["schema_name"], "models": built,
            "removed": [Path(p).stem for p, t in restored.items() if t is None], "kept": edited}  # fmt: skip


def reconcile(engine: Engine, wanted: Plan) -> list[dict[str, Any]]:
    """Rows and sums of every fact, bridge and satellite beside those of its source."""
    result = []
    with database_errors(engine), engine.connect() as conn:
        for draft in wanted.drafts:
            if draft.kind in _COMPARED:
                result.append(_compared(conn, wanted, draft))
    return result


def _compared(conn: sa.Connection, wanted: Plan, draft: ModelDraft) -> dict[str, Any]:
    columns = [n for n, how in draft.measures.items() if how == "additive"]
    sums = "".join(f", sum({quote(c)})::numeric" for c in columns)
    source = relation_of(wanted, draft)
    try:
        mine = conn.exec_driver_sql(
            f"select count(*){sums} from {qualified('gold', draft.name)} t {_COMPARED[draft.kind]}"
        ).one()
        theirs = conn.exec_driver_sql(
            f"select count(*){_source_sums(conn, source, columns)} from {source}"
        ).one()
    except sa.exc.DBAPIError as error:
        conn.rollback()
        text = str(error.orig).splitlines()[0] if isinstance(error.orig, psycopg.Error) else str(error)
        return {"model": draft.name, "same": False, "error": text}
    return {"model": draft.name, "same": tuple(mine) == tuple(theirs), "rows": mine[0], "source_rows": theirs[0],
            "sums": {c: [str(a), str(b)] for c, a, b in zip(columns, mine[1:], theirs[1:], strict=True)}}  # fmt: skip


def relation_of(wanted: Plan, draft: ModelDraft) -> str:
    schema = "silver_current" if wanted.schema == "silver" else wanted.schema
    return qualified(schema, draft.source)


def _source_sums(conn: sa.Connection, source: str, columns: Iterable[str]) -> str:
    """The same columns under the names that the source has."""
    names = list(conn.exec_driver_sql(f"select * from {source} limit 0").keys())
    by_snake = {snake(n): n for n in names}
    return "".join(f", sum({quote(by_snake[c])})::numeric" for c in columns)


def status(engine: Engine, root: Path) -> dict[str, Any]:
    """Builds, what is left out, and how the models are."""
    decisions = people.load(root)
    with database_errors(engine), engine.connect() as conn:
        found = state.builds(conn)
    builds = [
        {"id": b["id"], "schema": b["schema_name"], "style": b["style"], "status": b["status"],
         "changes": {k: len(v) for k, v in b["changes"].items()}, "created_at": b["created_at"]} for b in found
    ]  # fmt: skip
    return {"status": "done", "builds": builds,
            "schemas": {n: {"omit": list(s.omit), "style": s.style} for n, s in decisions.schemas.items()}}  # fmt: skip


def health(engine: Engine, root: Path, schema: str) -> dict[str, Any]:
    """Whether the warehouse is what the plan says, and answers the same totals as its source."""
    wanted = plan(engine, root, schema)
    sums = reconcile(engine, wanted)
    wrong = [s["model"] for s in sums if not s["same"]]
    ok = not wanted.after and not wrong
    return {"status": "done" if ok else "failed", "healthy": ok, "pending": len(wanted.after),
            "differs": wrong, "reconciliation": sums}  # fmt: skip


def require_healthy(found: Mapping[str, Any]) -> None:
    if not found["healthy"]:
        raise LoadError(
            f"the warehouse is not what it should be: {found['pending']} changes pending; "
            f"other totals than the source: {', '.join(found['differs']) or 'none'}",
            "dataplatform auto-dw go, then dataplatform gold",
        )
