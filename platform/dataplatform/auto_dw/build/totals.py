"""Whether the warehouse answers the same totals as its source, and is what the plan says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
import sqlalchemy as sa

from dataplatform.auto_dw.build.plans import Plan, plan
from dataplatform.auto_dw.styles.common import ModelDraft
from dataplatform.auto_dw.styles.naming import snake
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.errors import LoadError
from dataplatform.names import qualified, quote
from dataplatform.storage.postgres import connected

_COMPARED = {"fact": "", "bridge": "", "satellite": "where load_end_date is null"}  # rows that hold now


def reconcile(workspace: Workspace, wanted: Plan) -> list[dict[str, Any]]:
    """Rows and sums of every fact, bridge and satellite beside those of its source."""
    result = []
    with connected(workspace.engine) as conn:
        for draft in wanted.drafts:
            if draft.kind in _COMPARED:
                result.append(_compared(conn, wanted, draft))
    return result


def _compared(conn: sa.Connection, wanted: Plan, draft: ModelDraft) -> dict[str, Any]:
    columns = [n for n, how in draft.measures.items() if how == "additive"]
    sums = "".join(f", sum({quote(c)})::numeric" for c in columns)
    source = _relation_of(wanted, draft)
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
    return {
        "model": draft.name,
        "same": tuple(mine) == tuple(theirs),
        "rows": mine[0],
        "source_rows": theirs[0],
        "sums": {c: [str(a), str(b)] for c, a, b in zip(columns, mine[1:], theirs[1:], strict=True)},
    }


def _relation_of(wanted: Plan, draft: ModelDraft) -> str:
    schema = "silver_current" if wanted.schema == "silver" else wanted.schema
    return qualified(schema, draft.source)


def _source_sums(conn: sa.Connection, source: str, columns: Iterable[str]) -> str:
    """The same columns under the names that the source has."""
    names = list(conn.exec_driver_sql(f"select * from {source} limit 0").keys())
    by_snake = {snake(n): n for n in names}
    return "".join(f", sum({quote(by_snake[c])})::numeric" for c in columns)


def health(workspace: Workspace) -> dict[str, Any]:
    """Whether the warehouse is what the plan says, and answers the same totals as its source."""
    wanted = plan(workspace)
    sums = reconcile(workspace, wanted)
    wrong = [s["model"] for s in sums if not s["same"]]
    ok = not wanted.after and not wrong
    return {
        "status": "done" if ok else "failed",
        "healthy": ok,
        "pending": len(wanted.after),
        "differs": wrong,
        "reconciliation": sums,
    }


def require_healthy(checked: Mapping[str, Any]) -> None:
    if not checked["healthy"]:
        raise LoadError(
            f"the warehouse is not what it should be: {checked['pending']} changes pending; "
            f"other totals than the source: {', '.join(checked['differs']) or 'none'}",
            "dataplatform auto-dw go, then dataplatform gold",
        )
