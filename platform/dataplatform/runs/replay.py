"""Bronze and silver again from raw, offline."""

from __future__ import annotations

import logging
from contextlib import ExitStack

from dataplatform import pipeline
from dataplatform.audit import record as audit
from dataplatform.connectors import Part
from dataplatform.connectors.registry import reread_of
from dataplatform.context import Platform
from dataplatform.errors import BusyError, DataplatformError, LoadError
from dataplatform.layers import raw as raw_layer
from dataplatform.layers.bronze import upkeep
from dataplatform.layers.silver import horizon, pending
from dataplatform.layers.silver.task import Mode
from dataplatform.pipeline import Flags, Move
from dataplatform.records.counts import Counts
from dataplatform.records.refs import BatchRef, EntityRef, RunRef
from dataplatform.requesting import request_of, screen_of
from dataplatform.runs.locks import locked
from dataplatform.runs.order import EntityResult, RunResult
from dataplatform.storage.packed import unpacked
from dataplatform.storage.postgres import connected, removing, transaction

log = logging.getLogger(__name__)


def replay(platform: Platform, source_name: str, since: str = "") -> RunResult:
    """Bronze and silver again from raw; batches that were refused stay out.

    `since`: a batch's id or a date; older batches keep their bronze as it is.
    """
    source = platform.catalog.source(source_name)
    since = since.replace("-", "") if len(since) == 10 else since
    batches = raw_layer.batches(platform.raw, source_name)
    refs = [EntityRef(source_name, name) for name in source.entities]
    result = RunResult(source_name, batches[-1] if batches else "", RunRef(), {})
    with removing(platform.engine, 1.0), locked(platform, refs) as free:
        if len(free) < len(refs):
            raise BusyError(f"{source_name} is running already", "wait until that run has ended")
        for ref in refs:
            result.entities[ref.name] = replay_entity(platform, ref, batches, result.run, since)
    return result


def replay_entity(
    platform: Platform, ref: EntityRef, batches: list[str], run: RunRef, since: str = ""
) -> EntityResult:
    """One entity, whose lock is held, from those of the source's batches that have it."""
    batches = [b for b in batches if raw_layer.manifest(platform.raw, BatchRef(ref, b))]
    try:
        with connected(platform.engine) as conn:
            refused = audit.refused_batches(conn, ref)
            applied = audit.loaded_batches(conn, ref, "silver")
        lost = [b for b in applied if b not in batches and (not since or b >= since)]
        if lost:
            raise LoadError(
                f"raw no longer holds {len(lost)} batches that silver was built from, {lost[0]} first",
                f"replay what is left: dataplatform replay {ref.source} "
                f"--from {batches[0] if batches else '…'}",
            )
        with removing(platform.engine, 60.0):  # a backup made meanwhile would lack what is taken out first
            if not since:
                upkeep.forget(platform.bronze, ref)
            else:
                upkeep.forget_batches(platform.bronze, ref, since)
            for batch_id in batches:
                if batch_id >= since:
                    _read_again(platform, BatchRef(ref, batch_id))
                    pipeline.load_bronze(platform, Move("bronze", BatchRef(ref, batch_id), run))
            wanted = sorted({*applied, *batches} - refused)
            counts = _silver(platform, ref, wanted, run)
            for batch_id in wanted:
                pipeline.settle(platform, BatchRef(ref, batch_id))
        return EntityResult(counts)
    except DataplatformError as error:
        log.error("replay of %s: %s", ref, error)
        return EntityResult(Counts(), str(error))


def _read_again(platform: Platform, batch: BatchRef) -> None:
    """Parts whose original is kept, and which metadata read in another way today: landed anew, from the original."""
    raw = raw_layer.manifest(platform.raw, batch)
    reread = reread_of(platform.catalog.source(batch.source))
    if raw is None or reread is None:
        return
    with ExitStack() as stack:
        again = {}
        for part in raw.parts:
            if part.original and platform.raw.exists(part.original):
                content = stack.enter_context(unpacked(platform.raw, part.original))
                known = Part(part.name, part.digest, str(content))
                items = reread(request_of(platform, batch.entity), known, content)
                if items is not None:
                    again[part.name] = items
        if again:
            raw_layer.reland(platform.raw, raw, again, screen_of(platform, batch.entity))


def _silver(platform: Platform, ref: EntityRef, batches: list[str], run: RunRef) -> Counts:
    """All batches in one transaction: readers see the old table until the new one is there."""
    total, flags = Counts(), Flags(allow_deletes=True)
    with transaction(platform.engine) as conn:
        entity = platform.catalog.source(ref.source).entities[ref.name]
        heads, wanted = platform.bronze.manifests.all(ref), set(batches)
        out = [head for head in heads if head.batch_id not in wanted]
        settled = horizon.set_aside(conn, ref)
        pending.reset(conn, ref, entity, [head for head in heads if head.batch_id in wanted], out)
        audit.forget_loads(conn, ref, "silver", batches)
        for number, batch_id in enumerate(batches):
            move = Move("silver", BatchRef(ref, batch_id), run, flags)
            total += pipeline.apply_silver(platform, conn, move, batches[:number], Mode.RESTATED)
        horizon.put_back(conn, ref, settled)
    return total
