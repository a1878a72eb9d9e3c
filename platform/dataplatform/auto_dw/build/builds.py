"""go and undo: a plan made so, as files and tables, and taken back; and the history of both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.auto_dw.build import pseudonyms, state
from dataplatform.auto_dw.build.plans import Plan, planned
from dataplatform.auto_dw.build.there import CALENDAR
from dataplatform.auto_dw.build.totals import reconcile
from dataplatform.auto_dw.said import decisions, outcome
from dataplatform.auto_dw.styles.calendar import calendar, days_of
from dataplatform.auto_dw.styles.common import untouched
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.errors import DataplatformError, MetadataError
from dataplatform.layers.gold import build as gold_build
from dataplatform.metadata import load_catalog
from dataplatform.metadata.gold import GoldModel
from dataplatform.names import qualified
from dataplatform.storage.postgres import connected, transaction


def go(workspace: Workspace, accept_amber: bool = False) -> dict[str, Any]:
    """Makes the plan so: files, tables, checks. Nothing to change: nothing is done, and no build is noted.

    Tables, keys and references that are not sure are left out and said (`waiting`); `accept_amber`: the likely go in.
    """
    wanted = planned(workspace, outcome.judge_and_keep(workspace), accept_amber)
    pseudonyms.ensure(workspace.engine, (draft.sql for draft in wanted.drafts))
    if not wanted.after:
        return _done(None, wanted, {}, reconcile(workspace, wanted))
    _write(workspace.root, wanted.after)
    try:
        built = _refresh(workspace, wanted.after)
    except DataplatformError:
        _write(workspace.root, wanted.before)  # tables built so far are right, and replaced next time
        raise
    sums = reconcile(workspace, wanted)
    changes = {"add": wanted.added, "change": wanted.changed, "remove": wanted.removed}
    with transaction(workspace.engine) as conn:
        number = state.add_build(conn, wanted.schema, wanted.style, changes, dict(wanted.before))
    return _done(number, wanted, built, sums)


def _done(
    build: int | None, wanted: Plan, built: dict[str, Any], sums: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "status": "done",
        "build": build,
        "changes": len(wanted.after),
        "models": built,
        "reconciliation": sums,
        "waiting": dict(wanted.waiting),
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


def _refresh(workspace: Workspace, texts: Mapping[str, str | None]) -> dict[str, Any]:
    """Builds the models, then drops those that are gone: where a build fails, nothing is missing."""
    engine = workspace.engine
    names = [Path(p).stem for p, text in texts.items() if text is not None]
    removed = [Path(p).stem for p, text in texts.items() if text is None]
    built = gold_build.build(engine, models_now(workspace.root), names, full=True) if names else []
    with transaction(engine) as conn:
        for name in sorted(removed, key=lambda n: (n.startswith(("dim_", "hub_", "sat_")), n)):
            _drop(conn, name)
    return {b.name: {"rows": b.rows, "seconds": round(b.seconds, 3)} for b in built}


def models_now(root: Path) -> dict[str, GoldModel]:
    """The gold models as they lie in the metadata folder at this moment.

    The only metadata that auto_dw reads by itself: `go` and `undo` have just written models, and the Platform's catalog
    was read before that. All else comes from the catalog.
    """
    return load_catalog(root).models


def _drop(conn: sa.Connection, name: str) -> None:
    row = conn.execute(
        sa.text("select relkind::text from pg_class where oid = to_regclass(:n)"),
        {"n": qualified("gold", name)},
    ).first()
    if row is not None:
        word = "view" if row[0] == "v" else "table"
        conn.exec_driver_sql(f"drop {word} {qualified('gold', name)} cascade")
    conn.execute(sa.text("delete from audit.gold_model where name = :n"), {"n": name})


def undo(workspace: Workspace) -> dict[str, Any]:
    """Takes back the last build of the workspace's schema; what a person has changed since is kept.

    The calendar is everybody's: it stays as long as another schema has models, for their dates, and goes with the last.
    """
    root, engine = workspace.root, workspace.engine
    last = _last(engine, workspace.schema)
    files = {p: text for p, text in last["files"].items() if p != CALENDAR}
    edited = [p for p in files if (root / p).exists() and not untouched((root / p).read_text())]
    restored = {p: text for p, text in files.items() if p not in edited}
    restored |= _calendar(root, restored)
    pseudonyms.ensure(engine, restored.values())
    _write(root, restored)
    built = _refresh(workspace, restored)
    with transaction(engine) as conn:
        state.set_build_status(conn, last["id"], "undone")
    removed = [Path(p).stem for p, text in restored.items() if text is None]
    return {
        "status": "done",
        "undone": last["id"],
        "schema": last["schema_name"],
        "models": built,
        "removed": removed,
        "kept": edited,
    }


def _calendar(root: Path, restored: Mapping[str, str | None]) -> dict[str, str | None]:
    """The calendar of all models that are left, where it is another; None where nobody is left who would use it."""
    path = root / CALENDAR
    now = path.read_text() if path.exists() else None
    if now is None or not untouched(now):
        return {}
    paths = (root / "gold" / "auto_dw").glob("*/*.sql")
    left: dict[str, str | None] = {p.relative_to(root).as_posix(): p.read_text() for p in paths}
    texts = [text for text in (left | dict(restored)).values() if text is not None]
    shared = calendar(*days_of(texts))
    if shared is None:
        return {} if texts else {CALENDAR: None}
    return {CALENDAR: shared.text()} if shared.text() != now else {}


def _last(engine: Engine, schema: str) -> dict[str, Any]:
    with connected(engine) as conn:
        last = state.last_build(conn, schema)
    if last is None:
        raise MetadataError(
            f"there is no build of {schema} to undo", "dataplatform auto-dw status shows the builds"
        )
    return last


def status(workspace: Workspace) -> dict[str, Any]:
    """Builds, what is left out, and how the models are."""
    with connected(workspace.engine) as conn:
        builds = [_shown(build) for build in state.builds(conn)]
    decided = decisions.load(workspace.root).schemas
    schemas = {name: {"omit": list(d.omit), "style": d.style} for name, d in decided.items()}
    return {"status": "done", "builds": builds, "schemas": schemas}


def _shown(build: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": build["id"],
        "schema": build["schema_name"],
        "style": build["style"],
        "status": build["status"],
        "changes": {kind: len(paths) for kind, paths in build["changes"].items()},
        "created_at": build["created_at"],
    }
