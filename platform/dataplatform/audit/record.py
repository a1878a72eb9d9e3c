"""Writing and reading audit rows. The caller's connection decides the transaction."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from dataplatform.audit import tables as t
from dataplatform.records.counts import Counts
from dataplatform.records.refs import BatchRef, EntityRef, RunRef

Connection = sa.Connection


Layer = Literal["raw", "bronze", "silver"]


@dataclass(frozen=True)
class Load:
    """What became of one batch of one entity in one layer. `detail`: which path was taken, and notes."""

    layer: Layer
    batch: BatchRef
    run: RunRef
    counts: Counts = field(default_factory=Counts)
    seconds: float = 0.0
    mode: str | None = None
    detail: dict[str, Any] | None = None
    error: str | None = None

    @property
    def status(self) -> str:
        return "failed" if self.error else "done"


def start_run(conn: Connection, run: RunRef, source: str, batch_id: str, parameters: dict[str, Any]) -> str:
    """Notes that a run begins; a run that began before keeps its batch. Returns the batch's id."""
    row = {
        "run_id": run.run_id,
        "source": source,
        "batch_id": batch_id,
        "status": "running",
        "parameters": parameters,
        "started_at": datetime.now(UTC),
    }
    again = {"status": "running", "error": None, "finished_at": None}
    statement = insert(t.run).values(row).on_conflict_do_update(index_elements=["run_id"], set_=again)
    return str(conn.execute(statement.returning(t.run.c.batch_id)).scalar_one())


def finish_run(conn: Connection, run: RunRef, status: str, error: str | None) -> None:
    conn.execute(
        t.run.update()
        .where(t.run.c.run_id == run.run_id)
        .values(status=status, error=error, finished_at=datetime.now(UTC))
    )


def running(conn: Connection) -> list[str]:
    """Ids of the runs that have not ended, as far as anybody has said."""
    return list(conn.execute(sa.select(t.run.c.run_id).where(t.run.c.status == "running")).scalars())


def finish_dead_run(conn: Connection, run: RunRef, error: str) -> None:
    """Closes a run that nobody goes on with; one that has ended meanwhile stays as it ended."""
    still = t.run.update().where(t.run.c.run_id == run.run_id, t.run.c.status == "running")
    conn.execute(still.values(status="failed", error=error, finished_at=datetime.now(UTC)))


def put_load(conn: Connection, load: Load) -> None:
    """One row for entity × layer × batch; a later try replaces it."""
    values = asdict(load.counts)
    row = {
        "source": load.batch.source,
        "entity": load.batch.name,
        "layer": load.layer,
        "batch_id": load.batch.batch_id,
        "run_id": load.run.run_id,
        "status": load.status,
        "mode": load.mode,
        "in": values.pop("read"),
        **values,
        "seconds": round(load.seconds, 4),
        "detail": load.detail,
        "error": load.error,
        "finished_at": sa.func.clock_timestamp(),  # gold compares it with the server's times
    }
    key = ["source", "entity", "layer", "batch_id"]
    statement = insert(t.load).values(row)
    rest = {name: statement.excluded[name] for name in row if name not in key}
    conn.execute(statement.on_conflict_do_update(index_elements=key, set_=rest))


def get_load(conn: Connection, layer: Layer, batch: BatchRef) -> tuple[str, Counts] | None:
    """Status and counts of a load, if there was one."""
    c = t.load.c
    query = sa.select(t.load).where(*_of(batch.entity), c.layer == layer, c.batch_id == batch.batch_id)
    row = conn.execute(query).mappings().first()
    if row is None:
        return None
    names = ("inserted", "updated", "closed", "unchanged", "quarantined")
    return row["status"], Counts(read=row["in"], **{n: row[n] for n in names})


def loaded_batches(conn: Connection, ref: EntityRef, layer: Layer) -> list[str]:
    """Batches that are in, oldest first."""
    c = t.load.c
    query = sa.select(c.batch_id).where(*_of(ref), c.layer == layer, c.status == "done")
    return list(conn.execute(query.order_by(c.batch_id)).scalars())


def landed_batches(conn: Connection, ref: EntityRef) -> set[str]:
    """Batches that were landed, those of which retention left nothing included."""
    c = t.load.c
    query = sa.select(c.batch_id).where(*_of(ref), c.layer == "raw", c.status.in_(("done", "retired")))
    return set(conn.execute(query).scalars())


def retire(conn: Connection, ref: EntityRef, batches: list[str]) -> None:
    """Of these batches nothing is left: they count as loaded no more, and stay on record."""
    c = t.load.c
    gone = t.load.update().where(*_of(ref), c.batch_id.in_(batches), c.status == "done")
    conn.execute(gone.values(status="retired"))


def last_full(conn: Connection, ref: EntityRef) -> str | None:
    """The newest batch in silver that held everything there was."""
    c = t.load.c
    query = sa.select(sa.func.max(c.batch_id)).where(
        *_of(ref), c.layer == "silver", c.status == "done", c.mode == "full"
    )
    newest: str | None = conn.execute(query).scalar_one()
    return newest


