"""The inbox: what was pushed to us lies here, complete or not at all, until a batch has landed it.

`put` is called by whoever receives (a command, an HTTP route in another process). A batch takes what
is there (`claim`),
its records are landed, and they go in the transaction that notes the batch (`settle`). Killed before
that, they are taken
again; killed after the batch's files were complete, they go when the batch is noted (`claimed` names it).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine

from dataplatform.audit.tables import inbox, inbox_key
from dataplatform.records.refs import BatchRef, EntityRef
from dataplatform.storage.postgres import connected, raw_connection, transaction

KEYS_KEPT = timedelta(days=14)  # a client that repeats itself does so sooner
_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of an entity waits to be landed: how many records, and since when."""

    records: int = 0
    since: datetime | None = None


def put(conn: sa.Connection, ref: EntityRef, records: Sequence[bytes], key: str | None) -> int | None:
    """Adds records in the caller's transaction. With a key that was there before nothing is added, and it returns how
    many came with it then."""
    now = datetime.now(UTC)
    if key is not None:
        row = {
            "source": ref.source,
            "entity": ref.name,
            "key": key,
            "records": len(records),
            "received_at": now,
        }
        adding = insert(inbox_key).values(row).on_conflict_do_nothing().returning(inbox_key.c.key)
        if conn.execute(adding).first() is None:
            mine = (*_of(inbox_key, ref), inbox_key.c.key == key)
            return int(conn.execute(sa.select(inbox_key.c.records).where(*mine)).scalar_one())
    head = {"source": ref.source, "entity": ref.name, "received_at": now}
    for start in range(0, len(records), _AT_ONCE):
        conn.execute(
            inbox.insert(), [{**head, "record": record} for record in records[start : start + _AT_ONCE]]
        )
    return None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one request brought."""

    ref: EntityRef
    records: Sequence[bytes]
    key: str | None = None


def put_all(conn: sa.Connection, deliveries: Sequence[Delivery]) -> list[bool]:
    """The same for many at once, in a few statements; of each whether it was there before, by its key."""
    now = datetime.now(UTC)
    fresh = _new_keys(conn, deliveries, now)
    repeated, rows = [], []
    for delivery in deliveries:
        named = (delivery.ref.source, delivery.ref.name, delivery.key)
        again = delivery.key is not None and named not in fresh
        fresh.discard(named)  # the same twice in one go
        repeated.append(again)
        if not again:
            rows += [(delivery.ref.source, delivery.ref.name, now, record) for record in delivery.records]
    if rows:
        statement = "copy audit.inbox (source, entity, received_at, record) from stdin (format binary)"
        with raw_connection(conn).cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(["text", "text", "timestamptz", "bytea"])
            for row in rows:
                copy.write_row(row)
    return repeated


def _new_keys(
    conn: sa.Connection, deliveries: Sequence[Delivery], now: datetime
) -> set[tuple[str, str, str | None]]:
    """Keys that were not there, in an order that keeps two who insert the same from waiting for each other."""
    keyed = {(d.ref.source, d.ref.name, d.key): len(d.records) for d in deliveries if d.key is not None}
    if not keyed:
        return set()
    rows = [
        {"source": source, "entity": entity, "key": key, "records": number, "received_at": now}
        for (source, entity, key), number in sorted(keyed.items(), key=lambda item: str(item[0]))
    ]
    c = inbox_key.c
    adding = insert(inbox_key).values(rows).on_conflict_do_nothing().returning(c.source, c.entity, c.key)
    return {(source, entity, key) for source, entity, key in conn.execute(adding)}


def waiting(conn: sa.Connection, source: str) -> dict[str, Waiting]:
    """By entity what waits; nothing of an entity of which nothing does."""
    query = sa.select(inbox.c.entity, sa.func.count(), sa.func.min(inbox.c.received_at))
    rows = conn.execute(query.where(inbox.c.source == source).group_by(inbox.c.entity))
    return {entity: Waiting(count, since) for entity, count, since in rows}


def claimed(conn: sa.Connection, ref: EntityRef) -> list[str]:
    """Batches that took records and were not noted."""
    query = sa.select(inbox.c.batch_id).distinct().where(*_of(inbox, ref), inbox.c.batch_id.is_not(None))
    return sorted(conn.execute(query).scalars())


def release(conn: sa.Connection, batch: BatchRef) -> None:
    """What a batch took and never landed waits again."""
    conn.execute(
        inbox.update()
        .where(*_of(inbox, batch.entity), inbox.c.batch_id == batch.batch_id)
        .values(batch_id=None)
    )


def claim(engine: Engine, batch: BatchRef) -> None:
    """Takes for the batch what is there now; what comes later is for the next one."""
    with transaction(engine) as conn:
        conn.execute(
            inbox.update()
            .where(*_of(inbox, batch.entity), inbox.c.batch_id.is_(None))
            .values(batch_id=batch.batch_id)
        )


def taken(engine: Engine, batch: BatchRef) -> Iterator[list[bytes]]:
    """The records that the batch took, in the order they came, so many at a time."""
    last = 0
    while True:
        mine = (*_of(inbox, batch.entity), inbox.c.batch_id == batch.batch_id, inbox.c.id > last)
        query = sa.select(inbox.c.id, inbox.c.record).where(*mine).order_by(inbox.c.id).limit(_AT_ONCE)
        with connected(engine) as conn:
            rows = conn.execute(query).all()
        if not rows:
            return
        last = rows[-1].id
        yield [bytes(row.record) for row in rows]


def settle(conn: sa.Connection, batch: BatchRef) -> None:
    """The batch is landed: what it took goes, in the transaction that notes it. Old keys go, too."""
    conn.execute(inbox.delete().where(*_of(inbox, batch.entity), inbox.c.batch_id == batch.batch_id))
    old = inbox_key.c.received_at < datetime.now(UTC) - KEYS_KEPT
    conn.execute(inbox_key.delete().where(*_of(inbox_key, batch.entity), old))


def forget_inbox(conn: sa.Connection, ref: EntityRef) -> int:
    """All of an entity goes; how many rows that were."""
    return sum(conn.execute(table.delete().where(*_of(table, ref))).rowcount for table in (inbox, inbox_key))


def _of(table: sa.Table, ref: EntityRef) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.source == ref.source, table.c.entity == ref.name
