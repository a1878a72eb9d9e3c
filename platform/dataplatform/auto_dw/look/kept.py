"""Profiles that are kept, so that only what changed is looked at again."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import orjson
import sqlalchemy as sa

from dataplatform.auto_dw.look.profiler import Scope, profile
from dataplatform.auto_dw.look.profiles import ColumnProfile, Reference, SchemaProfile, TableProfile
from dataplatform.auto_dw.tables import metadata
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.errors import MetadataError
from dataplatform.storage.postgres import connected, raw_connection

profile_table = sa.Table(
    "profile",
    metadata,
    sa.Column("schema_name", sa.Text, primary_key=True, comment="Schema that was looked at"),
    sa.Column("table_name", sa.Text, primary_key=True, comment="Table"),
    sa.Column("fingerprint", sa.Text, nullable=False, comment="Changes when the table does"),
    sa.Column("body", sa.LargeBinary, nullable=False, comment="Measures, JSON; no values but hashes"),
)
_STORED = {"shapes": "patterns"}  # what a column's field is called in `body`


def look(workspace: Workspace, omit: tuple[str, ...] = (), fresh: bool = False) -> SchemaProfile:
    """Profiles what changed since the last time, the rest comes from there; writes nothing."""
    schema = workspace.schema
    with connected(workspace.engine) as conn:
        known = {} if fresh else _known(conn, schema)
        _must_exist(conn, schema)
        conn.rollback()
        result = profile(raw_connection(conn), Scope(schema, skip=omit), known)
        conn.rollback()
    return result


def keep(workspace: Workspace, profiles: SchemaProfile) -> None:
    """Keeps what a look saw, for the next one."""
    with workspace.engine.begin() as conn:
        _put(conn, profiles.name, profiles.tables)


def _must_exist(conn: sa.Connection, schema: str) -> None:
    names = sa.inspect(conn).get_schema_names()
    if schema not in names:
        legal = ", ".join(n for n in names if n not in ("information_schema", "audit", "auto_dw"))
        raise MetadataError(f"there is no schema {schema}", f"schemas: {legal}; choose one with --schema")


def _known(conn: sa.Connection, schema: str) -> dict[str, TableProfile]:
    query = sa.select(profile_table.c.body).where(profile_table.c.schema_name == schema)
    return {t.name: t for t in map(_read, conn.execute(query).scalars())}


def _put(conn: sa.Connection, schema: str, tables: Mapping[str, TableProfile]) -> None:
    """Keeps the profiles, without the values that were looked at for their shapes."""
    conn.execute(profile_table.delete().where(profile_table.c.schema_name == schema))
    rows = [
        {"schema_name": schema, "table_name": t.name, "fingerprint": t.fingerprint, "body": _written(t)}
        for t in tables.values()
    ]
    if rows:
        conn.execute(profile_table.insert(), rows)


def _written(table: TableProfile) -> bytes:
    body = {**table.__dict__, "references": [asdict(r) for r in table.references]}
    body.pop("by_name", None)
    body["columns"] = [_written_column(column) for column in table.columns]
    return orjson.dumps(body)


def _written_column(column: ColumnProfile) -> dict[str, Any]:
    body = {**column.__dict__, "sketch": base64.b64encode(column.sketch.tobytes()).decode(), "sample": []}
    return {_STORED.get(name, name): value for name, value in body.items()}


def _read(body: bytes) -> TableProfile:
    found: dict[str, Any] = orjson.loads(body)
    found["uniques"] = tuple(map(tuple, found["uniques"]))
    found["primary_key"] = tuple(found["primary_key"])
    found["columns"] = tuple(map(_read_column, found["columns"]))
    found["references"] = tuple(map(_read_reference, found["references"]))
    return TableProfile(**found)


def _read_column(body: dict[str, Any]) -> ColumnProfile:
    named = {name: body.pop(stored) for name, stored in _STORED.items() if stored in body}
    sketch = np.frombuffer(base64.b64decode(body["sketch"]), np.int64)
    return ColumnProfile(**{**body, **named, "sketch": sketch, "sample": (), "labels": tuple(body["labels"])})


def _read_reference(body: dict[str, Any]) -> Reference:
    listed = {name: tuple(body[name]) for name in ("columns", "ref_columns", "evidence")}
    return Reference(**{**body, **listed})
