"""Rows of a database as JSON objects, through a streaming cursor; imported only where a database is read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.connectors import sql_types
from dataplatform.connectors.contract import (
    Item,
    Records,
    Reject,
    Request,
    Schema,
    Since,
    State,
    Wanted,
    encode,
    of_kind,
)
from dataplatform.connectors.cursors import greatest_value
from dataplatform.connectors.sql import SqlConnector, SqlEntity, SqlSource
from dataplatform.connectors.sql_values import Read, Unread, UnreadTime, prepare, readers, untyped
from dataplatform.errors import DataplatformError, SourceError, SourceUnavailableError
from dataplatform.metadata.found_tables import FoundTable
from dataplatform.metadata.source import CursorField
from dataplatform.secrets import redact

_UNREAD = frozenset({Unread, UnreadTime})


def read(request: Request, since: Since) -> Iterator[Item]:
    """Rows as JSON objects, `page_size` a page, read inside one (repeatable-read) transaction; then the cursor."""
    connector, entity = of_kind(request, SqlConnector, SqlEntity)
    engine = _engine(request.noted.note_url(str(request.resolve(connector.url))))
    try:
        with _source_errors(request), engine.connect() as connection:
            yield from _read(connection, _Wanted(request.name, connector, entity, since))
    finally:
        engine.dispose()


def read_together(wanted: Sequence[Wanted]) -> Iterator[tuple[str, Item]]:
    """The rows of all, in one (repeatable-read) transaction."""
    connector, _ = of_kind(wanted[0].request, SqlConnector, SqlEntity)
    engine = _engine(wanted[0].request.noted.note_url(str(wanted[0].request.resolve(connector.url))))
    try:
        with _source_errors(wanted[0].request), engine.connect() as connection:
            for one in wanted:
                with _source_errors(one.request):
                    _, entity = of_kind(one.request, SqlConnector, SqlEntity)
                    for item in _read(connection, _Wanted(one.request.name, connector, entity, one.since)):
                        yield one.request.name, item
    finally:
        engine.dispose()


def found_tables(source: SqlSource, resolve: Callable[[Any], Any]) -> list[FoundTable]:
    """The tables that the source's patterns mean."""
    from dataplatform.connectors.sql_tables import tables  # only where there are patterns

    said = source.connector.tables
    assert said is not None
    engine = _engine(str(resolve(source.connector.url)))
    try:
        with _told(f"source {source.source}, its tables"), engine.connect() as connection:
            return tables(
                connection, list(said.include), list(said.exclude), source.connector.db_schema, said.views
            )
    finally:
        engine.dispose()


def _read(connection: sa.Connection, wanted: _Wanted) -> Iterator[Item]:
    entity = wanted.entity
    asked = _asked(connection, wanted)
    stream = connection.execution_options(
        stream_results=True, max_row_buffer=wanted.connector.page_size
    ).execute(asked.statement)
    with stream:  # also where the reader stops half-way
        yield from _said(connection, stream, asked, entity)
        yield from _rows(stream, asked, wanted.connector.page_size, entity)


@dataclass(frozen=True)
class _Asked:
    """The statement, how raw describes it, and how values are read that come as they are stored."""

    statement: sa.Executable
    described: dict[str, Any]
    readers: Mapping[str, Read] = field(default_factory=dict)
    table: sa.Table | None = None
    state: int | None = None


def _said(
    connection: sa.Connection, stream: sa.CursorResult[Any], asked: _Asked, entity: SqlEntity
) -> Iterator[Schema]:
    """What the database knows of the columns, where it keeps to it."""
    dialect = connection.dialect.name
    types: dict[str, str | None] = {}
    if dialect == "postgresql" and stream.cursor is not None:
        types = sql_types.of_result(stream.cursor.description)
    elif dialect != "sqlite" and asked.table is not None:
        types = sql_types.of_table(asked.table)
    nested = {re.split(r"\.|__", path)[0] for path in entity.columns if path not in types}
    key = tuple(map(str, asked.table.primary_key.columns.keys())) if asked.table is not None else ()
    if any(types.values()):
        yield Schema(sql_types.unsaid(types, nested | set(entity.children)), key)


def _rows(stream: sa.CursorResult[Any], asked: _Asked, size: int, entity: SqlEntity) -> Iterator[Item]:
    columns = tuple(map(str, stream.keys()))
    cursor = entity.cursor.field if entity.cursor and asked.state is None else None
    row, newest = 0, None
    for block in stream.partitions(size):
        first, data, rejects, cursors = row + 1, [], [], []
        for values in block:
            row += 1
            record = dict(zip(columns, values, strict=True))
            ill = _ill(record, asked.readers)
            text = ill or _encoded(record)
            if isinstance(text, str):
                rejects.append(_reject(record, text, row, asked, entity.key))
                continue
            data.append(text)
            cursors.append(record.get(cursor) if cursor else None)
        yield Records(data, {**asked.described, "row": first}, columns=columns, rejects=tuple(rejects))
        newest = greatest_value(newest, cursors, _as_json)
    if row == 0:
        yield Records([], asked.described, columns=columns)
    if (state := newest if asked.state is None else asked.state) is not None:
        yield State(state)


