"""The result of a person's SQL, in a transaction that writes nothing unless it is asked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.errors import TerminalError
from dataplatform.storage.postgres import connected, raw_connection


@dataclass(frozen=True)
class Result:
    """Of several statements the last one's. `done` is what the server says of it: SELECT 3, DELETE 1."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    done: str

    def as_json(self) -> dict[str, Any]:
        """The document of `sql QUERY --json`."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"status": "done", "columns": self.columns, "rows": rows, "done": self.done}


def asked(engine: Engine, query: str) -> Result:
    """What the query gives; raises TerminalError where it would write, or is wrong."""
    with connected(engine) as conn:
        # of the session, not of the transaction alone: a `commit` in the text opens another one
        conn.execute(sa.text("set session characteristics as transaction read only"))
        conn.commit()
        try:
            return _executed(conn, query)
        finally:
            conn.invalidate()  # nobody else gets this session


def written(engine: Engine, query: str) -> Result:
    """The same, and what it writes stays; raises TerminalError where it is wrong."""
    with connected(engine) as conn:
        result = _executed(conn, query)
        raw_connection(conn).commit()  # SQLAlchemy knows of no transaction
        return result


def _executed(conn: sa.Connection, query: str) -> Result:
    cursor = raw_connection(conn).cursor()
    try:
        cursor.execute(query.encode())
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise TerminalError(f"nothing was written: {error}", "say --write if it shall be") from None
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.IntegrityError) as error:
        raise TerminalError(f"Postgres says: {str(error).strip()}", "correct the query") from None
    while cursor.nextset():
        pass
    if cursor.description is None:
        return Result((), (), cursor.statusmessage or "")
    columns = tuple(column.name for column in cursor.description)
    return Result(columns, tuple(cursor.fetchall()), cursor.statusmessage or "")
