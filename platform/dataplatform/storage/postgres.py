"""The Postgres database: engine, locks, errors."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.errors import (
    BusyError,
    DataplatformError,
    LoadError,
    ServerError,
    SettingsError,
    StorageError,
)
from dataplatform.secrets import redact

# A load's lock idles on a connection of its own, its transaction while others copy or hash: a server's limits on that
# (`idle_session_timeout` is PostgreSQL 14's) would give the lock to another load, or end this one.
OPTIONS = (
    "-c timezone=UTC -c datestyle=ISO -c client_min_messages=warning "
    "-c idle_session_timeout=0 -c idle_in_transaction_session_timeout=0"
)
WHOLE = "history is whole"  # lock that a backup holds alone, and what removes history together


def make_engine(url: str) -> Engine:
    """An engine on psycopg 3, in UTC. Connects lazily; raises SettingsError for a wrong URL."""
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() not in ("postgresql", "postgres"):
            raise sa.exc.ArgumentError(f"{parsed.drivername} is not PostgreSQL")
        return sa.create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            max_overflow=20,  # a load may want some at once: its own, its lock, those that copy beside it
            hide_parameters=True,  # of a statement that failed: they may be secrets, or somebody's data
            connect_args={
                "options": OPTIONS,
                "connect_timeout": 10,
                "application_name": "dataplatform",
                "prepare_threshold": None,
            },
        )
    except (sa.exc.ArgumentError, ValueError) as error:
        raise SettingsError(
            f"the Postgres URL cannot be used: {redact(str(error))}",
            "write DATAPLATFORM_POSTGRES_URL as postgresql://user:password@host:5432/database",
        ) from None


def ping(engine: Engine) -> None:
    with connected(engine) as connection:
        connection.execute(sa.text("select 1"))


def raw_connection(connection: sa.Connection) -> psycopg.Connection:
    """psycopg's connection under SQLAlchemy's, in the same transaction; for COPY."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    return raw


def lock_number(name: str) -> int:
    """Number of the advisory lock of that name."""
    return (zlib.crc32(name.encode()) << 16) | (zlib.crc32(name[::-1].encode()) & 0xFFFF)


@contextmanager
def transaction(engine: Engine) -> Iterator[sa.Connection]:
    """A connection in a transaction, committed at the end of the block; the server's errors become ours."""
    with database_errors(engine), engine.begin() as connection:
        yield connection


@contextmanager
def connected(engine: Engine) -> Iterator[sa.Connection]:
    """A connection for reading; the server's errors become ours."""
    with database_errors(engine), engine.connect() as connection:
        yield connection


@contextmanager
def exclusive(engine: Engine, name: str, wait: float = 0.0) -> Iterator[None]:
    """Holds the advisory lock `name` for the block; raises BusyError when it cannot be had.

    `wait`: seconds to wait for it. The lock goes with its connection, so a killed process frees it.
    """
    with _locked(engine, "lock", name, wait, f"{name} is running already"):
        yield


@contextmanager
def removing(engine: Engine, wait: float = 0.0) -> Iterator[None]:
    """For whatever deletes history from raw or bronze: no backup is made meanwhile. Any number may hold it at once.

    Raises BusyError while a backup or a restore is under way.
    """
    with _locked(engine, "lock_shared", WHOLE, wait, "a backup or a restore is under way"):
        yield


@contextmanager
def nothing_removed(engine: Engine, wait: float = 0.0) -> Iterator[None]:
    """For a backup or a restore, of which there is one at a time: nobody deletes history for the block.

    Raises BusyError where somebody does, or where another backup or restore is under way.
    """
    busy = "another backup or restore is under way, or something that removes history"
    with _locked(engine, "lock", WHOLE, wait, busy):
        yield


@contextmanager
def _locked(engine: Engine, kind: str, name: str, wait: float, busy: str) -> Iterator[None]:
    with connected(engine) as opened:
        connection = opened.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(sa.text(f"set lock_timeout = {int(wait * 1000) or 1}"))
        number = lock_number(name)
        try:
            connection.execute(sa.text(f"select pg_advisory_{kind}(:n)"), {"n": number})
        except sa.exc.OperationalError as error:
            if isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise BusyError(busy, "wait until that run has ended, then run again") from None
            raise
        try:
            yield
        finally:
            _unlock(connection, [number], kind)


