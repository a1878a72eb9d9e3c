"""Dates and times that Python has no place for: `infinity`, years before Christ and after 9999, `24:00`.

Who only shows a row takes them as Postgres writes them; who works with it is told, as before.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.adapt import Buffer, Loader
from psycopg.types.datetime import (
    DateLoader,
    IntervalLoader,
    TimeLoader,
    TimestampLoader,
    TimestamptzLoader,
    TimetzLoader,
)

_LOADERS: dict[str, type[Loader]] = {
    "date": DateLoader, "interval": IntervalLoader, "time": TimeLoader, "timetz": TimetzLoader,
    "timestamp": TimestampLoader, "timestamptz": TimestamptzLoader,
}  # fmt: skip


def as_text_where_beyond(connection: psycopg.Connection[Any]) -> None:
    """From now on this connection gives such a value as text."""
    for name, base in _LOADERS.items():
        connection.adapters.register_loader(name, _lenient(base))


def _lenient(base: type[Loader]) -> type[Loader]:
    class Lenient(base):  # type: ignore[valid-type, misc]  # one for each of psycopg's own
        def load(self, data: Buffer) -> Any:
            try:
                return super().load(data)
            except (psycopg.DataError, OverflowError, ValueError):
                return bytes(data).decode()

    return Lenient
