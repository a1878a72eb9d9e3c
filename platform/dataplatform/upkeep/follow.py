"""Bronze after retention: it holds of the old batches what their baseline holds, and no version that nothing names."""

from __future__ import annotations

from dataclasses import replace

from dataplatform import pipeline
from dataplatform.context import Platform
from dataplatform.layers import raw
from dataplatform.layers.bronze import upkeep
from dataplatform.layers.bronze.parse import Record, parse_block
from dataplatform.layers.bronze.rules import page_rule
from dataplatform.layers.silver import horizon, state
from dataplatform.layers.silver import known as known_paths
from dataplatform.layers.silver.horizon import Horizon
from dataplatform.layers.silver.plan import whole_paths
from dataplatform.pipeline import Move
from dataplatform.records.record import content_id
from dataplatform.records.refs import BatchRef, EntityRef, RunRef
from dataplatform.storage.mongo import server_errors
from dataplatform.storage.postgres import connected, removing, transaction


def follow(platform: Platform, ref: EntityRef) -> int:
    """Goes on with what retention, perhaps a killed one, left; returns how many versions went. Its lock is held."""
    with connected(platform.engine) as conn:
        found = horizon.of(conn, ref)
    if not found.bronze_due or found.taken_until is None:
        return 0
    with removing(platform.engine, 60.0), server_errors():
        gone = _follow(platform, ref, found.taken_until)
        heads = platform.bronze.manifests.all(ref)
    with transaction(platform.engine) as conn:
        state.put_settled(conn, ref, known_paths.settled(state.known_paths(conn, ref), heads))
        horizon.put(conn, ref, Horizon(found.taken_until, found.closed_before))
    return gone


def _follow(platform: Platform, ref: EntityRef, until: str) -> int:
    bronze, there = platform.bronze, raw.baseline(platform.raw, ref)
    known = {head.batch_id for head in bronze.manifests.all(ref)}
    old = {batch_id for batch_id in known if batch_id <= until}
    stale = {*upkeep.leaning_on(bronze, ref, old)} if old else set()
    loose = {b for b in raw.batches(platform.raw, ref.source, ref.name) if b > until}
    lost = {b for b in loose - known if raw.manifest(platform.raw, BatchRef(ref, b))}  # by a killed retention
    before = upkeep.statuses(bronze, ref)
    upkeep.forget_manifests(bronze, ref, stale)
    upkeep.clear_quarantine(bronze, ref, old - there.keys(), ())
    kept = sorted({*there, *loose})
    for batch_id in sorted({*there, *(stale & loose), *lost}):
        batch = BatchRef(ref, batch_id)
        if batch_id in there:
            _claim(platform, batch, kept)
        pipeline.load_bronze(platform, Move("bronze", batch, RunRef()))
    upkeep.restore_statuses(bronze, before)
    gone = upkeep.collect(bronze, ref)
    upkeep.clear_quarantine(bronze, ref, (), gone)
    return len(gone)


def _claim(platform: Platform, batch: BatchRef, kept: list[str]) -> None:
    """What a batch that is no more had brought first, another one has: each version counts once, for columns' types."""
    entity = platform.catalog.source(batch.source).entities[batch.name]
    manifest = raw.manifest(platform.raw, batch)
    for page in raw.read(platform.raw, manifest) if manifest else ():
        rule = replace(page_rule(entity, page.header), whole=whole_paths(entity))
        if page.header["kind"] == "records":
            items = parse_block(page.lines, rule) if page.lines else []
            versions = [content_id(item.doc) for item in items if isinstance(item, Record)]
            platform.bronze.claim(batch, versions, kept)