def _ill(record: dict[str, Any], readers: Mapping[str, Read]) -> str:
    """Puts in what is read of stored values; says which column has a value that cannot be."""
    if not readers and _UNREAD.isdisjoint(map(type, record.values())):
        return ""
    for name, value in record.items():
        try:
            if isinstance(value, Unread):
                raise ValueError(value.reason)
            if value is not None and name in readers:
                record[name] = readers[name](value)
        except ValueError as error:
            return f"column `{name}`: {str(value)[:100]!r} cannot be read: {error}"
    return ""


def _encoded(record: dict[str, Any]) -> bytes | str:
    """The row as JSON, or why it cannot be that."""
    try:
        return encode(record)
    except (TypeError, ValueError, RecursionError) as error:
        return f"it cannot be written as JSON: {error}"


def _reject(record: dict[str, Any], problem: str, row: int, asked: _Asked, key: tuple[str, ...]) -> Reject:
    shown = {name: str(v) if isinstance(v, Unread | dict | list) else v for name, v in record.items()}
    table = asked.described.get("table", "the query")
    keys = ", ".join(f"{name} {shown[name]!r}" for name in key if name in shown)
    where = f"{table}, row {row}" + (f" ({keys})" if keys else "")
    return Reject(encode(shown).decode(), f"{where}, {problem}", row)


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


def _asked(connection: sa.Connection, wanted: _Wanted) -> _Asked:
    prepare(connection)
    is_sqlite = connection.dialect.name == "sqlite"
    if wanted.entity.query is not None:
        return _Asked(*_query(wanted.entity.query, wanted.entity.cursor, wanted.since))
    cursor = wanted.entity.cursor
    table = _table(connection, wanted)
    described: dict[str, Any] = {"table": table.fullname}
    whole = untyped(table) if is_sqlite else _whole(table, connection.dialect.name)
    types = readers(table) if is_sqlite else {}
    if cursor is None:
        return _Asked(whole, described, types, table)
    if cursor.field == "xmin" and "xmin" not in table.c:
        return _by_xmin(connection, wanted, table, whole)
    if cursor.field not in table.c:
        raise SourceError(
            f"entity {wanted.name}: the table {table.fullname} has no column {cursor.field!r} for the cursor",
            f"its columns: {', '.join(table.c.keys())}",
        )
    statement = _since(whole, table.c[cursor.field], wanted.since)
    return _Asked(statement, {**described, "since": wanted.since.cursor}, types, table)


def _by_xmin(connection: sa.Connection, wanted: _Wanted, table: sa.Table, whole: Any) -> _Asked:
    """Rows that transactions wrote which the last reading did not see; the new state: the oldest that still runs.

    `age` is compared with `age`, by the same clock: ids of 32 bits turn over, and rows that are older than that are
    read once more rather than missed.
    """
    if connection.dialect.name != "postgresql":
        raise SourceError(f"entity {wanted.name}: only Postgres has `xmin`", "name a column, or `load: full`")
    kind = connection.scalar(
        sa.text("select relkind::text from pg_class where oid = to_regclass(:name)"),
        {"name": connection.dialect.identifier_preparer.format_table(table)},
    )
    if kind not in ("r", "p", "m"):
        raise SourceError(
            f"entity {wanted.name}: {table.fullname} is no table of this server, its rows have no `xmin`",
            "name a column, or `load: full`",
        )
    state = connection.scalar(sa.text("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"))
    since = wanted.since.cursor
    if isinstance(since, int) and 0 <= state - since < 2**31:
        short = max(since % 2**32, 3)  # the first three mean something else
        whole = whole.where(sa.text(f"age(xmin) <= age('{short}'::xid)"))
    return _Asked(whole, {"table": table.fullname, "since": since}, {}, table, state)


def _whole(table: sa.Table, dialect: str) -> sa.Select[Any]:
    """All columns. MySQL's TIME is a duration, of up to 838 hours, of which SQLAlchemy would make a time of day."""
    if dialect not in ("mysql", "mariadb"):
        return sa.select(table)
    return sa.select(
        *(sa.cast(c, sa.String).label(c.name) if isinstance(c.type, sa.Time) else c for c in table.columns)
    )


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


def _source_errors(request: Request) -> AbstractContextManager[None]:
    return _told(f"source {request.source.source}, entity {request.name}")


@contextmanager
def _told(where: str) -> Iterator[None]:
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
