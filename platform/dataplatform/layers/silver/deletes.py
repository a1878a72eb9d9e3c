"""How much of a table one batch may delete."""

from __future__ import annotations

from math import ceil

from dataplatform.errors import LoadError
from dataplatform.layers.silver import state
from dataplatform.layers.silver.task import Work
from dataplatform.records import hashes as hs


def check_deletes(work: Work, gone: hs.Hashes) -> None:
    """A full load that would delete most of the table is more likely broken than true: it raises LoadError."""
    if not len(gone) or work.task.allow_deletes:
        return
    limit = work.task.entity.max_delete
    if limit and state.open_at_least(work.conn, work.plan, ceil(len(gone) / limit)):
        return
    total = state.count_open(work.conn, work.plan)
    if len(gone) <= limit * total:
        return
    # some may be in no row: records that did not fit
    rows = int(hs.member(gone, hs.unique(state.open_keys(work.conn, work.plan))).sum())
    if rows > limit * total:
        raise too_many(work, rows, total)


def too_many(work: Work, gone: int, total: int) -> LoadError:
    task = work.task
    return LoadError(
        f"{task.batch.entity}: the batch lacks {gone:,} of {total:,} rows, more "
        f"than max_delete = {task.entity.max_delete:.0%}; nothing was deleted",
        f"if that is right: dataplatform run {task.batch.source} {task.batch.name} --allow-deletes",
    )
