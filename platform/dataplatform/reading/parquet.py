"""Rows of a table as Parquet, written as they are read: a part of a file is in memory, never all of it.

The same rows and columns as the CSV of `browse`; types stay: a numeric is a decimal as wide as its values need.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.errors import TerminalError
from dataplatform.reading.browse import Asked, ColumnAbout, TableAbout, columns_of, query_of, reading

if TYPE_CHECKING:
    import pyarrow as pa

GROUP = 10_000  # rows in memory at once, and in a group of the file
WIDEST = 76  # digits of Parquet's widest decimal
_NUMERIC = re.compile(r"numeric(?:\((\d+),(-?\d+)\))?")


def can_write() -> bool:
    """Whether pyarrow is installed."""
    return importlib.util.find_spec("pyarrow") is not None


def parquet_parts(engine: Engine, table: TableAbout, asked: Asked) -> Iterator[bytes]:
    """A file in parts. One view of the table for all of it: it may change meanwhile."""
    import pyarrow.parquet

    columns = [table.column(name) for name in columns_of(table, asked)]
    query = query_of(table, asked, [c.name for c in columns])
    with reading(engine, 0, repeatable=True) as conn:
        schema = _schema(conn, query, columns)
        sink = _Sink()
        with pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
            found = conn.execution_options(stream_results=True, max_row_buffer=GROUP).execute(query)
            for rows in found.partitions(GROUP):
                writer.write_batch(_batch(schema, rows))
                yield sink.taken()
        yield sink.taken()


class _Sink:
    """What a file's writer needs; what was written is taken away again and again."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._at += len(part)
        return len(part)

    def tell(self) -> int:
        return self._at

    def taken(self) -> bytes:
        found, self._parts = b"".join(self._parts), []
        return found

    def flush(self) -> None:
        """Nothing is kept from whoever takes it."""

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def _schema(conn: sa.Connection, query: sa.Select[Any], columns: Sequence[ColumnAbout]) -> pa.Schema:
    import pyarrow as pa

    bare = [c.name for c in columns if c.type == "numeric"]
    widths = _widths(conn, query, bare) if bare else {}
    fields = [pa.field(c.name, _type(c.type, widths.get(c.name)), metadata=_about(c)) for c in columns]
    return pa.schema(fields)


def _about(column: ColumnAbout) -> dict[str, str] | None:
    return {"description": column.description} if column.description else None


def _widths(
    conn: sa.Connection, query: sa.Select[Any], names: Sequence[str]
) -> dict[str, tuple[int, int] | None]:
    """Digits before and after the point that the values need; None where one is no number that has them."""
    inner = query.order_by(None).subquery()
    asked: list[Any] = []
    for name in names:
        c: Any = inner.c[name]
        whole = sa.func.length(sa.cast(sa.func.trunc(sa.func.abs(c)), sa.Text))
        odd = sa.func.bool_or(sa.cast(c, sa.Text).in_(["NaN", "Infinity", "-Infinity"]))
        asked += [sa.func.max(whole), sa.func.max(sa.func.scale(c)), odd]
    row = conn.execute(sa.select(*asked)).one()
    found: dict[str, tuple[int, int] | None] = {}
    for number, name in enumerate(names):
        whole, scale, odd = row[3 * number : 3 * number + 3]
        found[name] = None if odd else (int(whole or 1), int(scale or 0))
    return found


def _type(name: str, width: tuple[int, int] | None) -> pa.DataType:
    import pyarrow as pa

    numeric = _NUMERIC.fullmatch(name)
    if numeric:
        if numeric[1]:
            width = (max(int(numeric[1]) - int(numeric[2]), 1), max(int(numeric[2]), 0))
        if width is None or sum(width) > WIDEST:
            return pa.string()
        return (
            pa.decimal128(sum(width), width[1]) if sum(width) <= 38 else pa.decimal256(sum(width), width[1])
        )
    kinds = {
        "smallint": pa.int16(), "integer": pa.int32(), "bigint": pa.int64(), "real": pa.float32(),
        "double precision": pa.float64(), "boolean": pa.bool_(), "date": pa.date32(), "bytea": pa.binary(),
        "timestamp without time zone": pa.timestamp("us"), "timestamp with time zone": pa.timestamp("us", "UTC"),
        "time without time zone": pa.time64("us"),
    }  # fmt: skip
    return kinds.get(name, pa.string())


def _batch(schema: pa.Schema, rows: Sequence[Any]) -> pa.RecordBatch:
    import pyarrow as pa

    arrays = []
    for number, field in enumerate(schema):
        values = [row[number] for row in rows]
        if pa.types.is_string(field.type):
            values = [_text(value) for value in values]
        try:
            arrays.append(pa.array(values, field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise TerminalError(
                f"{field.name} cannot be written as Parquet: {error}", "take the CSV"
            ) from None
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value, default=str).decode() if isinstance(value, dict | list) else str(value)
