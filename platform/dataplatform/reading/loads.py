"""Runs and loads as pages and the API show them: newest first, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dataplatform.audit import tables as t
from dataplatform.reading.runs import RunRow, runs_by_id
from dataplatform.records.refs import EntityRef


@dataclass(frozen=True)
class LoadRow:
    """A load of one batch of one entity into one layer; `seconds` of wall time, times in UTC."""

    entity: str
    layer: str
    batch_id: str
    run_id: str
    status: str
    read: int
    inserted: int
    updated: int
    closed: int
    unchanged: int
    quarantined: int
    seconds: float
    error: str | None
    finished_at: datetime


@dataclass(frozen=True)
class SchemaChange:
    """What changed in a table of silver."""

    table: str
    column: str | None
    change: str
    before: str | None
    after: str | None
    batch_id: str | None
    created_at: datetime


@dataclass(frozen=True)
class CursorRow:
    """How far a delta entity has read."""

    entity: str
    value: Any
    batch_id: str
    updated_at: datetime


_LAYERS = sa.case({"raw": 0, "bronze": 1, "silver": 2}, value=t.load.c.layer, else_=3)


def runs(
    conn: sa.Connection, limit: int, before: datetime | None = None, source: str = "", status: str = ""
) -> list[RunRow]:
    """Newest first; `before`: those that started earlier."""
    c = t.run.c
    wanted = [c.source == source] if source else []
    wanted += [c.status == status] if status else []
    wanted += [c.started_at < before] if before else []
    query = sa.select(t.run).where(*wanted).order_by(c.started_at.desc(), c.run_id).limit(limit)
    return [RunRow(**row) for row in conn.execute(query).mappings()]


def run_named(conn: sa.Connection, run_id: str) -> RunRow | None:
    return runs_by_id(conn, [run_id]).get(run_id)


def loads_of_run(conn: sa.Connection, run: RunRow) -> list[LoadRow]:
    """What a run did, also of batches that an earlier one had left behind."""
    c = t.load.c
    query = sa.select(t.load).where(
        c.source == run.source, sa.or_(c.batch_id == run.batch_id, c.run_id == run.run_id)
    )
    return _loads(conn, query.order_by(c.entity, c.batch_id, _LAYERS).limit(2000))


def loads_of_source(conn: sa.Connection, source: str, limit: int = 100) -> list[LoadRow]:
    """The newest loads of silver of a source, and what failed before it."""
    c = t.load.c
    query = sa.select(t.load).where(c.source == source, sa.or_(c.layer == "silver", c.status == "failed"))
    return _loads(conn, query.order_by(c.batch_id.desc(), c.entity).limit(limit))


def schema_changes(conn: sa.Connection, source: str, limit: int = 50) -> list[SchemaChange]:
    """Newest first."""
    c = t.schema_change.c
    query = sa.select(
        c.table_name, c.column_name, c.change, c.before, c.after, c.batch_id, c.created_at
    ).where(c.source == source)
    return [SchemaChange(*row) for row in conn.execute(query.order_by(c.id.desc()).limit(limit))]


def cursors(conn: sa.Connection, source: str) -> list[CursorRow]:
    c = t.cursor.c
    query = sa.select(c.entity, c.value, c.batch_id, c.updated_at).where(c.source == source)
    return [CursorRow(*row) for row in conn.execute(query.order_by(c.entity))]


def reset_cursor(conn: sa.Connection, ref: EntityRef) -> bool:
    """Forgets how far an entity has read: its next run begins anew, which changes no row that is the same."""
    c = t.cursor.c
    done = conn.execute(t.cursor.delete().where(c.source == ref.source, c.entity == ref.name))
    return bool(done.rowcount)


def _loads(conn: sa.Connection, query: Any) -> list[LoadRow]:
    names = [f for f in LoadRow.__dataclass_fields__ if f != "read"]
    return [
        LoadRow(read=row["in"], **{name: row[name] for name in names})
        for row in conn.execute(query).mappings()
    ]
