"""The four moves: land, load_bronze, load_silver, refresh_gold. Each may be repeated at any time.

A move of a batch is data (`Move`): it can be sent to another thread, process or machine, and performed there.
"""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

from dataplatform.audit import inbox
from dataplatform.audit import record as audit
from dataplatform.audit.forgotten import out_of
from dataplatform.audit.record import Layer, Load
from dataplatform.connectors.registry import extract_of, extract_together_of, receives
from dataplatform.context import Platform
from dataplatform.errors import (
    CheckFailedError,
    ConnectionExpiredError,
    DataplatformError,
    LoadError,
    StorageError,
    TransientError,
)
from dataplatform.events.kinds import BatchLanded, EntityLoaded, SourceExpired
from dataplatform.events.outbox import emit
from dataplatform.layers import bronze as bronze_layer
from dataplatform.layers import raw as raw_layer
from dataplatform.layers.bronze import quarantine, upkeep
from dataplatform.layers.bronze.store import records_of
from dataplatform.layers.bronze.walk import stored, walk
from dataplatform.layers.gold.lock import hold_back
from dataplatform.layers.gold.tables import is_stale
from dataplatform.layers.silver import horizon, lanes
from dataplatform.layers.silver import load as silver_load
from dataplatform.layers.silver.ahead import Ahead
from dataplatform.layers.silver.making import Screening
from dataplatform.layers.silver.plan import whole_paths
from dataplatform.layers.silver.task import Mode, Task
from dataplatform.metadata.cursor import later
from dataplatform.metadata.source import Entity, cursor_of
from dataplatform.quality import tables as quality
from dataplatform.quality.records import screening as screening_of
from dataplatform.quality.results import put_checks
from dataplatform.records.counts import Counts
from dataplatform.records.holdings import BadVersion, History
from dataplatform.records.record import dump
from dataplatform.records.refs import BatchRef, EntityRef, RunRef
from dataplatform.requesting import reading
from dataplatform.secrets.masking import without_secrets
from dataplatform.storage.mongo import server_errors
from dataplatform.storage.postgres import connected, raw_connection, transaction

if TYPE_CHECKING:
    from dataplatform.layers.gold.build import Built

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Flags:
    """What a person may ask of a run. `full`: from the beginning; `force`: also what did not change since.

    `window`: only what is of this time, from and to; cursors stay where they are.
    """

    full: bool = False
    force: bool = False
    allow_deletes: bool = False
    window: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """One batch of one entity into one layer: all that has to be known to do it, anywhere.

    `together`: names of all entities that one process of the source gives; they are landed by the same move.
    """

    layer: Layer
    batch: BatchRef
    run: RunRef
    flags: Flags = field(default_factory=Flags)
    together: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """How people see it: `issues: raw → bronze`."""
        before: dict[Layer, str] = {"raw": "source", "bronze": "raw", "silver": "bronze"}
        return f"{', '.join(self.together) or self.batch.name}: {before[self.layer]} → {self.layer}"

    @property
    def batches(self) -> list[BatchRef]:
        """The batch, of all the entities that the move is about."""
        names = self.together or (self.batch.name,)
        return [BatchRef(EntityRef(self.batch.source, name), self.batch.batch_id) for name in names]


@without_secrets
def perform(platform: Platform, move: Move) -> Counts:
    """Does it. Doing it again changes nothing."""
    does = {"raw": land, "bronze": load_bronze, "silver": load_silver}[move.layer]
    return does(platform, move)


def land(platform: Platform, move: Move) -> Counts:
    """Source → raw."""
    started = time.perf_counter()
    source = platform.catalog.source(move.batch.source)
    extract = extract_of(source, platform.settings.connectors)
    if extract is None:
        return _land_together(platform, move)
    if receives(source):
        _take_from_inbox(platform, move)
    wanted, landing = reading(platform, move.batch, move.flags.full, move.flags.force, move.flags.window)
    items: Any = extract(wanted.request, wanted.since)
    with closing(items):
        manifest = raw_layer.land(platform.raw, move.batch, items, landing)
    return _landed(platform, move, manifest, time.perf_counter() - started)


