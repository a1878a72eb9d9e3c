"""What a database says of its columns: their types, as metadata write them; imported only where one is read.

SQLite says nothing that it keeps: any column holds anything (https://sqlite.org/datatype3.html), so its types are
found from the values, like those of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

# type OIDs of Postgres that a column type of ours holds without loss (pg_type.dat)
_OIDS = {
    16: "boolean", 20: "bigint", 21: "smallint", 23: "integer", 25: "text", 700: "real", 701: "double precision",
    1042: "text", 1043: "text", 1082: "date", 1083: "time", 1114: "timestamp", 1184: "timestamptz", 2950: "uuid",
    114: "jsonb", 3802: "jsonb", 869: "inet", 19: "text", 18: "text",
}  # fmt: skip
_NUMERIC_OID = 1700

_KINDS: tuple[tuple[type[sa.types.TypeEngine[Any]], str], ...] = (
    (sa.Boolean, "boolean"),
    (sa.SmallInteger, "smallint"),
    (sa.BigInteger, "bigint"),
    (sa.Integer, "integer"),
    (sa.Uuid, "uuid"),
    (sa.Double, "double precision"),
    (sa.Float, "double precision"),
    (sa.Date, "date"),
    (sa.JSON, "jsonb"),
    (sa.Text, "text"),
    (sa.String, "text"),
)


def of_result(description: Any) -> dict[str, str | None]:
    """Of the columns of a result of psycopg: types by name, None where ours would not hold it as it is."""
    return {column.name: _of_column(column) for column in description or ()}


def _of_column(column: Any) -> str | None:
    if column.type_code == _NUMERIC_OID:
        return _numeric(column.precision, column.scale)
    return _OIDS.get(column.type_code)


def _numeric(precision: int | None, scale: int | None) -> str:
    fits = precision and scale is not None and 0 <= scale <= precision
    return f"numeric({precision},{scale})" if fits else "numeric"


def of_table(table: sa.Table) -> dict[str, str | None]:
    """Of the columns of a reflected table; their names as plain text, which SQLAlchemy's are not (`quoted_name`)."""
    return {str(column.name): _of_type(column.type) for column in table.columns}


def _of_type(type_: sa.types.TypeEngine[Any]) -> str | None:
    if getattr(type_, "unsigned", False):  # MySQL's: one size up holds them
        return "numeric(20)" if isinstance(type_, sa.BigInteger) else "bigint"
    if isinstance(type_, sa.Numeric) and not isinstance(type_, sa.Float):
        return _numeric(type_.precision, type_.scale or 0)
    if isinstance(type_, sa.DateTime):
        return "timestamptz" if type_.timezone else "timestamp"
    return next((name for kind, name in _KINDS if isinstance(type_, kind)), None)


def unsaid(types: Mapping[str, str | None], nested: set[str]) -> dict[str, str | None]:
    """Without the JSON columns whose fields or items metadata speak of: these are taken apart."""
    return {name: None if type_ == "jsonb" and name in nested else type_ for name, type_ in types.items()}
