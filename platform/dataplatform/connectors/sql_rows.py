"""Rows of a database as JSON objects, through a streaming cursor; imported only where a database is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.connectors.contract import Item, Records, Request, Since, State, encode, of_kind
from dataplatform.connectors.cursors import greatest_value
from dataplatform.connectors.sql import SqlConnector, SqlEntity
from dataplatform.errors import DataplatformError, SourceError, SourceUnavailableError
from dataplatform.metadata.source import CursorField
from dataplatform.secrets import redact


def read(request: Request, since: Since) -> Iterator[Item]:
    """Rows as JSON objects, `page_size` a page, read inside one (repeatable-read) transaction; then the cursor."""
    connector, entity = of_kind(request, SqlConnector, SqlEntity)
    engine = _engine(str(request.resolve(connector.url)))
    try:
        with _source_errors(request), engine.connect() as connection:
            statement, described = _statement(connection, _Wanted(request.name, connector, entity, since))
            stream = connection.execution_options(
                stream_results=True, max_row_buffer=connector.page_size
            ).execute(statement)
            with stream:  # also where the reader stops half-way
                yield from _rows(stream, described, connector.page_size, entity.cursor)
    finally:
        engine.dispose()


def _rows(
    stream: sa.CursorResult[Any], described: dict[str, Any], size: int, cursor: CursorField | None
) -> Iterator[Item]:
    columns = tuple(stream.keys())
    at = columns.index(cursor.field) if cursor and cursor.field in columns else None
    row, newest = 0, None
    for block in stream.partitions(size):
        data = [encode(dict(zip(columns, values, strict=True))) for values in block]
        yield Records(data, {**described, "row": row + 1}, columns=columns)
        row += len(block)
        if at is not None:
            newest = greatest_value(newest, [values[at] for values in block], _as_json)
    if row == 0:
        yield Records([], described, columns=columns)
    if newest is not None:
        yield State(newest)


def _as_json(value: Any) -> Any:
    return json.loads(encode(value))


def _engine(url: str) -> Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        options: dict[str, Any] = {"poolclass": sa.pool.NullPool}
        if parsed.get_backend_name() == "postgresql":
            options["isolation_level"] = "REPEATABLE READ"
        return sa.create_engine(parsed, **options)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError) as error:
        raise SourceError(
            f"the source's database URL cannot be used: {redact(str(error))}",
            "write it as postgresql://user:password@host:5432/database, password as a secret",
        ) from None


@dataclass(frozen=True)
class _Wanted:
    """What is read: the entity, of which connector, since when."""

    name: str
    connector: SqlConnector
    entity: SqlEntity
    since: Since


def _statement(connection: sa.Connection, wanted: _Wanted) -> tuple[sa.Executable, dict[str, Any]]:
    """The statement, and how raw describes it."""
    if wanted.entity.query is not None:
        return _query(wanted.entity.query, wanted.entity.cursor, wanted.since)
    cursor = wanted.entity.cursor
    table = _table(connection, wanted)
    described: dict[str, Any] = {"table": table.fullname}
    if cursor is None:
        return sa.select(table), described
    if cursor.field not in table.c:
        raise SourceError(
            f"entity {wanted.name}: the table {table.fullname} has no column {cursor.field!r} for the cursor",
            f"its columns: {', '.join(table.c.keys())}",
        )
    statement = _since(sa.select(table), table.c[cursor.field], wanted.since)
    return statement, {**described, "since": wanted.since.cursor}


def _query(query: str, cursor: CursorField | None, since: Since) -> tuple[sa.Executable, dict[str, Any]]:
    inner = sa.text(query.strip().rstrip(";"))
    described: dict[str, Any] = {"query": query}
    if cursor is None or ":since" in query:
        bound = inner.bindparams(since=_moment(since.cursor)) if ":since" in query else inner
        return bound, {**described, "since": since.cursor}
    field: Any = sa.column(cursor.field)
    columns = sa.text(f"SELECT * FROM ({inner.text}) AS q")  # names only, for the filter
    subject: Any = columns.columns(field).subquery("q2")
    statement = sa.select(sa.text("*")).select_from(subject)
    described["cursor"] = cursor.field
    return _since(statement, subject.c[cursor.field], since), {**described, "since": since.cursor}


def _moment(value: Any) -> Any:
    """Text that is a time as a time: the database would not compare a varchar with its own."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _since(statement: sa.Select[Any], column: Any, since: Since) -> sa.Select[Any]:
    """`>=` and not `>`: rows with the cursor's own value may have come after the last run."""
    if since.cursor is None:
        return statement.order_by(column)
    value: Any = since.cursor
    if isinstance(column.type, sa.types.DateTime | sa.types.Date) and isinstance(value, str):
        value = datetime.fromisoformat(value)
        if not getattr(column.type, "timezone", False):
            value = value.replace(tzinfo=None)
    # what has no cursor could be new every time
    return statement.where(sa.or_(column >= value, column.is_(None))).order_by(column)


def _table(connection: sa.Connection, wanted: _Wanted) -> sa.Table:
    name, schema = str(wanted.entity.table), wanted.connector.db_schema
    schema_name, _, table_name = name.rpartition(".")
    try:
        return sa.Table(
            table_name,
            sa.MetaData(),
            schema=schema_name or schema,
            autoload_with=connection,
            resolve_fks=False,
        )
    except sa.exc.NoSuchTableError:
        inspector = sa.inspect(connection)
        known = sorted(inspector.get_table_names(schema_name or schema))
        raise SourceError(
            f"entity {wanted.name}: there is no table {name!r}",
            f"tables there: {', '.join(known[:20]) or 'none'}",
        ) from None


@contextmanager
def _source_errors(request: Request) -> Iterator[None]:
    where = f"source {request.source.source}, entity {request.name}"
    try:
        yield
    except DataplatformError:
        raise
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        text = redact(str(error.orig)).strip()
        kind = SourceError if "authentication" in text or "does not exist" in text else None
        if kind:
            raise kind(f"{where}: the database refused us: {text}", "check url and rights") from None
        raise SourceUnavailableError(f"{where}: the database cannot be reached: {text}") from None
    except sa.exc.SQLAlchemyError as error:
        text = redact(str(getattr(error, "orig", None) or error)).strip()
        raise SourceError(f"{where}: {text}", "check `table`, `query` and the rights") from None
    except (TypeError, json.JSONDecodeError, ValueError) as error:
        raise SourceError(f"{where}: {error}") from None
