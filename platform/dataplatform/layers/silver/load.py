"""Loads one batch of one entity into silver, by the fast path where it may, by the sure one elsewhere (restate)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import sqlalchemy as sa

from dataplatform.audit.record import note_schema_change
from dataplatform.errors import LoadError
from dataplatform.layers.silver import evolve, horizon, lanes, notes, state
from dataplatform.layers.silver import known as known_paths
from dataplatform.layers.silver import plan as planning
from dataplatform.layers.silver.columns import Block, copy_lines
from dataplatform.layers.silver.convert import BadValue
from dataplatform.layers.silver.deletes import check_deletes
from dataplatform.layers.silver.evolve import Change
from dataplatform.layers.silver.known import KnownPath
from dataplatform.layers.silver.making import Making, paths_of, refused, starts
from dataplatform.layers.silver.merge import Batch, Clocked, Done, Merger, clock
from dataplatform.layers.silver.observe import Screen, effective_at, present_paths
from dataplatform.layers.silver.plan import UNBORN, Plan
from dataplatform.layers.silver.restate import restate, restate_keys
from dataplatform.layers.silver.rows import Row, Rows, child_rows, micros, moment_text
from dataplatform.layers.silver.spread import Converting, staged_elsewhere
from dataplatform.layers.silver.staged import prepare
from dataplatform.layers.silver.task import Mode, Task, Work
from dataplatform.metadata.source import Entity
from dataplatform.names import batch_time
from dataplatform.records import hashes as hs
from dataplatform.records.counts import Counts
from dataplatform.records.holdings import Flags, Found, Held, History, Manifest, apart
from dataplatform.records.record import ITEM, flatten
from dataplatform.storage.postgres import raw_connection

Known = dict[str, KnownPath]


def load(
    conn: sa.Connection, task: Task, history: History, manifest: Manifest
) -> tuple[Counts, dict[str, Any]]:
    """Loads the batch in the caller's transaction. Returns the counts and how it was done.

    Raises LoadError where the batch must not be loaded (too many deletes, a frozen schema).
    """
    if task.applied:
        _same_key(task, manifest, history.manifest(task.applied[-1]))
    closed = horizon.closed(conn, task.batch.entity)
    stored = state.known_paths(conn, task.batch.entity)
    before, refused = _counted_so_far(task, history, manifest, stored)
    entries = history.entries(manifest)
    after = known_paths.merged(before, manifest, task.entity, task.mode is Mode.RESTATED, refused)
    plan, changed = _evolve(conn, task, manifest, entries, (before, after))
    widened = any(change.rebuild for change in changed)
    rows = state.count_rows(conn, task.batch.entity) if changed else 0
    rule = planning.history_rule(task.batch.entity, task.entity)
    known_rule = state.known_rule(conn, task.batch.entity)
    everything = bool(task.applied) and (widened or (known_rule not in (None, rule)))
    now = str(conn.execute(sa.text("select clock_timestamp()::text")).scalar_one())
    batch = Batch(task.batch.batch_id, task.run.run_id, micros(task.batch.time), now, closed)
    work = Work(task, history, plan, raw_connection(conn), batch, manifest, entries, [], _screen(task, plan))
    if {change.table for change in changed if change.change == "create"} == {
        t.name for t in plan.root.tables()
    }:
        work.lanes = partial(lanes.opened, conn, plan, batch.at)
    newest = not task.applied or task.batch.batch_id > task.applied[-1]
    done = restate(work, everything) if everything or not newest else _merge(work)
    if closed is not None and task.entity.effective_at and done.closed:
        horizon.drop_closed_by(conn, task.batch, closed)
    state.put_known(conn, plan, stored)
    state.put_rule(conn, task.batch.entity, rule)
    aside = _set_aside(work, everything)
    counts = _counts(work, done, aside.records)
    newest_before = task.applied[-1] if task.applied else ""
    said = notes.of_columns(changed, rows) + notes.of_silence(before, plan.known, newest_before)
    warned = notes.of_entries(manifest, entries) + notes.of_quarantine(work, counts.quarantined)
    how: dict[str, Any] = {"path": work.path, "rebuilt_keys": work.rebuilt, "notes": said, "warnings": warned}
    if everything:
        how["everything"] = True
    if aside.accepted:
        how["accepted"] = [version.hex() for version in aside.accepted]
    if done.removed:
        how["restated"] = True  # incremental models of gold cannot see rows that are no more
    return counts, how


def _counted_so_far(
    task: Task, history: History, manifest: Manifest, stored: Known
) -> tuple[Known, list[Manifest]]:
    """What is known of the paths, and the refused batches whose values do not count in it yet.

    These are known to the first load after the refusal, and asked for again where a batch brings a path anew. Of
    batches that are loaded again the values have counted already: all are counted anew.
    """
    new = manifest.kinds.keys() - stored.keys()
    uncounted = {b for b in task.refused if new or not task.applied or b > task.applied[-1]}
    if task.mode is not Mode.UNSETTLED and (task.mode is Mode.RESTATED or not uncounted):
        return stored, []
    heads, applied = history.heads(), set(task.applied)
    known = known_paths.tallied(stored, [h for h in heads if h.batch_id in applied], task.entity)
    return known, [h for h in heads if h.batch_id in task.refused]


def _screen(task: Task, plan: Plan) -> Screen | None:
    return task.screening(paths_of(plan))


def _same_key(task: Task, new: Manifest, old: Manifest) -> None:
    """Under another key all of history reads differently; that is a replay, not a load."""
    keys = [json.loads(manifest.rule)[0] for manifest in (old, new)]
    if keys[0] != keys[1]:
        raise LoadError(
            f"{task.batch.entity}: its key was {', '.join(keys[0])} and now is {', '.join(keys[1])}",
            f"make bronze and silver anew under the new key: dataplatform replay {task.batch.source}",
        )


@dataclass(frozen=True)
class _Aside:
    """How many records of the batch silver could not take; versions it could not before, and took now."""

    records: int
    accepted: list[bytes]


def _set_aside(work: Work, everything: bool) -> _Aside:
    """Notes what could not be taken, each version once.

    `everything`: all of history was looked at anew, so what waited before is noted again where it still is bad.
    """
    before, entries = work.history.set_aside(), work.entries
    bad = {version: (reason, version, doc) for reason, version, doc in work.bad}
    known = frozenset() if everything else frozenset(before)
    new = [found for version, found in bad.items() if version not in known]
    if new:
        work.history.quarantine(work.task.batch.batch_id, new)
    refused, waiting = hs.unique(hs.hashes(bad)), hs.unique(hs.hashes(before))
    records = work.manifest.quarantined + int(hs.member(entries.versions, refused).sum())
    if not before:
        return _Aside(records, [])
    skipped = hs.rows(entries.versions, work.skipped) if len(work.skipped) else hs.EMPTY
    here = hs.member(waiting, entries.versions) & ~hs.member(waiting, skipped) & ~hs.member(waiting, refused)
    return _Aside(records + int(hs.member(skipped, waiting).sum()), hs.pieces(waiting[here]))


def _counts(work: Work, done: Done, bad: int) -> Counts:
    manifest = work.manifest
    changed = done.inserted + done.updated
    return Counts(
        read=manifest.records,
        inserted=done.inserted,
        updated=done.updated,
        closed=done.closed,
        unchanged=max(0, manifest.records - bad - changed),
        quarantined=bad,
    )


def _evolve(
    conn: sa.Connection, task: Task, manifest: Manifest, entries: Held, known: tuple[Known, Known]
) -> tuple[Plan, list[Change]]:
    """Brings the tables in line with what this batch adds; the changes that took. `known`: before it, and with it."""
    before, after = known
    if not entries.ended(manifest.paths).all():
        newest = task.applied[-1] if task.applied else ""
        present = present_paths(manifest, entries)
        after = known_paths.silenced(before, after, present, task.batch.batch_id, newest)
    kept = planning.without_new(task.batch.entity, task.entity, before, after)
    plan = planning.make_plan(task.batch.entity, task.entity, kept, UNBORN)
    there = evolve.existing(conn, [t.name for t in plan.root.tables()])
    found = evolve.changes(plan, there)
    evolve.apply(conn, plan, found)
    note_schema_change(conn, evolve.rows_of(plan, found, task.batch.batch_id))
    return plan, found


# the fast path


def _merge(work: Work) -> Done:
    task, plan, entries = work.task, work.plan, work.entries
    single = hs.single(entries.keys) if not work.manifest.unique else np.ones(len(entries), bool)
    first = len(entries) > 0 and state.is_empty(work.conn, plan)
    candidate, gone = _candidates(work, first)
    check_deletes(work, gone)
    present = present_paths(work.manifest, entries)
    slow = [entries.keys[~single]]
    ended = entries.ended(work.manifest.paths)
    if ended.any():
        candidate[ended] = False
        said = entries.keys[ended & single]
        if task.entity.effective_at:  # the source's own time of the end
            slow.append(said)
        else:
            gone = np.concatenate([gone, said[hs.member(said, hs.unique(state.open_keys(work.conn, plan)))]])
    if task.applied and (task.entity.partial or not _covers(plan, present)):
        # last known values have to be carried on
        slow.append(entries.keys[candidate])
        candidate[:] = False
    chosen = candidate & single
    which = slice(None) if chosen.all() else chosen  # a slice of arrays takes no memory
    merger = _staged_all(work, first, hs.rows(entries.keys, which), hs.rows(entries.versions, which))
    oldest = min((k.first_batch for k in plan.known.values()), default="")
    done, more = merger.finish(hs.pieces(gone), _clocked(work), oldest)
    keys = hs.unique(np.concatenate([*slow, hs.hashes(more)]))
    work.skipped = ~candidate & ~hs.member(entries.keys, keys)
    if len(keys):
        work.path = "merge+rebuild"
        done.add(restate_keys(work, keys, force=False))
    return done


def _candidates(work: Work, first: bool) -> tuple[Flags, hs.Hashes]:
    """Which entries may change something, and the keys that are gone."""
    task, entries, manifest = work.task, work.entries, work.manifest
    everyone = np.ones(len(entries), bool)
    if first or not task.applied:
        return everyone, hs.EMPTY
    before = work.history.manifest(task.applied[-1])
    repeated = manifest.repeats(before)
    held = entries if repeated else work.history.entries(before)
    candidate, left = everyone, None
    if manifest.load == "full" and before.complete and before.unique:
        candidate = np.zeros(len(entries), bool)
        if not repeated:
            candidate, left = apart(entries, held)
        if task.entity.effective_at:
            # a record without a time of its own now follows one that was dated ahead
            since = moment_text(micros(batch_time(before.batch_id)))
            ahead = state.open_ahead(
                work.conn, work.plan, clock(_clock_column(work.plan, task.entity)), since
            )
            candidate |= hs.member(entries.keys, hs.unique(ahead))
    if not manifest.complete:
        return candidate, hs.EMPTY
    if repeated and before.complete and not len(held.held):
        return candidate, hs.EMPTY
    if left is None or len(held.held):  # of records that could not be read, an earlier version may be open
        alive = held.alive(before.paths)
        sure = before.complete and not len(held.held)
        open_ = hs.unique(alive.keys if sure else state.open_keys(work.conn, work.plan))
        gone = hs.rows(open_, ~hs.member(open_, entries.keys))
    else:
        gone = hs.unique(held.take(left).alive(before.paths).keys)
    return candidate, gone[~hs.member(gone, entries.held)]


def _covers(plan: Plan, present: frozenset[str]) -> bool:
    """Whether the batch knew of every column: else last known values have to be carried on."""
    for table in plan.root.tables():
        own = {table.prefix + c.path for c in table.columns if c.first_batch != UNBORN}
        if table.is_child:
            holder, _, _ = table.prefix.removesuffix(ITEM).rpartition(ITEM)
            if (not holder or holder + ITEM in present) and table.prefix.removesuffix(ITEM) not in present:
                return False
            if table.prefix not in present:
                continue  # the batch has no items
        if not own <= present:
            return False
    return True


def _staged_all(work: Work, first: bool, keys: hs.Hashes, versions: hs.Hashes) -> Merger:
    """Stages the records of some keys; those of many with other processes, where these are free."""
    task, plan = work.task, work.plan if first else replace(work.plan, timed=True)
    number = 0 if task.entity.by_row else len(keys)  # equal records without a key are told apart here
    making = Making(plan, task.entity, work.batch.at, task.screening)
    with (
        task.processes.lent(number, Converting, making, work.history.decode) as team,
        work.lanes(team.size if team and first else 1) as beside,
    ):
        merger = Merger(work.conn, plan, work.batch, first, beside)
        keys, versions = _staged_ahead(work, merger, keys, versions)
        blocks = (
            staged_elsewhere(work, merger, team, keys, versions) if team else _blocks(work, keys, versions)
        )
        for owners, block in blocks:
            _stage(work, merger, owners, block)
        merger.filled()
    return merger


def _staged_ahead(
    work: Work, merger: Merger, keys: hs.Hashes, versions: hs.Hashes
) -> tuple[hs.Hashes, hs.Hashes]:
    """Stages what was made ahead; gives back what is left."""
    ahead = work.task.ahead
    if ahead is None:
        return keys, versions
    open_ = np.ones(len(versions), bool)
    for places, text, made_for in ahead.texts(merger.plan, work.task.entity, versions):
        open_[places] = False
        merger.add_text(text, made_for)
    return keys[open_], versions[open_]


def _blocks(work: Work, keys: hs.Hashes, versions: hs.Hashes) -> Iterator[tuple[list[bytes], Found]]:
    """Keys and records, in blocks; the keys are the manifest's, read by the rule of today."""
    ordering = hs.prepared(versions)
    equals = _equals(versions) if work.task.entity.by_row else {}
    for block in work.history.documents(versions):
        at = hs.find(hs.hashes(version for version, _ in block), versions, ordering)
        yield hs.pieces(keys[at]), block
        again = [
            (place, pair)
            for first, pair in zip(at.tolist(), block, strict=True)
            for place in equals.get(pair[0], ())
            if place != first
        ]
        if again:
            yield hs.pieces(keys[[place for place, _ in again]]), [pair for _, pair in again]