def load_detail(conn: Connection, layer: Layer, batch: BatchRef) -> dict[str, Any]:
    """How a load was done; empty where there was none."""
    c = t.load.c
    query = sa.select(c.detail).where(*_of(batch.entity), c.layer == layer, c.batch_id == batch.batch_id)
    return conn.execute(query).scalar_one_or_none() or {}


def remarks(conn: Connection, source: str, batch_id: str) -> dict[str, dict[str, list[str]]]:
    """By entity what its load into silver said: `notes` and `warnings`."""
    c = t.load.c
    query = sa.select(c.entity, c.detail).where(
        c.source == source, c.batch_id == batch_id, c.layer == "silver", c.status == "done"
    )
    return {
        entity: {kind: list((detail or {}).get(kind) or ()) for kind in ("notes", "warnings")}
        for entity, detail in conn.execute(query)
    }


def refused_batches(conn: Connection, ref: EntityRef) -> set[str]:
    """Batches that silver would not take; those that only met a server that failed are not among them."""
    c = t.load.c
    transient = sa.func.coalesce(c.detail["transient"].as_boolean(), False)
    query = sa.select(c.batch_id).where(
        *_of(ref), c.layer == "silver", c.status == "failed", sa.not_(transient)
    )
    return set(conn.execute(query).scalars())


def unprocessed(conn: Connection, source: str) -> dict[EntityRef, list[str]]:
    """Batches of a source that are landed but neither in silver nor refused by it, oldest first."""
    raw, silver = t.load.alias("raw"), t.load.alias("silver")
    refused = sa.and_(
        silver.c.status == "failed",
        sa.not_(sa.func.coalesce(silver.c.detail["transient"].as_boolean(), False)),
    )
    settled = sa.exists().where(
        silver.c.source == raw.c.source,
        silver.c.entity == raw.c.entity,
        silver.c.layer == "silver",
        silver.c.batch_id == raw.c.batch_id,
        sa.or_(silver.c.status == "done", refused),
    )
    query = sa.select(raw.c.entity, raw.c.batch_id).where(
        raw.c.source == source, raw.c.layer == "raw", raw.c.status == "done", ~settled
    )
    waiting: dict[EntityRef, list[str]] = {}
    for name, batch_id in conn.execute(query.order_by(raw.c.batch_id)):
        waiting.setdefault(EntityRef(source, name), []).append(batch_id)
    return waiting


def forget_loads(conn: Connection, ref: EntityRef, layer: Layer, batches: list[str]) -> None:
    c = t.load.c
    conn.execute(t.load.delete().where(*_of(ref), c.layer == layer, c.batch_id.in_(batches)))


def _of(ref: EntityRef) -> tuple[sa.ColumnElement[bool], ...]:
    return t.load.c.source == ref.source, t.load.c.entity == ref.name


def usual_counts(conn: Connection, before: BatchRef, number: int = 5) -> list[int]:
    """Records of the newest loaded batches before one."""
    c = t.load.c
    query = sa.select(c["in"]).where(
        *_of(before.entity), c.layer == "silver", c.status == "done", c.batch_id < before.batch_id
    )
    return list(conn.execute(query.order_by(c.batch_id.desc()).limit(number)).scalars())


def get_cursor(conn: Connection, ref: EntityRef) -> Any:
    c = t.cursor.c
    query = sa.select(c.value).where(c.source == ref.source, c.entity == ref.name)
    return conn.execute(query).scalar_one_or_none()


def put_cursor(conn: Connection, batch: BatchRef, value: Any) -> None:
    row = _cursor_row(batch, value)
    statement = insert(t.cursor).values(row)
    conn.execute(statement.on_conflict_do_update(index_elements=["source", "entity"], set_=row))


def put_state(conn: Connection, batch: BatchRef, value: Any) -> None:
    """A connector's state; one that a newer batch brought stays."""
    row = _cursor_row(batch, value)
    statement = insert(t.cursor).values(row)
    newer = t.cursor.c.batch_id <= statement.excluded.batch_id
    conn.execute(statement.on_conflict_do_update(index_elements=["source", "entity"], set_=row, where=newer))


def _cursor_row(batch: BatchRef, value: Any) -> dict[str, Any]:
    return {
        "source": batch.source,
        "entity": batch.name,
        "value": value,
        "batch_id": batch.batch_id,
        "updated_at": datetime.now(UTC),
    }


def note_schema_change(conn: Connection, rows: list[dict[str, Any]]) -> None:
    if rows:
        now = datetime.now(UTC)
        conn.execute(t.schema_change.insert(), [{"created_at": now, **row} for row in rows])


def forget_entity(conn: sa.Connection, ref: EntityRef) -> int:
    """Deletes its loads, cursor and schema changes, and returns how many; runs stay: they tell what was done."""
    gone = 0
    for table in (t.load, t.cursor, t.schema_change):
        mine = (table.c.source == ref.source, table.c.entity == ref.name)
        gone += conn.execute(table.delete().where(*mine)).rowcount
    return gone


def entities_in(conn: sa.Connection, source: str) -> set[str]:
    """Names of all entities of a source that was ever loaded, or has a cursor."""
    named = [sa.select(c.entity).where(c.source == source) for c in (t.load.c, t.cursor.c)]
    return set(conn.execute(sa.union(*named)).scalars())
