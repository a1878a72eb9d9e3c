"""A table as a page shows it: its columns, and rows that are filtered and sorted by what a person asks.

Names are quoted, values are bound and cast to the column's type by Postgres; every query is read-only and has a limit
of time.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal, get_args

import orjson
import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.errors import MetadataError, TerminalError
from dataplatform.names import SYSTEM_PREFIX
from dataplatform.reading.names import TableName
from dataplatform.storage.beyond import as_text_where_beyond
from dataplatform.storage.postgres import connected, raw_connection

Operator = Literal["is", "is not", "contains", "<", ">", "is null", "is not null"]
OPERATORS: tuple[Operator, ...] = get_args(Operator)
SECONDS = 10  # that a query of a page may take
DEEPEST = 10_000  # rows that may be skipped
SCHEMAS = ("silver", "gold")


@dataclass(frozen=True)
class ColumnAbout:
    """A column; `type` as Postgres writes it."""

    name: str
    type: str
    description: str
    position: int = 0


@dataclass(frozen=True)
class TableAbout:
    """A table or view; `rows`: about so many, -1 where Postgres does not know."""

    schema: str
    name: str
    kind: str
    description: str
    rows: int
    columns: tuple[ColumnAbout, ...] = ()

    @property
    def has_history(self) -> bool:
        return any(c.name == "dp_current" for c in self.columns)

    @property
    def shown(self) -> tuple[ColumnAbout, ...]:
        """Columns that are not the platform's own."""
        return tuple(c for c in self.columns if not c.name.startswith(SYSTEM_PREFIX))

    def column(self, name: str) -> ColumnAbout:
        for column in self.columns:
            if column.name == name:
                return column
        raise MetadataError(
            f"{self.schema}.{self.name} has no column {name}", ", ".join(c.name for c in self.columns)
        )


@dataclass(frozen=True)
class Filter:
    """One condition."""

    column: str
    operator: Operator
    value: str = ""


@dataclass(frozen=True)
class Asked:
    """What a person wants to see. `history`: all versions, not the current ones alone; `skip`: so many rows."""

    filters: tuple[Filter, ...] = ()
    sort: str = ""
    descending: bool = False
    history: bool = False
    skip: int = 0
    limit: int = 50


@dataclass(frozen=True)
class TableRows:
    """Rows in the order of `columns`; `more`: whether there are others behind them."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    more: bool


class _Named(sa.types.UserDefinedType[Any]):
    """A type by its name, as format_type gives it."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name


_TABLES = (
    "select n.nspname, c.relname, case c.relkind when 'v' then 'view' when 'm' then 'view' else 'table' end, "
    "coalesce(obj_description(c.oid, 'pg_class'), ''), case when c.reltuples < 0 then coalesce(s.n_live_tup, -1) "
    "else c.reltuples end::bigint from pg_class c join pg_namespace n on n.oid = c.relnamespace "
    "left join pg_stat_all_tables s on s.relid = c.oid "
    "where n.nspname in ('silver', 'gold') and c.relkind in ('r', 'p', 'v', 'm')"
)
_COLUMNS = sa.text(
    "select a.attname, format_type(a.atttypid, a.atttypmod), coalesce(col_description(a.attrelid, a.attnum), ''), "
    "a.attnum from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace "
    "where n.nspname = :schema and c.relname = :name and a.attnum > 0 and not a.attisdropped order by a.attnum"
)
_NAMES = sa.text(
    "select n.nspname || '.' || c.relname, array_agg(a.attname::text order by a.attnum) from pg_class c "
    "join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 "
    "and not a.attisdropped where n.nspname in ('silver', 'silver_current', 'gold') "
    "and c.relkind in ('r', 'p', 'v', 'm') group by 1 order by 1 limit 3000"
)


def tables(conn: sa.Connection) -> list[TableAbout]:
    """All of gold, then of silver, by name, without their columns."""
    found = conn.execute(sa.text(f"{_TABLES} order by n.nspname, c.relname"))
    return [TableAbout(*row) for row in found]


def names(conn: sa.Connection) -> dict[str, list[str]]:
    """Columns by table of silver and gold, for who writes SQL."""
    return {table: list(columns) for table, columns in conn.execute(_NAMES)}


def described(conn: sa.Connection) -> dict[str, tuple[str, list[tuple[str, str, str]]]]:
    """Of gold, and of silver as it is today: description and columns (name, type, description) by table."""
    query = sa.text(
        "select case n.nspname when 'silver' then 'silver_current' else n.nspname end || '.' || c.relname, "
        "coalesce(obj_description(c.oid, 'pg_class'), ''), a.attname, format_type(a.atttypid, a.atttypmod), "
        "coalesce(col_description(a.attrelid, a.attnum), '') from pg_class c join pg_namespace n "
        "on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "where n.nspname in ('silver', 'gold') and c.relkind in ('r', 'p', 'v', 'm') and left(a.attname, 3) <> 'dp_' "
        "and (n.nspname = 'gold' or to_regclass('silver_current.' || quote_ident(c.relname)) is not null) "
        "order by n.nspname, c.relname, a.attnum"
    )
    found: dict[str, tuple[str, list[tuple[str, str, str]]]] = {}
    for table, text, *column in conn.execute(query):
        found.setdefault(table, (text, []))[1].append((column[0], column[1], column[2]))
    return found