def _equals(versions: hs.Hashes) -> dict[bytes, list[int]]:
    """Places of versions that are there more than once: records without a key, equal in all they hold."""
    places: dict[bytes, list[int]] = {}
    repeated = np.flatnonzero(~hs.single(versions))
    for place, version in zip(repeated.tolist(), hs.pieces(versions[repeated]), strict=True):
        places.setdefault(version, []).append(place)
    return places


def _stage(work: Work, merger: Merger, keys: list[bytes], found: Found) -> None:
    """Column by column; one by one where a value does not fit, to find the record that has it."""
    keys, found = _screened(work, keys, found)
    docs = [doc for _, doc in found]
    try:
        when = starts(work.task.entity, work.batch.at, docs, merger.plan.timed)
        merger.add_lines(copy_lines(merger.plan, Block(docs, keys, when)))
    except BadValue:
        for key, (version, doc) in zip(keys, found, strict=True):
            staged = _staged(work, key, version, doc)
            if staged is not None:
                merger.add(staged)


def _screened(work: Work, keys: list[bytes], found: Found) -> tuple[list[bytes], Found]:
    """Those that pass the checks; the others are set aside."""
    if work.screen is None:
        return keys, found
    bad = refused(work.screen, [doc for _, doc in found], work.plan.whole)
    work.bad.extend((reason, *found[place]) for place, reason in sorted(bad.items()))
    good = [place for place in range(len(found)) if place not in bad]
    return [keys[place] for place in good], [found[place] for place in good]


def _staged(work: Work, key: bytes, version: bytes, doc: dict[str, Any]) -> Any:
    plan, entity = work.plan, work.task.entity
    scalars, lists = flatten(doc, plan.whole)
    children: Rows = {}
    if plan.root.children:
        child_rows(plan.root, key, lists, plan.whole, children)
    try:
        at = effective_at(entity, doc)
        return prepare(plan, Row(key, scalars), children, work.batch.at if at is None else at)
    except BadValue as error:
        work.bad.append((str(error), version, doc))
        return None


def _clocked(work: Work) -> Clocked:
    task = work.task
    if task.entity.effective_at is None:
        return Clocked(False)
    last = micros(batch_time(task.applied[-1])) if task.applied else None
    return Clocked(True, _clock_column(work.plan, task.entity), last)


def _clock_column(plan: Plan, entity: Entity) -> str | None:
    """The column that keeps the source's clock where that is overwritten."""
    path = (entity.effective_at or "").replace(".", "__")
    for column in plan.root.columns:
        if column.path == path and column.scd == 1 and column.type in ("timestamptz", "timestamp", "date"):
            return column.name
    return None
