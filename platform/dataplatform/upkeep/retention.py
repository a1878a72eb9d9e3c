"""Retention: what is older than metadata want to keep goes, and everything newer stays a function of what is left.

`plan` says what would go and changes nothing; `apply` does it, entity by entity, under the entity's lock. In this
order, each step whole or not at all: raw files into the archive, what still counts of them into the baseline, the raw
files away, silver and audit in one transaction, bronze. Killed anywhere, the next retention (or run) goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from dataplatform.audit import record as audit
from dataplatform.context import Platform
from dataplatform.errors import BusyError, DataplatformError, MetadataError
from dataplatform.layers import raw
from dataplatform.layers.raw import baselines
from dataplatform.layers.raw import upkeep as raw_upkeep
from dataplatform.layers.raw.baselines import Page
from dataplatform.layers.raw.holdings import RawManifest
from dataplatform.layers.raw.upkeep import RawFiles
from dataplatform.layers.silver import horizon
from dataplatform.layers.silver.horizon import Horizon
from dataplatform.metadata.source import Retention
from dataplatform.names import batch_time
from dataplatform.records.holdings import Manifest
from dataplatform.records.refs import BatchRef, EntityRef
from dataplatform.runs.locks import locked
from dataplatform.storage import FileStore
from dataplatform.storage.postgres import connected, removing, transaction
from dataplatform.upkeep.follow import follow
from dataplatform.upkeep.records import prune
from dataplatform.upkeep.thinning import needed_after, thinned

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EntityPlan:
    """What goes of one entity. `batches`: whose raw files go; what counts of them stays in the baseline.

    `until`: the newest of them; `history_before`: versions that ended by then are not made anew; `rows_before`: their
    rows go, by table in `rows`. Times are UTC.
    """

    entity: EntityRef
    until: str
    batches: tuple[str, ...]
    raw_bytes: int
    archive: str | None
    history_before: datetime | None
    rows_before: datetime | None
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def anything(self) -> bool:
        return bool(self.batches or any(self.rows.values()))

    @property
    def rewrites(self) -> bool:
        """Whether the baseline is written anew: batches come in, or what it holds of ended rows goes."""
        return bool(self.until and (self.batches or any(self.rows.values())))

    def as_json(self) -> dict[str, Any]:
        times = {n: t and t.isoformat() for n, t in asdict(self).items() if n.endswith("_before")}
        return {**asdict(self), **times, "entity": str(self.entity)}


@dataclass(frozen=True)
class Applied:
    """What became of a plan. `freed`: bytes of raw; `rows`: of silver; `versions`: of bronze."""

    entity: EntityRef
    status: Literal["done", "busy", "failed"]
    batches: int = 0
    freed: int = 0
    rows: int = 0
    versions: int = 0
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "entity": str(self.entity)}


def plan(platform: Platform, only: str | None = None) -> list[EntityPlan]:
    """Of every entity whose metadata limit what is kept; `only`: of a source, or of one `source.entity`.

    Raises MetadataError where there is no such thing.
    """
    now, wanted = datetime.now(UTC), (only or "").partition(".")
    if only is not None and wanted[2] not in ("", *platform.catalog.source(wanted[0]).entities):
        known = ", ".join(platform.catalog.source(wanted[0]).entities)
        raise MetadataError(f"the source {wanted[0]} has no entity {wanted[2]}", f"its entities: {known}")
    return [
        plan_of(platform, EntityRef(name, entity), found.retention, now)
        for name, source in platform.catalog.sources.items()
        for entity, found in source.entities.items()
        if found.retention != Retention() and wanted[0] in ("", name) and wanted[2] in ("", entity)
    ]


def nightly(platform: Platform) -> dict[str, int]:
    """Applies all of it; returns how many entities ended how."""
    done = apply(platform, plan(platform))
    prune_records(platform)
    return {status: sum(one.status == status for one in done) for status in ("done", "busy", "failed")}


def prune_records(platform: Platform) -> dict[str, int]:
    """What the platform noted of its own work, older than the setting DATAPLATFORM_KEEP_RUNS_DAYS."""
    return prune(platform, datetime.now(UTC) - timedelta(days=platform.settings.keep_runs_days))


def apply(platform: Platform, plans: list[EntityPlan]) -> list[Applied]:
    """One that is running is left for the next time; one that fails does not keep the others."""
    return [_attempt(platform, one) for one in plans]


def _attempt(platform: Platform, one: EntityPlan) -> Applied:
    try:
        with removing(platform.engine, 1.0), locked(platform, [one.entity]):
            return _apply(platform, one)
    except BusyError as error:
        return Applied(one.entity, "busy", error=str(error))
    except DataplatformError as error:
        log.error("retention of %s: %s", one.entity, error)
        return Applied(one.entity, "failed", error=str(error))


def plan_of(platform: Platform, ref: EntityRef, wanted: Retention, now: datetime) -> EntityPlan:
    """What would go of one entity, if that were its retention and it were now that time."""
    raw_before, history_before, rows_before = (
        None if age is None else now - age
        for age in (
            _age(wanted.raw),
            _least(wanted.bronze, wanted.silver_history),
            _age(wanted.silver_history),
        )
    )
    with connected(platform.engine) as conn:
        found = horizon.of(conn, ref)
        may_go = _may_go(conn, platform, ref, found.taken_until or "")
        if history_before and found.closed_before:
            history_before = max(history_before, found.closed_before)
        rows = horizon.ended(conn, ref, rows_before) if rows_before else {}
    limit = max((t for t in (raw_before, history_before) if t), default=None)
    batches = [b for b in may_go if limit and batch_time(b) <= limit]
    loose = {files.batch.batch_id: files for files in raw_upkeep.files_of(platform.raw, ref)}
    going = tuple(b for b in batches if b in loose)
    until = max([found.taken_until or "", *batches])
    size = sum(loose[b].bytes for b in going)
    return EntityPlan(ref, until, going, size, wanted.archive, history_before, rows_before, rows)


def _age(said: timedelta | Literal["keep"]) -> timedelta | None:
    return None if said == "keep" else said


def _least(*said: timedelta | Literal["keep"]) -> timedelta | None:
    return min((age for age in map(_age, said) if age is not None), default=None)


def _may_go(conn: sa.Connection, platform: Platform, ref: EntityRef, taken: str) -> list[str]:
    """Batches before the newest one that is in silver, the newest full one, and any that waits to be loaded.

    One that came after its time was taken stays: what it brought is nowhere else. One that a killed run left in raw
    alone waits, too: the sweep takes it up.
    """
    applied = audit.loaded_batches(conn, ref, "silver")
    full, waiting = audit.last_full(conn, ref), audit.unprocessed(conn, ref.source).get(ref, [])
    landed, there = audit.landed_batches(conn, ref), {*raw.batches(platform.raw, ref.source, ref.name)}
    unknown = [b for b in there - landed if raw.manifest(platform.raw, BatchRef(ref, b)) is not None]
    ends = [*applied[-1:], *([full] if full else []), *waiting, *unknown]
    late = {batch_id for batch_id in audit.refused_batches(conn, ref) if batch_id <= taken}
    return sorted(batch_id for batch_id in (there & landed) - late if ends and batch_id < min(ends))


def _apply(platform: Platform, one: EntityPlan) -> Applied:
    ref, freed = one.entity, 0
    follow(platform, ref)
    if one.rewrites:
        files = [f for f in raw_upkeep.files_of(platform.raw, ref) if f.batch.batch_id in one.batches]
        if one.archive:
            _archive(platform.raw, FileStore(one.archive), ref, files)
        _write_baseline(platform, one)
        freed = _remove(platform.raw, ref, files)
    rows = _settle(platform, one)
    return Applied(ref, "done", len(one.batches), freed, rows, follow(platform, ref))


def _archive(store: FileStore, archive: FileStore, ref: EntityRef, files: list[RawFiles]) -> None:
    """Copies them under the same names, the pages first; what is there already is left."""
    originals = raw_upkeep.originals_of(store, [ref], {f.batch.batch_id for f in files})
    paths = [
        f"{f.place}/{name}" for f in files for name in sorted(f.names, key=lambda n: n.endswith(".json"))
    ]
    for path in [*sorted(originals), *paths]:
        if store.exists(path) and not archive.exists(path):  # an original may be forgotten
            store.copy(path, path, archive)


def _write_baseline(platform: Platform, one: EntityPlan) -> None:
    ref = one.entity
    with connected(platform.engine) as conn:
        applied = [b for b in audit.loaded_batches(conn, ref, "silver") if b <= one.until]
        needed = None
        if one.history_before is not None:
            last = max((b for b in applied if batch_time(b) <= one.history_before), default="")
            needed = needed_after(platform, conn, ref, last, one.history_before)
    there = raw.baseline(platform.raw, ref)
    if needed is None:
        fresh = [b for b in applied if b not in there]
        baselines.write(platform.raw, ref, _with_those_there(platform, ref, fresh))
    else:
        baselines.write(platform.raw, ref, _rewritten(platform, ref, applied, needed, set(applied)))


Written = Iterator[tuple[RawManifest, Iterator[Page]]]


def _with_those_there(platform: Platform, ref: EntityRef, fresh: list[str]) -> Written:
    """What was thinned before, as it is, then the fresh batches: each compared with what there was before it.

    A full batch tells what that was; without one all batches do.
    """
    for manifest in raw.baseline(platform.raw, ref).values():
        yield manifest, ((page.header, page.lines) for page in raw.read(platform.raw, manifest))
    with connected(platform.engine) as conn:
        applied = audit.loaded_batches(conn, ref, "silver")
    before = {b for b in applied if fresh and b < fresh[0]}
    heads = platform.bronze.manifests.all(ref)
    start = max((head.batch_id for head in heads if head.complete and head.batch_id in before), default="")
    yield from _rewritten(platform, ref, sorted(b for b in before if b >= start) + fresh, None, set(fresh))


def _rewritten(
    platform: Platform, ref: EntityRef, walked: list[str], needed: Any, wanted: set[str]
) -> Written:
    for one, pages in thinned(platform, ref, walked, needed):
        batch = one.manifest.ref
        if batch.batch_id not in wanted:
            continue
        manifest = raw.manifest(platform.raw, batch) or _as_bronze_has_it(one.manifest)
        yield (manifest if one.whole else replace(manifest, load="delta")), pages


def _as_bronze_has_it(known: Manifest) -> RawManifest:
    """For a batch whose raw files somebody lost: what it held is not lost with them."""
    ref, now = known.ref, datetime.now(UTC).isoformat()
    return RawManifest(ref.source, ref.name, ref.batch_id, known.load, None, now, state=known.state)


def _remove(store: FileStore, ref: EntityRef, files: list[RawFiles]) -> int:
    """The raw files, but those that newer batches point at; returns their bytes."""
    old = {f.batch.batch_id for f in files}
    originals = raw_upkeep.originals_of(store, [ref], old)
    named = raw_upkeep.files_named(store, ref, but=old)
    freed = 0
    for found in files:
        going = {n: s for n, s in store.sizes(found.place).items() if n in found.names}
        going = {n: s for n, s in going.items() if f"{found.place}/{n}" not in named}
        raw_upkeep.remove(store, replace(found, names=tuple(going)))
        freed += sum(going.values())
    raw_upkeep.remove_originals(store, ref.source, originals)
    return freed


def _settle(platform: Platform, one: EntityPlan) -> int:
    """Silver and audit: the horizon moves on, rows go, batches of which nothing is left are on record no more."""
    ref = one.entity
    left = {*raw.batches(platform.raw, ref.source, ref.name)}
    with transaction(platform.engine) as conn:
        found = horizon.of(conn, ref)
        closed = one.history_before or found.closed_before
        taken = [b for b in audit.loaded_batches(conn, ref, "silver") if b <= one.until]
        gone = {*taken, *one.batches}
        there = [b for b in gone & left if raw.manifest(platform.raw, BatchRef(ref, b))]
        audit.retire(conn, ref, sorted(gone - {*there}))
        due = found.bronze_due or (closed is not None and one.rewrites)
        horizon.put(conn, ref, Horizon(one.until or None, closed, due))
        return horizon.drop_ended(conn, ref, one.rows_before) if one.rows_before else 0
