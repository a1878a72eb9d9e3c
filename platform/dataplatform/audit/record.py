"""Writing and reading audit rows. The caller's connection decides the transaction."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from dataplatform.audit import tables as t

Connection = sa.Connection


@dataclass(frozen=True)
class Counts:
    """What a load did, in rows. `read`: records that came in."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    closed: int = 0
    unchanged: int = 0
    quarantined: int = 0


def start_run(conn: Connection, run_id: str, source: str, batch_id: str, parameters: dict[str, Any]) -> str:
    """Notes that a run begins; a run that began before keeps its batch. Returns the batch's id."""
    row = {
        "run_id": run_id, "source": source, "batch_id": batch_id, "status": "running",
        "parameters": parameters, "started_at": datetime.now(UTC),
    }  # fmt: skip
    again = {"status": "running", "error": None, "finished_at": None}
    statement = insert(t.run).values(row).on_conflict_do_update(index_elements=["run_id"], set_=again)
    return str(conn.execute(statement.returning(t.run.c.batch_id)).scalar_one())


def finish_run(conn: Connection, run_id: str, error: str | None) -> None:
    conn.execute(
        t.run.update().where(t.run.c.run_id == run_id).values(
            status="failed" if error else "done", error=error, finished_at=datetime.now(UTC)
        )
    )  # fmt: skip


def put_load(
    conn: Connection,
    source: str,
    entity: str,
    layer: str,
    batch_id: str,
    run_id: str,
    counts: Counts,
    seconds: float,
    mode: str | None = None,
    detail: dict[str, Any] | None = None,
    error: str | None = None,
) -> None:
    """One row for entity × layer × batch; a later try replaces it."""
    values = asdict(counts)
    row = {
        "source": source, "entity": entity, "layer": layer, "batch_id": batch_id,
        "run_id": run_id, "status": "failed" if error else "done", "mode": mode,
        "in": values.pop("read"), **values, "seconds": round(seconds, 4), "detail": detail,
        "error": error, "finished_at": sa.func.clock_timestamp(),  # gold compares it with the server's times
    }  # fmt: skip
    key = ["source", "entity", "layer", "batch_id"]
    statement = insert(t.load).values(row)
    rest = {name: statement.excluded[name] for name in row if name not in key}
    conn.execute(statement.on_conflict_do_update(index_elements=key, set_=rest))


def get_load(
    conn: Connection, source: str, entity: str, layer: str, batch_id: str
) -> tuple[str, Counts] | None:
    """Status and counts of a load, if there was one."""
    c = t.load.c
    query = sa.select(t.load).where(
        c.source == source, c.entity == entity, c.layer == layer, c.batch_id == batch_id
    )
    row = conn.execute(query).mappings().first()
    if row is None:
        return None
    names = ("inserted", "updated", "closed", "unchanged", "quarantined")
    return row["status"], Counts(read=row["in"], **{n: row[n] for n in names})


def loaded_batches(conn: Connection, source: str, entity: str, layer: str) -> list[str]:
    """Batches that are in, oldest first."""
    c = t.load.c
    query = sa.select(c.batch_id).where(
        c.source == source, c.entity == entity, c.layer == layer, c.status == "done"
    )
    return list(conn.execute(query.order_by(c.batch_id)).scalars())


def refused_batches(conn: Connection, source: str, entity: str) -> set[str]:
    """Batches that silver would not take; those that only met a server that failed are not among them."""
    c = t.load.c
    query = sa.select(c.batch_id).where(
        c.source == source, c.entity == entity, c.layer == "silver", c.status == "failed",
        sa.not_(sa.func.coalesce(c.detail["transient"].as_boolean(), False)),
    )  # fmt: skip
    return set(conn.execute(query).scalars())


def forget_loads(
    conn: Connection, source: str, entity: str, layers: tuple[str, ...], batches: list[str]
) -> None:
    c = t.load.c
    where = (c.source == source, c.entity == entity, c.layer.in_(layers), c.batch_id.in_(batches))
    conn.execute(t.load.delete().where(*where))


def usual_counts(conn: Connection, source: str, entity: str, before: str, number: int = 5) -> list[int]:
    """Records of the newest loaded batches before one."""
    c = t.load.c
    query = sa.select(c["in"]).where(
        c.source == source, c.entity == entity, c.layer == "silver", c.status == "done", c.batch_id < before
    )
    return list(conn.execute(query.order_by(c.batch_id.desc()).limit(number)).scalars())


def get_cursor(conn: Connection, source: str, entity: str) -> Any:
    c = t.cursor.c
    query = sa.select(c.value).where(c.source == source, c.entity == entity)
    return conn.execute(query).scalar_one_or_none()


def put_cursor(conn: Connection, source: str, entity: str, value: Any, batch_id: str) -> None:
    row = {
        "source": source, "entity": entity, "value": value, "batch_id": batch_id,
        "updated_at": datetime.now(UTC),
    }  # fmt: skip
    statement = insert(t.cursor).values(row)
    conn.execute(statement.on_conflict_do_update(index_elements=["source", "entity"], set_=row))


def note_schema_change(conn: Connection, rows: list[dict[str, Any]]) -> None:
    if rows:
        now = datetime.now(UTC)
        conn.execute(t.schema_change.insert(), [{"created_at": now, **row} for row in rows])
