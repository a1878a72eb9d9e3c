"""A run of a source: one batch, every entity through land, load_bronze and load_silver."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from dataplatform import pipeline
from dataplatform.audit import record as audit
from dataplatform.context import Platform
from dataplatform.errors import DataplatformError, MetadataError
from dataplatform.events.kinds import RunFailed
from dataplatform.events.outbox import emit
from dataplatform.metadata.source import Source
from dataplatform.names import new_batch_id
from dataplatform.pipeline import Flags, Move
from dataplatform.quality.results import checks_of
from dataplatform.records.refs import BatchRef, EntityRef, RunRef
from dataplatform.runs.chains import Chain, Submit, drive, threads
from dataplatform.runs.corrections import made_anew
from dataplatform.runs.locks import locked
from dataplatform.runs.order import EntityResult, Order, RunResult
from dataplatform.runs.tables import with_tables
from dataplatform.storage.postgres import connected, transaction

log = logging.getLogger(__name__)


def run(platform: Platform, order: Order, submit: Submit | None = None) -> RunResult:
    """Ingests one batch. An entity that fails does not keep the others from being loaded.

    `submit` performs the moves somewhere (a Prefect task runner); without it, threads of this process do.
    """
    if submit is None:  # else whoever hands the moves on has done so
        platform = with_tables(platform, order.source)
    refs = _wanted(platform.catalog.source(order.source), order.entities)
    with locked(platform, refs) as free:
        with transaction(platform.engine) as conn:
            asked = {
                "entities": [r.name for r in refs],
                "full": order.flags.full,
                "force": order.flags.force,
                **({"window": list(order.flags.window)} if order.flags.window else {}),
            }
            batch_id = audit.start_run(conn, order.run, order.source, new_batch_id(), asked)
        anew = made_anew(platform, free, order.run)
        able = [ref for ref in free if ref not in anew or not anew[ref].error]
        waiting = left_lying(platform, able, order.run, batch_id)
        way = _together if _reads_together(platform, order.source) else _side_by_side
        done = way(partial(perform_all, platform, submit=submit), batch_id, order, waiting) if waiting else {}
        done = {ref: anew[ref] for ref in free if ref not in able} | done
        results = {ref.name: done.get(ref, _busy(ref)) for ref in refs}
        result = RunResult(order.source, batch_id, order.run, results)
        _finish(platform, result, {ref.name: one.notes for ref, one in anew.items()})
    return result


Waiting = dict[EntityRef, list[list[Move]]]
Results = dict[EntityRef, EntityResult]
Perform = Callable[[list[Chain]], Results]


def _side_by_side(perform: Perform, batch_id: str, order: Order, waiting: Waiting) -> Results:
    """Every entity all the way by itself, after what was left lying of it."""
    return perform(
        [
            Chain(ref, [*legs, layers(BatchRef(ref, batch_id), order.run, order.flags)])
            for ref, legs in waiting.items()
        ]
    )


def _together(perform: Perform, batch_id: str, order: Order, waiting: Waiting) -> Results:
    """What was left lying first, for it moves the states on; then one process lands all entities."""
    perform([Chain(ref, legs) for ref, legs in waiting.items() if any(legs)])
    first, names = next(iter(waiting)), tuple(ref.name for ref in waiting)
    landing = Move("raw", BatchRef(first, batch_id), order.run, order.flags, names)
    landed = perform([Chain(first, [[landing]])])[first]
    if landed.error:
        return dict.fromkeys(waiting, landed)
    return perform(
        [Chain(ref, [layers(BatchRef(ref, batch_id), order.run, order.flags)[1:]]) for ref in waiting]
    )


def _reads_together(platform: Platform, source: str) -> bool:
    try:
        return pipeline.reads_together(platform, source)
    except DataplatformError:  # it cannot be read at all; landing says so of each entity
        return False


def _wanted(source: Source, names: tuple[str, ...]) -> list[EntityRef]:
    unknown = [name for name in names if name not in source.entities]
    if unknown:
        raise MetadataError(
            f"the source {source.source} has no entity {', '.join(unknown)}",
            f"its entities: {', '.join(source.entities)}",
        )
    return [EntityRef(source.source, name) for name in names or source.entities]


def _busy(ref: EntityRef) -> EntityResult:
    return EntityResult(error=f"{ref} is running already; wait until that run has ended", transient=True)


def layers(batch: BatchRef, run: RunRef, flags: Flags) -> list[Move]:
    """All the way of a batch."""
    return [Move(layer, batch, run, flags) for layer in ("raw", "bronze", "silver")]


def left_lying(
    platform: Platform, refs: list[EntityRef], run: RunRef, before: str = "~"
) -> dict[EntityRef, list[list[Move]]]:
    """Of each entity: the rest of the way for batches that a killed run, or a server that failed, left behind."""
    with connected(platform.engine) as conn:
        waiting = audit.unprocessed(conn, refs[0].source) if refs else {}
    return {
        ref: [
            [Move(layer, BatchRef(ref, batch_id), run) for layer in ("bronze", "silver")]
            for batch_id in waiting.get(ref, ())
            if batch_id < before
        ]
        for ref in refs
    }


def perform_all(
    platform: Platform, chains: list[Chain], submit: Submit | None = None
) -> dict[EntityRef, EntityResult]:
    """Carries chains out side by side, and notes what fails."""
    most, failed = platform.settings.parallel, partial(_note_failure, platform)
    if submit is not None:
        return drive(chains, most, submit, failed)
    with threads(most, partial(pipeline.perform, platform)) as in_threads:
        return drive(chains, most, in_threads, failed)


def _note_failure(platform: Platform, move: Move, error: DataplatformError) -> None:
    try:
        pipeline.record_failure(platform, move, error)
    except DataplatformError as second:
        log.error("the failure could not be recorded: %s", second)


def _finish(platform: Platform, result: RunResult, more: dict[str, list[str]]) -> None:
    error = "\n".join(f"{n}: {e}" for n, e in result.failed.items()) or None
    with transaction(platform.engine) as conn:
        for name, said in audit.remarks(conn, result.source, result.batch_id).items():
            if name in result.entities:
                old = result.entities[name]
                notes = [*more.get(name, ()), *said["notes"]]
                result.entities[name] = replace(old, notes=notes, warnings=said["warnings"])
        result.checks.extend(checks_of(conn, result.source, result.batch_id))
        audit.finish_run(conn, result.run, result.status, error)
        if error:
            emit(conn, RunFailed(result.source, result.batch_id, error))