def _take_from_inbox(platform: Platform, move: Move) -> None:
    """The batch takes what was pushed. What a killed one took is noted where its files are complete, else
    taken again."""
    ref = move.batch.entity
    with connected(platform.engine) as conn:
        before = [BatchRef(ref, one) for one in inbox.claimed(conn, ref) if one != move.batch.batch_id]
    for batch in before:
        manifest = raw_layer.manifest(platform.raw, batch)
        if manifest is not None:
            _landed(platform, replace(move, batch=batch), manifest, 0.0)
            continue
        with transaction(platform.engine) as conn:
            inbox.release(conn, batch)
    if raw_layer.manifest(platform.raw, move.batch) is None:  # else it is landed, and takes no more
        inbox.claim(platform.engine, move.batch)


def reads_together(platform: Platform, source: str) -> bool:
    """Whether the source's entities come out of one process. Raises SourceError where its connector is missing."""
    return extract_of(platform.catalog.source(source), platform.settings.connectors) is None


def _land_together(platform: Platform, move: Move) -> Counts:
    """One process gives all the entities of the move; those that an earlier try landed are left out."""
    started = time.perf_counter()
    source = platform.catalog.source(move.batch.source)
    manifests = [raw_layer.manifest(platform.raw, batch) for batch in move.batches]
    landed = [manifest for manifest in manifests if manifest is not None]
    missing = [batch for batch in move.batches if batch not in {m.ref for m in landed}]
    flags = move.flags
    readings = {batch: reading(platform, batch, flags.full, flags.force, flags.window) for batch in missing}
    if readings:
        extract: Any = extract_together_of(source, platform.settings.connectors)
        landings = {batch: landing for batch, (_, landing) in readings.items()}
        with closing(extract([wanted for wanted, _ in readings.values()])) as items:
            landed += raw_layer.land_together(platform.raw, items, landings)
    seconds, total = time.perf_counter() - started, Counts()
    for manifest in landed:
        total += _landed(platform, replace(move, batch=manifest.ref), manifest, seconds)
    return total


def _landed(platform: Platform, move: Move, manifest: raw_layer.RawManifest, seconds: float) -> Counts:
    counts = Counts(read=manifest.records + manifest.rejects)
    with transaction(platform.engine) as conn:
        audit.put_load(conn, Load("raw", move.batch, move.run, counts, seconds, manifest.load))
        inbox.settle(conn, move.batch)
        emit(conn, BatchLanded(move.batch, counts))
    return counts


def load_bronze(platform: Platform, move: Move) -> Counts:
    """Raw → bronze, from the files alone."""
    entity, started = _entity(platform, move.batch), time.perf_counter()
    raw = raw_layer.manifest(platform.raw, move.batch)
    if raw is None:
        raise StorageError(
            f"raw holds no batch {move.batch.batch_id} of {move.batch.entity}",
            f"ingest anew: dataplatform run {move.batch.source} {move.batch.name}",
        )
    with connected(platform.engine) as conn:
        out = out_of(conn, move.batch.entity)
    whole, processes = whole_paths(entity), platform.processes
    with closing(raw_layer.read(platform.raw, raw)) as pages, _ahead(platform, move.batch) as ahead:
        manifest = bronze_layer.load(platform.bronze, raw, pages, entity, whole, out, processes, ahead)
    counts = Counts(
        read=manifest.records,
        inserted=manifest.new_versions,
        quarantined=manifest.quarantined,
        unchanged=manifest.records - manifest.new_versions - manifest.quarantined,
    )
    with transaction(platform.engine) as conn:
        seconds = time.perf_counter() - started
        audit.put_load(conn, Load("bronze", move.batch, move.run, counts, seconds, raw.load))
    return counts


def _ahead(platform: Platform, batch: BatchRef) -> AbstractContextManager[Ahead | None]:
    """Makes silver's text of a first batch while bronze has it in hand: of use where silver's move is done here."""
    if platform.settings.task_runner != "threads":
        return nullcontext()
    entity = _entity(platform, batch)
    return platform.shelf.filled(Ahead(batch, entity, _screening(entity, batch), platform.settings.home_path))


