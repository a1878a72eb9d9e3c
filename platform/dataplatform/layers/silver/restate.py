"""The sure path: a batch that comes late, or a new rule, makes the history of some keys anew."""

from __future__ import annotations

import numpy as np

from dataplatform.layers.silver.deletes import too_many
from dataplatform.layers.silver.merge import Done
from dataplatform.layers.silver.observe import Reader, histories, present_paths
from dataplatform.layers.silver.rebuild import rebuild
from dataplatform.layers.silver.task import Mode, Work
from dataplatform.records import hashes as hs
from dataplatform.records.holdings import apart

PARTITION = 400_000  # observations held in memory by a rebuild


def restate(work: Work, everything: bool) -> Done:
    """A late batch, or a new rule: rebuilds the keys that this may concern."""
    work.path = "rebuild"
    if everything:
        keys = _with_keys_of(work, hs.unique(work.entries.keys), work.task.applied)
    else:
        _check_late_deletes(work)
        keys = concerned(work)
        work.skipped = ~hs.member(work.entries.keys, keys)
    return restate_keys(work, keys, force=everything)


def concerned(work: Work) -> hs.Hashes:
    """Keys whose history a late batch may change.

    A full batch speaks of all keys; but what it says of a key just as the batch before it did is no news. Not so
    where records have times of their own: one without, seen again, follows those that became valid since.
    """
    task, mine = work.task, work.entries
    unsettled = task.mode is Mode.UNSETTLED
    keys = hs.unique(mine.keys)
    earlier = [b for b in task.applied if b < task.batch.batch_id]
    if not work.manifest.complete or not (earlier or unsettled):
        return keys
    before = None if unsettled or task.entity.effective_at else work.history.manifest(earlier[-1])
    if before is None or not (before.complete and before.unique):
        return _with_keys_of(work, keys, task.applied)
    held = work.history.entries(before)
    if present_paths(before, held) != present_paths(work.manifest, mine):
        return _with_keys_of(work, keys, task.applied)
    changed, missing = apart(mine, held)
    return hs.unique(np.concatenate([mine.keys[changed], held.keys[missing], held.held]))


def _with_keys_of(work: Work, keys: hs.Hashes, batches: list[str]) -> hs.Hashes:
    """The keys, sorted, and those that the batches held."""
    ordering = hs.prepared(keys)
    for _, entries in work.history.walk(batches):
        new = entries.keys[hs.find(entries.keys, keys, ordering) < 0]
        if len(new):
            keys = hs.unique(np.concatenate([keys, new]))
            ordering = hs.prepared(keys)
    return keys


def _check_late_deletes(work: Work) -> None:
    """The same for a batch that comes late; it is compared with the one before it."""
    earlier = [b for b in work.task.applied if b < work.task.batch.batch_id]
    if not earlier or not work.manifest.complete or work.task.allow_deletes:
        return
    before = work.history.manifest(earlier[-1])
    keys = hs.unique(work.history.entries(before).alive(before.paths).keys)
    gone = int((~hs.member(keys, work.entries.keys) & ~hs.member(keys, work.entries.held)).sum())
    if gone > work.task.entity.max_delete * len(keys):
        raise too_many(work, gone, len(keys))


def restate_keys(work: Work, keys: hs.Hashes, force: bool) -> Done:
    """In partitions of the keys, so that memory stays bounded whatever the history's length."""
    work.rebuilt += len(keys)
    batches = sorted({*work.task.applied, work.task.batch.batch_id})
    observations = min(len(keys) * len(batches), work.history.stored() + len(keys))
    parts = max(1, -(-observations // PARTITION))
    done = Done()
    reader = Reader(work.task.entity, work.plan, work.history, work.bad, work.screen)
    for part in np.array_split(keys, min(parts, max(1, len(keys)))):
        done.add(rebuild(work.conn, work.plan, work.batch, histories(reader, part, batches), force))
    return done
