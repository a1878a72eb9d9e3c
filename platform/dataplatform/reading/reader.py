"""A person's SQL, asked as a role of its own that may read gold and silver and nothing else.

Not the platform's own connection with fewer rights: a statement may take rights back that its session once had. The
role signs in by itself, with a password that only HOME and Postgres know.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.engine import Engine

from dataplatform.embedded.sockets import kept_password
from dataplatform.errors import DataplatformError, SettingsError, TerminalError
from dataplatform.secrets import redact
from dataplatform.secrets.masking import PROCESS
from dataplatform.settings import Settings
from dataplatform.storage.beyond import as_text_where_beyond
from dataplatform.storage.postgres import exclusive, raw_connection, transaction

ROLE = "dataplatform_reader"
SCHEMAS = ("gold", "silver", "silver_current")
SECONDS, MOST = 15, 1000  # that a query may take; rows that are shown of it
LONGEST = 100_000  # characters of a query


@dataclass(frozen=True)
class Answer:
    """What a query gave; `more`: there were other rows."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    more: bool
    seconds: float


def ask(engine: Engine, settings: Settings, query: str, most: int = MOST) -> Answer:
    """One statement that reads; raises TerminalError where it is wrong, would write, or takes too long."""
    text = query.strip().rstrip(";").strip()
    if not text or len(text) > LONGEST or "\0" in text:
        raise TerminalError("there is no query, or it is too long", "write one SELECT")
    with _connected(engine, settings) as conn, _refusals():
        started = time.perf_counter()
        with _executed(conn, text) as cursor:
            found = cursor.fetchmany(most + 1) if cursor.description else []
            names = tuple(c.name for c in cursor.description or ())
            types = tuple(_type_name(conn, c.type_code) for c in cursor.description or ())
        seconds = time.perf_counter() - started
    return Answer(names, types, tuple(map(tuple, found[:most])), len(found) > most, round(seconds, 3))


@contextmanager
def _executed(conn: psycopg.Connection[Any], text: str) -> Iterator[Any]:
    """A cursor on the answer; the server gives what is asked of it and no more, and takes one statement alone."""
    if re.match(r"(explain|show)\b", text, re.I):
        with conn.cursor() as plain:
            yield plain.execute(text.encode(), prepare=True)
        return
    with conn.cursor(name="asked") as cursor:
        yield cursor.execute(text.encode())


def _type_name(conn: psycopg.Connection[Any], oid: int) -> str:
    known = conn.adapters.types.get(oid)
    return known.name if known else "other"


@contextmanager
def _connected(engine: Engine, settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    url = _url(engine, settings)
    options = (
        f"-c default_transaction_read_only=on -c statement_timeout={SECONDS * 1000} "
        "-c idle_in_transaction_session_timeout=60000 -c timezone=UTC -c datestyle=ISO -c lock_timeout=5000 "
        "-c search_path=gold,silver_current,silver"
    )
    try:
        with psycopg.connect(
            url, options=options, connect_timeout=10, application_name="dataplatform sql page"
        ) as conn:
            as_text_where_beyond(conn)
            yield conn
    except psycopg.OperationalError as error:
        raise SettingsError(
            f"Postgres does not let the role of the SQL page in: {redact(str(error)).strip()}",
            "let it sign in (pg_hba.conf), or set DATAPLATFORM_WEB_SQL_URL to a role that reads gold and silver",
        ) from None


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.QueryCanceled:
        raise TerminalError(f"the query took more than {SECONDS} seconds", "ask for less at once") from None
    except psycopg.errors.ReadOnlySqlTransaction:
        raise TerminalError(
            "this page only reads", "write with `dataplatform sql --write`, or in a gold model"
        ) from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise TerminalError(f"Postgres says: {_first(error)}", "gold and silver can be read here") from None
    except psycopg.errors.Error as error:
        raise TerminalError(
            f"Postgres says: {_first(error)}", "correct the query; it is one SELECT"
        ) from None


def _first(error: psycopg.Error) -> str:
    return redact("\n".join(line for line in str(error).strip().splitlines() if "DECLARE" not in line))


def _url(engine: Engine, settings: Settings) -> str:
    if settings.web_sql_url is not None:
        return PROCESS.note_url(settings.web_sql_url.get_secret_value())
    password = _ensure_role(engine, settings.home_path)
    url = engine.url.set(drivername="postgresql", username=ROLE, password=password)
    return url.render_as_string(hide_password=False)


_made: dict[str, str] = {}  # by database: what this process has seen to


def _ensure_role(engine: Engine, home: Path) -> str:
    """Makes the role and gives it what it may read; once in a process, for what comes later has it by default."""
    place = engine.url.render_as_string(hide_password=True)
    if place not in _made:
        folder = home / "web"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        password = PROCESS.note(kept_password(folder / "reader.password"))
        try:
            with exclusive(engine, "dataplatform reader", wait=30):
                _make_role(engine, password)
        except (sa.exc.ProgrammingError, psycopg.Error) as error:
            raise SettingsError(
                f"the role that the SQL page asks as cannot be made: {_first_of(error)}",
                "make a role that reads gold and silver, and set DATAPLATFORM_WEB_SQL_URL to its URL",
            ) from None
        _made[place] = password
    return _made[place]


def _first_of(error: Exception) -> str:
    return redact(str(getattr(error, "orig", None) or error)).strip().splitlines()[0]


def _make_role(engine: Engine, password: str) -> None:
    with transaction(engine) as conn:
        raw = raw_connection(conn)
        role = sql.Identifier(ROLE)
        if raw.execute("select 1 from pg_roles where rolname = %s", (ROLE,)).fetchone() is None:
            raw.execute(sql.SQL("create role {}").format(role))
        hashed = raw.pgconn.encrypt_password(password.encode(), ROLE.encode(), b"scram-sha-256").decode()
        raw.execute(
            sql.SQL("alter role {} login noinherit connection limit 20 password {}").format(
                role, sql.Literal(hashed)
            )
        )
        database = sql.Identifier(engine.url.database or "dataplatform")
        raw.execute(sql.SQL("grant connect on database {} to {}").format(database, role))
        for schema in map(sql.Identifier, SCHEMAS):
            raw.execute(sql.SQL("create schema if not exists {}").format(schema))
            raw.execute(sql.SQL("grant usage on schema {} to {}").format(schema, role))
            raw.execute(sql.SQL("grant select on all tables in schema {} to {}").format(schema, role))
            raw.execute(
                sql.SQL("alter default privileges in schema {} grant select on tables to {}").format(
                    schema, role
                )
            )


def can_ask(engine: Engine, settings: Settings) -> str:
    """Empty, or why the SQL page cannot be used."""
    try:
        _url(engine, settings)
    except DataplatformError as error:
        return str(error)
    return ""