def _screening(entity: Entity, batch: BatchRef) -> Screening:
    return partial(screening_of, entity.checks, entity=str(batch.entity))


def load_silver(platform: Platform, move: Move) -> Counts:
    """Bronze → silver. Data, audit, cursor and event are committed together or not at all."""
    with lanes.cleared(platform.engine, move.batch.entity), transaction(platform.engine) as conn:
        done = audit.get_load(conn, "silver", move.batch)
        if done is not None and done[0] == "done":
            return done[1]
        horizon.refuse_late(
            conn, move.batch
        )  # what is loaded again, by a replay or a retry, does not come this way
        applied = audit.loaded_batches(conn, move.batch.entity, "silver")
        if not applied:
            lanes.clear(platform.engine, move.batch.entity)
        counts = apply_silver(platform, conn, move, applied)
        _guard(_entity(platform, move.batch), move.batch, counts)
        _check(conn, _entity(platform, move.batch), move, counts)
    settle(platform, move.batch)
    return counts


def settle(platform: Platform, batch: BatchRef) -> None:
    """Closes what waits in quarantine no more, now that silver has the batch: see `upkeep.settled_by`.

    The data are in by now: where MongoDB fails, what should have been closed goes on waiting, and that is told.
    """
    try:
        with server_errors():
            waiting = upkeep.waiting_of(platform.bronze, batch.entity)
            if not any(one.batch_id != batch.batch_id for one in waiting):
                return
            with connected(platform.engine) as conn:
                how = audit.load_detail(conn, "silver", batch)
            upkeep.settle(platform.bronze, upkeep.settled_by(platform.bronze, batch, waiting, how))
    except DataplatformError as error:
        log.warning("%s: quarantine may show what is settled: %s", batch.entity, error)


def _guard(entity: Entity, batch: BatchRef, counts: Counts) -> None:
    """Many records that cannot be taken are more likely a wrong declaration than bad records.

    One record never stops a batch, however small that is (unless `max_quarantine: 0` asks for it).
    """
    if counts.quarantined <= max(entity.max_quarantine * counts.read, 1 if entity.max_quarantine else 0):
        return
    raise LoadError(
        f"{batch.entity}: {counts.quarantined:,} of {counts.read:,} records were set aside, more than max_quarantine = "
        f"{entity.max_quarantine:.0%}; nothing was loaded",
        f"see why: dataplatform quarantine list {batch.source} {batch.name}; correct the metadata, or allow more "
        "(`max_quarantine: 100%`)",
    )


def apply_silver(
    platform: Platform, conn: sa.Connection, move: Move, applied: list[str], mode: Mode = Mode.APPEND
) -> Counts:
    """One batch into silver, in the caller's transaction; `applied`: batches that it holds, oldest first."""
    batch, entity, started = move.batch, _entity(platform, move.batch), time.perf_counter()
    hold_back(conn)
    refused = frozenset(audit.refused_batches(conn, batch.entity) - {batch.batch_id})
    allowed, screening = move.flags.allow_deletes, _screening(entity, batch)
    with server_errors(), platform.shelf.taken(batch) as ahead:
        task = Task(
            batch, entity, move.run, applied, allowed, mode, screening, refused, platform.processes, ahead
        )
        history = history_of(platform, batch.entity)
        manifest = history.manifest(batch.batch_id)
        counts, detail = silver_load.load(conn, task, history, manifest)
    if mode is Mode.RESTATED:
        detail["restated"] = True
    seconds = time.perf_counter() - started
    audit.put_load(conn, Load("silver", batch, move.run, counts, seconds, manifest.load, detail))
    _advance_cursor(conn, batch, entity, manifest.state)
    emit(conn, EntityLoaded(batch, counts))
    return counts


