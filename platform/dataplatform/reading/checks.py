"""What quality checks said of the batches they looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dataplatform.quality.results import check_result
from dataplatform.records.refs import EntityRef


@dataclass(frozen=True)
class CheckResult:
    """One check of one batch: `passed`, `warned` or `failed`; `found` says what was wrong, empty if nothing."""

    batch_id: str
    check: str
    status: str
    found: str


def last_checks(conn: sa.Connection) -> dict[EntityRef, tuple[CheckResult, ...]]:
    """Results of the newest checked batch of every entity."""
    c = check_result.c
    newest = sa.select(c.source, c.entity, sa.func.max(c.batch_id).label("batch_id")).group_by(
        c.source, c.entity
    )
    last = newest.subquery()
    both = sa.and_(c.source == last.c.source, c.entity == last.c.entity, c.batch_id == last.c.batch_id)
    return _by_entity(conn.execute(sa.select(check_result).join(last, both).order_by(c.id)).mappings())


def _by_entity(rows: Iterable[Any]) -> dict[EntityRef, tuple[CheckResult, ...]]:
    results: dict[EntityRef, tuple[CheckResult, ...]] = {}
    for row in rows:
        ref = EntityRef(row["source"], row["entity"])
        result = CheckResult(row["batch_id"], row["check"], row["status"], row["found"])
        results[ref] = (*results.get(ref, ()), result)
    return results
