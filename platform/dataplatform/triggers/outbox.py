"""Delivers events that were committed with their data, each at least once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.audit import tables as t
from dataplatform.audit.database import database_errors

log = logging.getLogger(__name__)
Send = Callable[[str, str, dict[str, Any]], None]


def deliver(engine: Engine, send: Send, limit: int = 1_000) -> int:
    """Sends what waits, oldest first; returns how many. One that fails stays for the next time.

    `send(event, resource, payload)` may be called twice for an event when a process dies in between:
    the payload carries the outbox id for whoever minds.
    """
    c = t.outbox.c
    query = sa.select(t.outbox).where(c.delivered_at.is_(None)).order_by(c.id).limit(limit)
    delivered: list[int] = []
    with database_errors(engine), engine.begin() as conn:
        for row in conn.execute(query.with_for_update(skip_locked=True)).mappings():
            try:
                send(row["event"], row["resource"], {**row["payload"], "outbox_id": row["id"]})
            except Exception as error:  # whatever the receiver does wrong, the event stays
                log.warning("event %s was not delivered: %s", row["event"], error)
                break
            delivered.append(row["id"])
        done = t.outbox.update().where(c.id.in_(delivered)).values(delivered_at=datetime.now(UTC))
        conn.execute(done)
    return len(delivered)
