"""Values that a database's driver cannot read: each is met by itself, so that an ill one spoils only its row.

SQLite's columns hold anything; Postgres knows times that Python does not (`infinity`, the year 12000, before Christ).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

Read = Callable[[Any], Any]


class Unread(bytes):
    """A value as the database wrote it."""

    reason = "text that is not UTF-8"

    def __str__(self) -> str:
        return self.decode("utf-8", "backslashreplace")


class UnreadTime(Unread):
    """A time beyond those of Python."""

    reason = "beyond the years 1 to 9999"


def prepare(connection: sa.Connection) -> None:
    """Makes the driver give what it cannot read as an `Unread`; by itself it would end the whole result."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        driver.text_factory = _text
    elif connection.dialect.driver == "psycopg":
        _lenient_times(driver)


def _text(raw: bytes) -> str | Unread:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return Unread(raw)


def _lenient_times(connection: Any) -> None:
    import psycopg
    from psycopg.types import datetime as known

    def lenient(loader: type[Any]) -> type[Any]:
        def load(self: Any, data: Any) -> Any:
            try:
                return loader.load(self, data)
            except psycopg.DataError:
                return UnreadTime(data)

        return type(loader.__name__, (loader,), {"load": load})

    for name, loader in (
        ("date", known.DateLoader),
        ("timestamp", known.TimestampLoader),
        ("timestamptz", known.TimestamptzLoader),
    ):
        connection.adapters.register_loader(name, lenient(loader))


def untyped(table: sa.Table) -> sa.Select[*tuple[Any, ...]]:
    """All columns, as SQLite stores their values."""
    return sa.select(*[sa.type_coerce(column, sa.types.NullType()).label(column.name) for column in table.c])


def readers(table: sa.Table) -> dict[str, Read]:
    """Of each column, what makes of a stored value one of the column's type; raises ValueError."""
    return {column.name: _reader(column.type) for column in table.c}


def _reader(type_: sa.types.TypeEngine[Any]) -> Read:
    kinds: list[tuple[Any, Read]] = [
        (sa.types.DateTime, _moment(datetime)),
        (sa.types.Date, _moment(date)),
        (sa.types.Time, _moment(time)),
        (sa.types.Boolean, _boolean),
        (sa.types.Numeric, _number),  # Float is one, too
    ]
    return next((read for kind, read in kinds if isinstance(type_, kind)), lambda value: value)


def _moment(kind: type[datetime] | type[date] | type[time]) -> Read:
    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(f"no {kind.__name__}")
        return kind.fromisoformat(value)

    return read


def _boolean(value: Any) -> Any:
    if value in (0, 1):
        return bool(value)
    raise ValueError("neither 0 nor 1")


def _number(value: Any) -> Any:
    """As it is stored: SQLAlchemy would cut it at ten decimals."""
    if isinstance(value, int | float):
        return value
    try:
        number = Decimal(value)
    except (ArithmeticError, TypeError, ValueError):
        raise ValueError("no number") from None
    return number
