"""The result of a person's SQL, in a transaction that writes nothing unless it is asked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.errors import TerminalError
from dataplatform.storage.beyond import as_text_where_beyond
from dataplatform.storage.postgres import connected, raw_connection


@dataclass(frozen=True)
class Result:
    """Of several statements (`written`) the last one's. `done` is what the server says of it: SELECT 3, DELETE 1."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    done: str

    def as_json(self) -> dict[str, Any]:
        """The document of `sql QUERY --json`."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"status": "done", "columns": self.columns, "rows": rows, "done": self.done}


def asked(engine: Engine, query: str) -> Result:
    """What the query gives, one statement; raises TerminalError where it would write, or is wrong.

    One alone, which the server sees to: after a `commit` in the text another transaction could begin, that writes.
    """
    with connected(engine) as conn:
        conn.execute(sa.text("set session characteristics as transaction read only"))
        conn.commit()
        try:
            return _executed(conn, query, alone=True)
        finally:
            conn.invalidate()  # nobody else gets this session


def written(engine: Engine, query: str) -> Result:
    """The same, and what it writes stays; raises TerminalError where it is wrong."""
    with connected(engine) as conn:
        result = _executed(conn, query)
        raw_connection(conn).commit()  # SQLAlchemy knows of no transaction
        return result


def _executed(conn: sa.Connection, query: str, alone: bool = False) -> Result:
    raw = raw_connection(conn)
    as_text_where_beyond(raw)
    if alone:
        raw.prepare_threshold = 1  # what is prepared is one statement: the server refuses another behind it
    cursor = raw.cursor()
    try:
        cursor.execute(query.encode(), prepare=True if alone else None)
        return _result(cursor)  # a value that Python has no place for, such as the date infinity, is met here
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise TerminalError(f"nothing was written: {error}", "say --write if it shall be") from None
    except psycopg.errors.SyntaxError as error:
        if alone and "multiple commands" in str(error):
            raise TerminalError(
                "only one statement is read at a time", "ask them one by one, or say --write"
            ) from None
        raise TerminalError(f"Postgres says: {str(error).strip()}", "correct the query") from None
    except (
        psycopg.ProgrammingError, psycopg.DataError, psycopg.IntegrityError, psycopg.InternalError,
        psycopg.NotSupportedError, psycopg.errors.ProtocolViolation,
    ) as error:  # fmt: skip
        raise TerminalError(f"Postgres says: {str(error).strip()}", "correct the query") from None


def _result(cursor: psycopg.Cursor[Any]) -> Result:
    while cursor.nextset():
        pass
    if cursor.description is None:
        return Result((), (), cursor.statusmessage or "")
    columns = tuple(column.name for column in cursor.description)
    return Result(columns, tuple(cursor.fetchall()), cursor.statusmessage or "")