@contextmanager
def held(engine: Engine, names: Iterable[str]) -> Iterator[set[str]]:
    """Holds those of the advisory locks that are free, for the block, and yields the names of the others.

    One connection holds them all; they go with it, so a killed process frees them.
    """
    numbers = {lock_number(name): name for name in names}
    with connected(engine) as opened:
        connection = opened.execution_options(isolation_level="AUTOCOMMIT")
        query = sa.text("select n from unnest(cast(:numbers as bigint[])) n where pg_try_advisory_lock(n)")
        got = list(connection.execute(query, {"numbers": sorted(numbers)}).scalars())
        try:
            yield {name for number, name in numbers.items() if number not in got}
        finally:
            _unlock(connection, got)


@contextmanager
def held_again_and_again(engine: Engine, name: str) -> Iterator[Callable[[], bool]]:
    """For a block that looks after one advisory lock: each call asks whether we hold it, and tries to where not.

    A connection that is gone raises ServerError, out of the block.
    """
    with connected(engine) as opened:
        connection = opened.execution_options(isolation_level="AUTOCOMMIT")
        number, ours = {"n": lock_number(name)}, False

        def look() -> bool:
            nonlocal ours
            asked = "select true" if ours else "select pg_try_advisory_lock(:n)"
            ours = bool(connection.execute(sa.text(asked), {} if ours else number).scalar_one())
            return ours

        try:
            yield look
        finally:
            _unlock(connection, [number["n"]] if ours else [])


def held_by_anyone(connection: sa.Connection, names: Iterable[str]) -> set[str]:
    """Those of the advisory locks that some connection to this database holds."""
    numbers = {lock_number(name): name for name in names}
    query = sa.text(
        "select classid::bigint << 32 | objid::bigint from pg_locks"
        " where locktype = 'advisory' and granted and objsubid = 1"
        " and database = (select oid from pg_database where datname = current_database())"
    )
    return {numbers[number] for number in connection.execute(query).scalars() if number in numbers}


def _unlock(connection: sa.Connection, numbers: list[int], kind: str = "lock") -> None:
    query = sa.text(f"select pg_advisory_un{kind}(n) from unnest(cast(:numbers as bigint[])) n")
    try:
        connection.execute(query, {"numbers": numbers})
    except (sa.exc.DBAPIError, sa.exc.PendingRollbackError):
        connection.invalidate()  # the server went away, and the locks with it


@contextmanager
def database_errors(engine: Engine | None = None) -> Iterator[None]:
    """psycopg's errors as ours: transient where the server is to blame."""
    try:
        yield
    except DataplatformError:
        raise
    except (sa.exc.DBAPIError, psycopg.Error) as error:
        original = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        where = f" at {engine.url.render_as_string(hide_password=True)}" if engine else ""
        text = redact(str(original)).strip()
        if isinstance(original, psycopg.errors.DiskFull | psycopg.errors.IoError):
            raise StorageError(
                f"Postgres{where}: {text}", "free some disk space and run again; old data are whole"
            ) from None
        if isinstance(original, psycopg.Error) and (original.sqlstate or "").startswith("54"):
            # a limit of Postgres: too many columns, a row too wide
            raise LoadError(
                f"Postgres{where} cannot hold it: {text}",
                "keep some of its objects whole: columns: {NAME: {type: jsonb}}",
            ) from None
        ended = getattr(original, "sqlstate", None) in ("25P03", "25P04")  # by a limit on a transaction
        if ended or isinstance(original, psycopg.OperationalError | psycopg.InterfaceError):
            raise ServerError(f"Postgres{where} failed: {text}", _remedy(text)) from None
        raise


def _remedy(text: str) -> str:
    if "password authentication" in text or "does not exist" in text:
        return "correct DATAPLATFORM_POSTGRES_URL"
    for limit in ("statement_timeout", "transaction_timeout"):
        if f"due to {limit.replace('_', ' ')}" in text:
            return f"the server allows less than this takes: alter role … set {limit} = 0, for the role of the URL"
    return "check that it runs and can be reached, then run again"