def about(conn: sa.Connection, schema: str, name: str) -> TableAbout:
    """Raises MetadataError where there is no such table of silver or gold."""
    query = sa.text(f"{_TABLES} and n.nspname = :schema and c.relname = :name")
    row = conn.execute(query, {"schema": schema, "name": name}).first()
    if row is None:
        raise MetadataError(f"there is no table {schema}.{name}", "see the list of tables")
    columns = conn.execute(_COLUMNS, {"schema": schema, "name": name})
    return replace(TableAbout(*row), columns=tuple(ColumnAbout(*c) for c in columns))


def rows(engine: Engine, table: TableAbout, asked: Asked) -> TableRows:
    """Raises TerminalError where a value is none of the column's type, or the query takes too long."""
    columns = columns_of(table, asked)
    query = query_of(table, asked, columns).offset(min(asked.skip, DEEPEST)).limit(asked.limit + 1)
    with reading(engine) as conn:
        found = tuple(tuple(row) for row in conn.execute(query))
    return TableRows(tuple(columns), found[: asked.limit], len(found) > asked.limit)


def csv_lines(engine: Engine, table: TableAbout, asked: Asked) -> Iterator[str]:
    """All that is asked for, as CSV, read as it is sent. A text that a spreadsheet would calculate is quoted by '."""
    columns = columns_of(table, asked)
    query = query_of(table, asked, columns)
    with reading(engine, 0) as conn:
        yield _csv([columns])
        for part in conn.execution_options(stream_results=True).execute(query).partitions(1000):
            yield _csv(part)


def csv_text(columns: tuple[str, ...], rows: Any) -> str:
    return _csv([columns, *rows])


def _csv(lines: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([_harmless(value) for value in line] for line in lines)
    return text.getvalue()


def _harmless(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, dict | list):
        value = orjson.dumps(value, default=str).decode()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value


def columns_of(table: TableAbout, asked: Asked) -> list[str]:
    """Which of its columns are shown and downloaded."""
    own = [c.name for c in table.shown]
    if not table.has_history:
        return own
    versions = ["dp_valid_from", "dp_valid_to", "dp_deleted"] if asked.history else []
    return [*(n for n in ("dp_key",) if any(c.name == n for c in table.columns)), *own, *versions]


def query_of(table: TableAbout, asked: Asked, columns: list[str]) -> sa.Select[Any]:
    """All rows that are asked for."""
    relation = sa.table(table.name, schema=table.schema)
    chosen: list[Any] = [sa.column(name) for name in columns]
    query = sa.select(*chosen).select_from(relation)
    for one in asked.filters:
        query = query.where(_clause(table, one))
    if table.has_history and not asked.history:
        query = query.where(sa.column("dp_current"))
    if asked.sort:
        column: Any = sa.column(table.column(asked.sort).name)
        query = query.order_by(column.desc().nulls_last() if asked.descending else column.asc().nulls_last())
    if any(c.name == "dp_id" for c in table.columns):
        query = query.order_by(sa.column("dp_id"))
    return query


def _clause(table: TableAbout, one: Filter) -> sa.ColumnElement[bool]:
    about_it = table.column(one.column)
    column: Any = sa.column(about_it.name)
    if one.operator in ("is null", "is not null"):
        return column.is_(None) if one.operator == "is null" else column.is_not(None)  # type: ignore[no-any-return]
    if one.operator == "contains":
        return sa.cast(column, sa.Text).icontains(one.value, autoescape=True)
    if "\0" in one.value:
        raise TerminalError("no text of Postgres holds a zero byte", "take it out of the filter")
    value = sa.cast(sa.bindparam(None, one.value, sa.Text), _Named(about_it.type))
    if one.operator == "is not":
        return column.is_distinct_from(value)  # type: ignore[no-any-return]
    symbol = {"is": "=", "<": "<", ">": ">"}[one.operator]
    return column.op(symbol, is_comparison=True)(value)  # type: ignore[no-any-return]


@contextmanager
def reading(engine: Engine, seconds: int = SECONDS, repeatable: bool = False) -> Iterator[sa.Connection]:
    """A read-only transaction with a limit of time (0: none); Postgres' refusals in words.

    `repeatable`: all its queries see the same.
    """
    level = "isolation level repeatable read, " if repeatable else ""
    with connected(engine) as conn:
        as_text_where_beyond(raw_connection(conn))
        conn.execute(sa.text(f"set transaction {level}read only"))
        conn.execute(sa.text(f"set local statement_timeout = {seconds * 1000}"))
        try:
            yield conn
        except sa.exc.DBAPIError as error:
            if isinstance(error.orig, psycopg.errors.QueryCanceled):
                raise TerminalError(
                    f"Postgres needs more than {seconds} seconds for that",
                    "filter more, or sort by another column",
                ) from None
            if isinstance(error.orig, psycopg.DataError | psycopg.ProgrammingError):
                first = str(error.orig).strip().splitlines()[0]
                raise TerminalError(f"Postgres says: {first}", "correct the filter") from None
            raise


def named(table: TableAbout) -> TableName:
    return TableName(table.schema, table.name)
