"""The SQL functions of auto_dw, and the worker that answers them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.auto_dw import build, people, report, service, state
from dataplatform.errors import BusyError, DataplatformError, MetadataError
from dataplatform.storage.postgres import database_errors, lock_number, raw_connection

log = logging.getLogger(__name__)
_LOCK = lock_number("auto_dw worker") & 0x7FFFFFFF


def install(engine: Engine) -> None:
    """Creates the functions in schema auto_dw; again, it brings them up to date."""
    text = (files(__package__) / "functions.sql").read_text().replace("{LOCK}", str(_LOCK))
    with database_errors(engine), engine.begin() as conn:
        raw_connection(conn).execute(text.encode())


def work(engine: Engine, root: Path, stop: threading.Event, poll: float = 1.0) -> None:
    """Answers requests until `stop` is set. Raises BusyError where another worker listens already."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        raw = raw_connection(conn)
        row = raw.execute("select pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
        if not (row and row[0]):
            raise BusyError("another worker of auto_dw listens to this database", "one is enough")
        raw.execute("listen auto_dw")
        while not stop.is_set():
            while _answer_next(engine, root):
                pass
            for _ in raw.notifies(timeout=poll, stop_after=1):
                break


def _answer_next(engine: Engine, root: Path) -> bool:
    """Answers one waiting request; False where there is none."""
    c = state.request.c
    with engine.begin() as conn:
        query = sa.select(c.id, c.verb, c.arguments).where(c.status == "waiting").order_by(c.id).limit(1)
        row = conn.execute(query.with_for_update(skip_locked=True)).first()
        if row is None:
            return False
        conn.execute(state.request.update().where(c.id == row.id).values(status="running"))
    values: dict[str, Any] = {"status": "done", "error": None}
    try:
        values["result"] = orjson.loads(
            orjson.dumps(answer(engine, root, row.verb, row.arguments), default=str)
        )
    except DataplatformError as error:
        values |= {"status": "failed", "error": str(error)}
    except Exception as error:  # a defect of ours must reach the caller, and not end the worker
        log.exception("request %s failed", row.id)
        values |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    with engine.begin() as conn:
        conn.execute(
            state.request.update().where(c.id == row.id).values(finished_at=datetime.now(UTC), **values)
        )
    return True


def answer(engine: Engine, root: Path, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What a verb returns, as JSON. Raises MetadataError for an unknown one."""
    schema = str(arguments.get("schema") or "silver")
    verbs: dict[str, Callable[[], dict[str, Any]]] = {
        "evaluate": lambda: _evaluated(engine, root, schema, arguments.get("table")),
        "plan": lambda: build.plan(engine, root, schema).as_json(),
        "go": lambda: build.go(engine, root, schema),
        "omit": lambda: {"omit": people.omit(root, schema, list(arguments["tables"]), True)},
        "include": lambda: {"omit": people.omit(root, schema, list(arguments["tables"]), False)},
        "status": lambda: build.status(engine, root),
        "health": lambda: build.health(engine, root, schema),
    }
    if verb not in verbs:
        raise MetadataError(f"auto_dw has no verb {verb}", f"verbs: {', '.join(verbs)}")
    return verbs[verb]()


def _evaluated(engine: Engine, root: Path, schema: str, table: str | None) -> dict[str, Any]:
    _, found = service.judge(engine, root, schema)
    if table is not None and table not in found.tables:
        raise MetadataError(f"there is no table {schema}.{table}", f"tables: {', '.join(found.tables)}")
    return report.as_json(found, [table] if table else [])
