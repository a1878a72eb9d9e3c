"""How long the platform keeps what it noted of its own work. What a row of silver leads to stays."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from dataplatform.audit import tables as t
from dataplatform.context import Platform
from dataplatform.events.tables import outbox
from dataplatform.quality.results import check_result
from dataplatform.storage.postgres import transaction


def prune(platform: Platform, before: datetime) -> dict[str, int]:
    """Deletes, by table: runs that changed nothing, checks, events that were delivered; all older than that."""
    with transaction(platform.engine) as conn:
        return {
            "run": conn.execute(
                t.run.delete().where(t.run.c.finished_at < before, ~_changed_something())
            ).rowcount,
            "check_result": conn.execute(
                check_result.delete().where(check_result.c.created_at < before)
            ).rowcount,
            "outbox": conn.execute(outbox.delete().where(outbox.c.delivered_at < before)).rowcount,
        }


def _changed_something() -> sa.ColumnElement[bool]:
    c = t.load.c
    changes = sa.or_(c.inserted > 0, c.updated > 0, c.closed > 0)
    return sa.exists().where(c.run_id == t.run.c.run_id, c.layer == "silver", changes)
