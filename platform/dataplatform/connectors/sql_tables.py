"""Which tables a database has: their keys and comments; imported only where tables are named by a pattern."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.reflection import ObjectKind

from dataplatform.metadata.found_tables import FoundTable, matches

_SYSTEM = {"information_schema", "pg_catalog", "pg_toast", "mysql", "performance_schema", "sys"}
_PARTITIONS = "select relnamespace::regnamespace::text, relname from pg_class where relispartition"


def tables(
    connection: sa.Connection, include: list[str], exclude: list[str], default: str | None, views: bool
) -> list[FoundTable]:
    """The tables that the patterns mean, with their schema's name where it is not the default one."""
    inspector = sa.inspect(connection)
    usual = inspector.default_schema_name
    schemas: list[str | None] = [default or usual]
    if any("." in pattern for pattern in include):
        schemas = [s for s in inspector.get_schema_names() if s not in _SYSTEM]
    if connection.dialect.name == "sqlite":
        schemas = [None]
    parts = _partitions(connection)
    found: list[FoundTable] = []
    for schema in schemas:
        names = [name for name in _names(inspector, schema, views) if (schema, name) not in parts]
        full = {name: f"{schema}.{name}" if schema else name for name in names if "." not in name}
        is_usual = schema == (default or usual) or schema is None
        here = [pattern for pattern in include if is_usual or "." in pattern]
        wanted = [name for name, whole in full.items() if matches(whole, here, exclude)]
        found.extend(_described(inspector, schema, wanted, full, is_usual))
    return found


def _partitions(connection: sa.Connection) -> set[tuple[str | None, str]]:
    """Of Postgres: what is in a partition is in its table, too."""
    if connection.dialect.name != "postgresql":
        return set()
    return {(row[0], row[1]) for row in connection.exec_driver_sql(_PARTITIONS)}


def _names(inspector: Any, schema: str | None, views: bool) -> list[str]:
    names = list(inspector.get_table_names(schema))
    if hasattr(inspector, "get_foreign_table_names"):
        names += inspector.get_foreign_table_names(schema)
    if views:
        names += inspector.get_view_names(schema)
        if inspector.dialect.name == "postgresql":
            names += inspector.get_materialized_view_names(schema)
    return names


def _described(
    inspector: Any, schema: str | None, names: list[str], full: dict[str, str], usual: bool
) -> Iterator[FoundTable]:
    if not names:
        return
    some: dict[str, Any] = {"schema": schema, "filter_names": names, "kind": ObjectKind.ANY}
    keys = inspector.get_multi_pk_constraint(**some)
    columns = inspector.get_multi_columns(**some)
    unique = inspector.get_multi_unique_constraints(**some)
    comments = _comments(inspector, some)
    for name in names:
        place = (schema, name)
        held = {str(one["name"]): one for one in columns.get(place, ())}
        key = tuple((keys.get(place) or {}).get("constrained_columns") or ()) or _unique(
            unique.get(place) or (), held
        )
        texts = {column: str(one.get("comment") or "") for column, one in held.items()}
        yield FoundTable(full[name], tuple(map(str, key)), comments.get(place, ""), usual, texts)


def _unique(constraints: Any, columns: dict[str, Any]) -> tuple[str, ...]:
    """A unique constraint whose columns are never null does for a key."""
    for one in constraints:
        names = tuple(one["column_names"])
        if names and not any(columns.get(name, {}).get("nullable", True) for name in names):
            return names
    return ()


def _comments(inspector: Any, some: dict[str, Any]) -> dict[tuple[str | None, str], str]:
    try:
        found = inspector.get_multi_table_comment(**some)
    except NotImplementedError:
        return {}  # SQLite has none
    return {place: str((one or {}).get("text") or "") for place, one in found.items()}
