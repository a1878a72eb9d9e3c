"""What is refused holds up no other: the outbox on a real Postgres, with a receiver that refuses."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from conftest import Databases
from dataplatform.errors import TerminalError
from dataplatform.events.kinds import GoldBuilt
from dataplatform.events.outbox import deliver, emit
from dataplatform.events.tables import outbox
from dataplatform.storage.postgres import make_engine, transaction


def test_more_refused_events_than_are_delivered_at_once_hold_up_no_other(databases: Databases) -> None:
    engine = make_engine(databases.postgres)
    with transaction(engine) as conn:
        for model in (*["refused"] * 7, "a", "b", "c"):
            emit(conn, GoldBuilt(model, 1))
    seen: list[str] = []

    def send(event: str, resource: str, payload: dict[str, Any]) -> None:
        if payload["model"] == "refused":
            raise TerminalError("no", "never")
        seen.append(payload["model"])

    assert deliver(engine, send, limit=2) == 2, "as many as are asked for"
    assert deliver(engine, send, limit=2) == 1
    assert deliver(engine, send, limit=2) == 0
    assert seen == ["a", "b", "c"], "in their order, each once"
    with engine.begin() as conn:
        waiting = conn.execute(sa.select(outbox.c.payload).where(outbox.c.delivered_at.is_(None))).scalars()
        assert [one["model"] for one in waiting] == ["refused"] * 7, "they stay, for a person to see"
    engine.dispose()
