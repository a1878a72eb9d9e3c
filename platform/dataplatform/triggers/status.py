"""What actions see and do: conditions that hold, steps that wait, those that failed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dataplatform.context import Platform
from dataplatform.storage.postgres import connected
from dataplatform.triggers.tables import condition, step

NEWEST = 20  # steps that are done, of which so many are shown


@dataclass(frozen=True)
class Holding:
    """A condition that holds; `since` in UTC."""

    action: str
    subject: str
    since: datetime
    text: str


@dataclass(frozen=True)
class StepRow:
    """A step: waiting (`done_at` is None), done, or given up (`error`). Times in UTC."""

    id: int
    action: str
    what: dict[str, Any]
    due_at: datetime
    attempts: int
    done_at: datetime | None
    error: str | None
    created_at: datetime


@dataclass(frozen=True)
class ActionStatus:
    """`steps`: all that wait, and the newest that are done."""

    channels: tuple[str, ...]
    actions: tuple[str, ...]
    holding: tuple[Holding, ...]
    steps: tuple[StepRow, ...]

    def as_json(self) -> dict[str, Any]:
        return {"status": "done", **asdict(self)}


def action_status(platform: Platform) -> ActionStatus:
    """Reads it anew."""
    columns = [step.c[f.name] for f in fields(StepRow)]
    waiting = sa.select(*columns).where(step.c.done_at.is_(None)).order_by(step.c.id)
    done = sa.select(*columns).where(step.c.done_at.is_not(None)).order_by(step.c.id.desc()).limit(NEWEST)
    with connected(platform.engine) as conn:
        holding = conn.execute(sa.select(condition).order_by(condition.c.since)).mappings()
        found = tuple(Holding(**row) for row in holding)
        steps = [StepRow(**row) for query in (waiting, done) for row in conn.execute(query).mappings()]
    known = platform.catalog.actions
    return ActionStatus(tuple(known.channels), tuple(known.actions), found, tuple(steps))
