"""The SQL functions of auto_dw, and the worker that answers them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import orjson
import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.auto_dw.build import builds, plans, totals
from dataplatform.auto_dw.build.state import request_table
from dataplatform.auto_dw.judge import report
from dataplatform.auto_dw.said import outcome, people
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.errors import BusyError, DataplatformError, MetadataError
from dataplatform.storage.postgres import lock_number, raw_connection, transaction

log = logging.getLogger(__name__)
_LOCK = lock_number("auto_dw worker") & 0x7FFFFFFF
Open = Callable[[str], Workspace]


def install(engine: Engine) -> None:
    """Creates the functions in schema auto_dw; again, it brings them up to date."""
    text = (files(__package__) / "functions.sql").read_text().replace("{LOCK}", str(_LOCK))
    with transaction(engine) as conn:
        raw_connection(conn).execute(text.encode())


def work(
    engine: Engine,
    open_: Open,
    stop: threading.Event,
    poll: float = 1.0,
    alive: Callable[[], None] = lambda: None,
) -> None:
    """Answers requests until `stop` is set; calls `alive` at every look. Raises BusyError where another listens.

    `open_` gives the Workspace of a schema, for each request anew: a worker stays up while people edit metadata.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        raw = raw_connection(conn)
        row = raw.execute("select pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
        if not (row and row[0]):
            raise BusyError("another worker of auto_dw listens to this database", "one is enough")
        raw.execute("listen auto_dw")
        try:
            while not stop.is_set():
                alive()
                while _answer_next(engine, open_):
                    pass
                for _ in raw.notifies(timeout=poll, stop_after=1):
                    break
        except psycopg.OperationalError:
            conn.invalidate()  # the server went away; the pool must not try to clean this one
            raise


def _answer_next(engine: Engine, open_: Open) -> bool:
    """Answers one waiting request; False where there is none."""
    c = request_table.c
    with engine.begin() as conn:
        query = sa.select(c.id, c.verb, c.arguments).where(c.status == "waiting").order_by(c.id).limit(1)
        row = conn.execute(query.with_for_update(skip_locked=True)).first()
        if row is None:
            return False
        conn.execute(request_table.update().where(c.id == row.id).values(status="running"))
    values: dict[str, Any] = {"status": "done", "error": None}
    try:
        workspace = open_(str(row.arguments.get("schema") or "silver"))
        values["result"] = orjson.loads(orjson.dumps(answer(workspace, row.verb, row.arguments), default=str))
    except DataplatformError as error:
        values |= {"status": "failed", "error": str(error)}
    except Exception as error:  # a defect of ours must reach the caller, and not end the worker
        log.exception("request %s failed", row.id)
        values |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    with engine.begin() as conn:
        done = values | {"finished_at": datetime.now(UTC)}
        conn.execute(request_table.update().where(c.id == row.id).values(done))
    return True


def answer(workspace: Workspace, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What a verb returns, as JSON. Raises MetadataError for an unknown one."""
    verbs: dict[str, Callable[[], dict[str, Any]]] = {
        "evaluate": lambda: _evaluated(workspace, arguments.get("table")),
        "plan": lambda: plans.plan(workspace).as_json(),
        "go": lambda: builds.go(workspace),
        "omit": lambda: {"omit": people.omit(workspace, arguments["tables"])},
        "include": lambda: {"omit": people.include(workspace, arguments["tables"])},
        "status": lambda: builds.status(workspace),
        "health": lambda: totals.health(workspace),
    }
    if verb not in verbs:
        raise MetadataError(f"auto_dw has no verb {verb}", f"verbs: {', '.join(verbs)}")
    return verbs[verb]()


def _evaluated(workspace: Workspace, table: str | None) -> dict[str, Any]:
    evaluation = outcome.judge_and_keep(workspace).evaluation
    if table is not None and table not in evaluation.tables:
        raise MetadataError(
            f"there is no table {workspace.schema}.{table}", f"tables: {', '.join(evaluation.tables)}"
        )
    return report.as_json(evaluation, [table] if table else [])
