"""What became of one record: its versions in order, what changed from one to the next, and who wrote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dataplatform.context import Platform
from dataplatform.errors import MetadataError
from dataplatform.layers.silver.tables import entity_column
from dataplatform.metadata.source import Entity
from dataplatform.names import SYSTEM_PREFIX
from dataplatform.reading.names import entity_named, key_hashes, no_record
from dataplatform.reading.runs import Touch, loaded_by, touches
from dataplatform.records.refs import EntityRef
from dataplatform.storage.postgres import connected

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One column's value in the version before, and in this one."""

    column: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Version:
    """One version. Half-open interval, UTC; `values` in the order of the table's columns, dp_ ones left out.

    `changes` against the version before, none for the first. `touched`: what closed it where it is closed, else
    what changed it last; the same batch as `written` where nothing did.
    """

    valid_from: datetime
    valid_to: datetime | None
    current: bool
    deleted: bool
    values: dict[str, Any]
    changes: tuple[Change, ...]
    written: Touch
    touched: Touch


@dataclass(frozen=True)
class History:
    """All versions of one record, oldest first. Its dict is the document of `show TABLE KEY --json`."""

    entity: EntityRef
    table: str
    key: dict[str, Any]
    versions: tuple[Version, ...]

    def as_json(self) -> dict[str, Any]:
        return {"status": "done", **asdict(self)}


def history(platform: Platform, table: str, key: str) -> History:
    """`table`: an entity's own in silver, as `table_named` takes it; `key`: the business key (a,b), or dp_key.

    Raises MetadataError where there is no such entity or record, or where the key means several records.
    """
    ref, entity = entity_named(platform.catalog, table)
    with connected(platform.engine) as conn:
        if not sa.inspect(conn).has_table(ref.table, schema="silver"):
            raise no_record(ref, entity, key)
        rows = _rows(conn, ref, key_hashes(key, len(entity.key)))
        if not rows:
            raise no_record(ref, entity, key)
        _refuse_several(rows, key)
        runs = loaded_by(conn, ref, rows)
        columns = _key_columns(conn, ref, entity)
    return History(
        ref,
        f"silver.{ref.table}",
        {column: rows[-1].get(column) for column in columns},
        tuple(_version(row, before, runs) for before, row in zip([None, *rows[:-1]], rows, strict=True)),
    )


def _rows(conn: sa.Connection, ref: EntityRef, keys: Sequence[str]) -> list[Row]:
    table = sa.table(ref.table, sa.column("dp_key", sa.Uuid(as_uuid=False)), schema="silver")
    query = sa.select(sa.text("*")).select_from(table).where(table.c.dp_key.in_(keys))
    return [dict(row) for row in conn.execute(query.order_by(sa.column("dp_valid_from"))).mappings()]


def _refuse_several(rows: Sequence[Row], key: str) -> None:
    """1 and "1" are two keys; a person cannot tell them apart on a command line."""
    ids = sorted({str(row["dp_key"]) for row in rows})
    if len(ids) > 1:
        raise MetadataError(
            f"{len(ids)} records have the key {key!r}, one as a text and one as a number",
            f"name one by its dp_key: {' or '.join(ids)}",
        )


def _key_columns(conn: sa.Connection, ref: EntityRef, entity: Entity) -> list[str]:
    c = entity_column.c
    query = sa.select(c.path, c.column_name).where(
        c.source == ref.source, c.entity == ref.name, c.table_name == ref.table
    )
    columns = {row.path: row.column_name for row in conn.execute(query)}
    return [columns.get(path, path) for path in (field.replace(".", "__") for field in entity.key)]


def _version(row: Row, before: Row | None, runs: Mapping[str, str]) -> Version:
    values = {name: value for name, value in row.items() if not name.startswith(SYSTEM_PREFIX)}
    written, touched = touches(row, runs)
    return Version(
        row["dp_valid_from"],
        row["dp_valid_to"],
        row["dp_current"],
        row["dp_deleted"],
        values,
        () if before is None else _changes(before, values),
        written,
        touched,
    )


def _changes(before: Row, values: Mapping[str, Any]) -> tuple[Change, ...]:
    return tuple(Change(name, before[name], value) for name, value in values.items() if before[name] != value)
