"""Batches that are landed but not in silver: left by a killed run, set aside, or known to raw only."""

from __future__ import annotations

from dataplatform import pipeline
from dataplatform.audit import inbox
from dataplatform.audit import record as audit
from dataplatform.audit.record import Load
from dataplatform.context import Platform
from dataplatform.layers import raw as raw_layer
from dataplatform.layers.bronze import upkeep
from dataplatform.layers.silver.task import Mode
from dataplatform.pipeline import Flags, Move
from dataplatform.records.counts import Counts
from dataplatform.records.refs import BatchRef, EntityRef, RunRef
from dataplatform.runs.chains import Chain
from dataplatform.runs.locks import locked
from dataplatform.runs.run import left_lying, perform_all
from dataplatform.storage.postgres import connected, removing, transaction
from dataplatform.upkeep.follow import follow


def process_waiting(platform: Platform, source_name: str, run: RunRef) -> list[str]:
    """Loads what is landed but not in silver, raw files that no audit row knows of included. Ids of the batches."""
    refs = [EntityRef(source_name, name) for name in platform.catalog.source(source_name).entities]
    if not _anything(platform, refs):  # a run that begins just now must not meet our locks for nothing
        return []
    with locked(platform, refs) as free:
        for ref in free:
            follow(platform, ref)
            _adopt(platform, ref, run)
        waiting = left_lying(platform, free, run)
        perform_all(platform, [Chain(ref, legs) for ref, legs in waiting.items() if legs])
    return sorted({leg[0].batch.batch_id for legs in waiting.values() for leg in legs})


def _anything(platform: Platform, refs: list[EntityRef]) -> bool:
    with connected(platform.engine) as conn:
        if any(audit.unprocessed(conn, refs[0].source).values()):
            return True
    return any(_unknown(platform, ref) for ref in refs)


def _unknown(platform: Platform, ref: EntityRef) -> list[str]:
    with connected(platform.engine) as conn:
        known = audit.landed_batches(conn, ref)
    return [
        batch_id
        for batch_id in raw_layer.batches(platform.raw, ref.source, ref.name)
        if batch_id not in known
    ]


def _adopt(platform: Platform, ref: EntityRef, run: RunRef) -> None:
    """A process killed between a manifest and its audit row leaves a batch that only raw knows."""
    for batch_id in _unknown(platform, ref):
        manifest = raw_layer.manifest(platform.raw, BatchRef(ref, batch_id))
        if manifest is not None:
            counts = Counts(read=manifest.records + manifest.rejects)
            with transaction(platform.engine) as conn:
                audit.put_load(conn, Load("raw", manifest.ref, run, counts, mode=manifest.load))
                inbox.settle(conn, manifest.ref)


def reprocess(platform: Platform, ref: EntityRef, batches: list[str]) -> Counts:
    """Loads batches again from raw, under today's metadata (after a retry of quarantine)."""
    run, total = RunRef(), Counts()
    with removing(platform.engine, 1.0), locked(platform, [ref]):
        concerned = upkeep.leaning_on(platform.bronze, ref, set(batches))
        again = [BatchRef(ref, batch_id) for batch_id in concerned]
        for batch in again:
            upkeep.forget_batch(platform.bronze, batch)
        for batch in again:
            pipeline.load_bronze(platform, Move("bronze", batch, run))
        with transaction(platform.engine) as conn:
            audit.forget_loads(conn, ref, "silver", concerned)
            for number, batch in enumerate(again):
                applied = audit.loaded_batches(conn, ref, "silver")
                move = Move("silver", batch, run, Flags(allow_deletes=True))
                mode = Mode.APPEND if number else Mode.UNSETTLED
                total += pipeline.apply_silver(platform, conn, move, applied, mode)
            loaded = audit.loaded_batches(conn, ref, "silver")
        for batch_id in loaded[loaded.index(concerned[0]) :] if concerned else ():
            pipeline.settle(platform, BatchRef(ref, batch_id))
    return total
