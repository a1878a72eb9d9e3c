"""The outbox: events are committed with the data they tell of, and delivered afterwards, each at least once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.errors import TerminalError
from dataplatform.events.kinds import Event
from dataplatform.events.tables import outbox
from dataplatform.storage.postgres import transaction

log = logging.getLogger(__name__)
Send = Callable[[str, str, dict[str, Any]], None]


def emit(conn: sa.Connection, event: Event) -> None:
    """Puts an event into the outbox; it exists if and only if the transaction commits."""
    row = {
        "event": event.name,
        "resource": event.resource,
        "payload": event.payload(),
        "created_at": datetime.now(UTC),
    }
    conn.execute(outbox.insert().values(row))


def deliver(engine: Engine, send: Send, limit: int = 1_000) -> int:
    """Sends what waits, oldest first, until `limit` are delivered; returns how many. One that fails stays.

    One that the receiver refuses (a TerminalError) holds up no other, however many there are of them; after any other
    failure, such as a receiver that is away, nothing more is tried.

    `send(event, resource, payload)` may be called twice for an event when a process dies in between: the payload
    carries the outbox id and when it happened, which together are the event's own for whoever minds.
    """
    c = outbox.c
    query = sa.select(outbox).where(c.delivered_at.is_(None)).order_by(c.id).with_for_update(skip_locked=True)
    delivered: list[int] = []
    with transaction(engine) as conn, conn.execute(query, execution_options={"yield_per": limit}) as waiting:
        for row in waiting.mappings():
            try:
                own = {"outbox_id": row["id"], "occurred": row["created_at"].isoformat()}
                send(row["event"], row["resource"], {**row["payload"], **own})
            except TerminalError as error:
                log.warning("event %s (outbox %s) is refused: %s", row["event"], row["id"], error)
                continue
            except Exception as error:  # whatever the receiver does wrong, the event stays
                log.warning("event %s was not delivered: %s", row["event"], error)
                break
            delivered.append(row["id"])
            if len(delivered) == limit:
                break
        done = outbox.update().where(c.id.in_(delivered)).values(delivered_at=datetime.now(UTC))
        conn.execute(done)
    return len(delivered)