def _check(conn: sa.Connection, entity: Entity, move: Move, counts: Counts) -> None:
    """The checks of a batch, on what readers would see; one that fails takes the transaction back."""
    checks = [check for check in entity.checks if not check.screens]
    if not checks:
        return
    batch = move.batch
    subject = quality.Subject(
        sql.Identifier("silver_current", batch.entity.table),
        batch.source,
        batch.time,
        counts.read,
        audit.usual_counts(conn, batch),
    )
    try:
        results = quality.run(raw_connection(conn), subject, checks)
    except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable) as error:
        raise LoadError(
            f"{batch.entity}: a check names what is not there: {error.diag.message_primary}",
            "correct the name under `checks:`",
        ) from None
    rows = tuple((r.check, r.status, r.found) for r in results)
    failed = [r for r in results if r.status == "failed"]
    if failed:
        said = "; ".join(f"{r.check}: {r.found}" for r in failed)
        raise CheckFailedError(
            f"{batch.entity}: batch {batch.batch_id} was refused, its checks failed: {said}",
            "correct the source or the check (`severity: warn` lets it pass), then run again",
            rows,
        )
    for result in results:
        if result.status == "warned":
            log.warning("%s: %s: %s", batch.entity, result.check, result.found)
    put_checks(conn, batch, move.run, rows)


def _advance_cursor(conn: sa.Connection, batch: BatchRef, entity: Entity, state: Any) -> None:
    """A cursor only grows; any other state (also a cursor with more beside it) is that of the newest batch."""
    if state is None:
        return
    if cursor_of(entity) is None or isinstance(state, dict):
        audit.put_state(conn, batch, state)
        return
    old = audit.get_cursor(conn, batch.entity)
    new = later(old, state)
    if new is not None and new != old:
        audit.put_cursor(conn, batch, new)


def history_of(platform: Platform, ref: EntityRef) -> History:
    """Bronze as silver sees it."""
    bronze = platform.bronze

    def set_aside(batch_id: str, found: list[BadVersion]) -> None:
        keys = bronze.keys_of(ref, [id_ for _, id_, _ in found])
        bad = [
            quarantine.Bad(reason, dump(doc), version=id_.hex(), key=keys.get(id_))
            for reason, id_, doc in found
        ]
        quarantine.store(bronze.db, BatchRef(ref, batch_id), "silver", bad)

    return History(
        manifest=lambda batch_id: bronze.manifests.named(ref, [batch_id])[0],
        heads=lambda: bronze.manifests.all(ref),
        entries=lambda manifest: bronze.manifests.held(manifest, lines=False),
        walk=lambda batches: walk(bronze, ref, batches),
        stored=lambda: stored(bronze, ref),
        documents=lambda ids: bronze.documents(ref, ids),
        encoded=lambda ids: bronze.encoded(ref, ids),
        decode=records_of,
        quarantine=set_aside,
        set_aside=lambda: upkeep.versions_aside(bronze, ref),
    )


def refresh_gold(platform: Platform, names: list[str] | None = None, full: bool = False) -> list[Built]:
    """Silver → gold: the models named (and only them), or all, in the order of their dependencies."""
    from dataplatform.layers.gold.build import build  # imports sqlglot, of no use to the other moves

    return build(platform.engine, platform.catalog.models, names, full, platform.catalog.tables)


def gold_is_stale(platform: Platform) -> bool:
    """Whether silver has changed since the oldest model was built, or one never built waits for no table."""
    from dataplatform.layers.gold.build import waits  # as above

    catalog, engine = platform.catalog, platform.engine
    buildable = catalog.models.keys() - waits(engine, catalog.models, catalog.tables)
    with connected(engine) as conn:
        return is_stale(conn, sorted(buildable))


def record_failure(platform: Platform, move: Move, error: DataplatformError) -> None:
    """Notes that a move failed, in a transaction of its own; with the checks that refused it."""
    with transaction(platform.engine) as conn:
        for batch in move.batches:
            done = audit.get_load(conn, move.layer, batch)
            if done is None or done[0] != "done":
                detail = {"transient": isinstance(error, TransientError)}
                audit.put_load(conn, Load(move.layer, batch, move.run, detail=detail, error=str(error)))
        if isinstance(error, CheckFailedError):
            put_checks(conn, move.batch, move.run, error.results)
        if isinstance(error, ConnectionExpiredError):
            emit(conn, SourceExpired(move.batch.source, str(error)))


def _entity(platform: Platform, batch: BatchRef) -> Entity:
    return platform.catalog.source(batch.source).entities[batch.name]
