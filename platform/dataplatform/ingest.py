"""A run of a source: every entity through land, load_bronze and load_silver; also replays.

`step` carries out one piece of work; Prefect's flow hands one in that makes a task of it.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import asdict, dataclass, field
from typing import Any

from dataplatform import pipeline
from dataplatform.audit import record as audit
from dataplatform.audit.record import Counts
from dataplatform.context import Platform
from dataplatform.errors import DataplatformError, LoadError, MetadataError, TransientError
from dataplatform.events.outbox import emit
from dataplatform.layers import raw as raw_layer
from dataplatform.layers.bronze import upkeep
from dataplatform.layers.silver import migrate
from dataplatform.metadata.source import Source
from dataplatform.names import new_batch_id
from dataplatform.quality.results import checks_of
from dataplatform.storage.postgres import database_errors, exclusive

log = logging.getLogger(__name__)

Step = Callable[[str, str, Callable[[], Counts]], Counts]


@dataclass(frozen=True)
class Order:
    """What to run. Empty `entities` means all; a known `run_id` goes on with its batch."""

    source: str
    entities: tuple[str, ...] = ()
    full: bool = False
    force: bool = False
    allow_deletes: bool = False
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True)
class EntityResult:
    """What became of one entity: the counts of its silver load, or the error."""

    counts: Counts = field(default_factory=Counts)
    error: str | None = None
    transient: bool = False


@dataclass(frozen=True)
class RunResult:
    """What became of a run."""

    source: str
    batch_id: str
    run_id: str
    entities: dict[str, EntityResult]
    checks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def failed(self) -> dict[str, str]:
        return {name: r.error for name, r in self.entities.items() if r.error}

    @property
    def status(self) -> str:
        return "failed" if self.failed else "done"

    def as_json(self) -> dict[str, Any]:
        """The document that `dataplatform run --json` prints."""
        entities: dict[str, Any] = {}
        for name, result in self.entities.items():
            entities[name] = asdict(result.counts)
            if result.error:
                entities[name]["error"] = result.error
        return {
            "source": self.source, "batch_id": self.batch_id, "run_id": self.run_id,
            "status": self.status, "entities": entities, "checks": self.checks,
        }  # fmt: skip


def plain_step(layer: str, name: str, work: Callable[[], Counts]) -> Counts:
    return work()


def run(platform: Platform, order: Order, step: Step = plain_step) -> RunResult:
    """Ingests one batch. An entity that fails does not keep the others from being loaded."""
    source = platform.catalog.source(order.source)
    names = _wanted(source, order.entities)
    with exclusive(platform.engine, f"source {source.source}"):
        with database_errors(), platform.engine.begin() as conn:
            asked = {"entities": names, "full": order.full, "force": order.force}
            batch_id = audit.start_run(conn, order.run_id, source.source, new_batch_id(), asked)
        found = _side_by_side(
            names, platform.settings.parallel, lambda n: _entity(platform, source, n, batch_id, order, step)
        )
        result = RunResult(source.source, batch_id, order.run_id, found)
        _finish(platform, result)
    return result


def _side_by_side(
    names: list[str], most: int, work: Callable[[str], EntityResult]
) -> dict[str, EntityResult]:
    """Results in the order of the names. Each thread sees the caller's context: in it Prefect knows its flow."""
    with ThreadPoolExecutor(max(1, min(most, len(names))), "entity") as pool:
        futures = {name: pool.submit(copy_context().run, work, name) for name in names}
        return {name: future.result() for name, future in futures.items()}


def _wanted(source: Source, names: tuple[str, ...]) -> list[str]:
    unknown = [name for name in names if name not in source.entities]
    if unknown:
        raise MetadataError(
            f"the source {source.source} has no entity {', '.join(unknown)}",
            f"its entities: {', '.join(source.entities)}",
        )
    return list(names or source.entities)


def _entity(
    platform: Platform, source: Source, name: str, batch_id: str, order: Order, step: Step
) -> EntityResult:
    run_id, layer = order.run_id, "raw"
    _catch_up(platform, source, name, batch_id, order, step)
    try:
        step("raw", name, lambda: pipeline.land(
            platform, source, name, batch_id, run_id, order.full, order.force
        ))  # fmt: skip
        layer = "bronze"
        step("bronze", name, lambda: pipeline.load_bronze(platform, source, name, batch_id, run_id))
        layer = "silver"
        counts = step("silver", name, lambda: pipeline.load_silver(
            platform, source, name, batch_id, run_id, order.allow_deletes
        ))  # fmt: skip
        return EntityResult(counts)
    except DataplatformError as error:
        log.error("%s.%s, %s: %s", source.source, name, layer, error)
        transient = isinstance(error, TransientError)
        _note_failure(platform, source.source, name, layer, batch_id, run_id, error)
        return EntityResult(Counts(), str(error), transient)


def _note_failure(
    platform: Platform, source: str, name: str, layer: str, batch_id: str, run_id: str,
    error: DataplatformError,
) -> None:  # fmt: skip
    try:
        pipeline.record_failure(platform, source, name, layer, batch_id, run_id, error)
    except DataplatformError as second:
        log.error("the failure could not be recorded: %s", second)


def _finish(platform: Platform, result: RunResult) -> None:
    error = "\n".join(f"{n}: {e}" for n, e in result.failed.items()) or None
    with database_errors(), platform.engine.begin() as conn:
        audit.finish_run(conn, result.run_id, error)
        result.checks.extend(checks_of(conn, result.source, result.batch_id))
        if error:
            emit(
                conn, "dataplatform.run.failed", f"dataplatform.{result.source}",
                {"source": result.source, "batch_id": result.batch_id, "error": error},
            )  # fmt: skip


def reprocess(platform: Platform, source_name: str, name: str, batches: list[str]) -> Counts:
    """Loads batches again from raw, under today's metadata (after a retry of quarantine)."""
    source, run_id = platform.catalog.source(source_name), str(uuid.uuid4())
    total = Counts()
    with exclusive(platform.engine, f"source {source_name}"):
        concerned = upkeep.leaning_on(platform.bronze, source_name, name, set(batches))
        for batch_id in concerned:
            upkeep.forget_batch(platform.bronze, source_name, name, batch_id)
        for batch_id in concerned:
            pipeline.load_bronze(platform, source, name, batch_id, run_id)
        with database_errors(), platform.engine.begin() as conn:
            audit.forget_loads(conn, source_name, name, ("silver",), concerned)
            for number, batch_id in enumerate(concerned):
                applied = audit.loaded_batches(conn, source_name, name, "silver")
                done = pipeline.apply_silver(
                    platform, conn, source, name, batch_id, run_id, applied, True, unsettled=number == 0
                )
                total = _sum(total, done)
    return total


def unprocessed(platform: Platform, source: str, name: str, before: str = "~") -> list[str]:
    """Batches that are landed but neither in silver nor refused by it, oldest first."""
    with database_errors(), platform.engine.connect() as conn:
        done = set(audit.loaded_batches(conn, source, name, "silver"))
        landed = audit.loaded_batches(conn, source, name, "raw")
        refused = audit.refused_batches(conn, source, name)
    return [b for b in landed if b < before and b not in done and b not in refused]


def _catch_up(platform: Platform, source: Source, name: str, batch_id: str, order: Order, step: Step) -> None:
    """Batches that a killed run, or a server that failed, left between raw and silver come first."""
    for earlier in unprocessed(platform, source.source, name, batch_id):
        log.info("%s.%s: going on with batch %s", source.source, name, earlier)
        try:
            pipeline.load_bronze(platform, source, name, earlier, order.run_id)
            pipeline.load_silver(platform, source, name, earlier, order.run_id)
        except DataplatformError as error:
            log.error("%s.%s, batch %s: %s", source.source, name, earlier, error)
            _note_failure(platform, source.source, name, "silver", earlier, order.run_id, error)


def process_waiting(platform: Platform, source_name: str, run_id: str) -> list[str]:
    """Loads what is landed but not in silver, raw files that no audit row knows of included."""
    source = platform.catalog.source(source_name)
    order = Order(source_name, run_id=run_id)
    found: set[str] = set()
    with exclusive(platform.engine, f"source {source_name}"):
        for name in source.entities:
            _adopt(platform, source, name, run_id)
            waiting = unprocessed(platform, source_name, name)
            _catch_up(platform, source, name, "~", order, plain_step)
            found.update(waiting)
    return sorted(found)


def _adopt(platform: Platform, source: Source, name: str, run_id: str) -> None:
    """A process killed between a manifest and its audit row leaves a batch that only raw knows."""
    with database_errors(), platform.engine.connect() as conn:
        known = set(audit.loaded_batches(conn, source.source, name, "raw"))
    for batch_id in raw_layer.batches(platform.raw, source.source):
        if batch_id in known:
            continue
        manifest = raw_layer.manifest(platform.raw, source.source, name, batch_id)
        if manifest is not None:
            counts = Counts(read=manifest.records + manifest.rejects)
            with database_errors(), platform.engine.begin() as conn:
                audit.put_load(conn, source.source, name, "raw", batch_id, run_id, counts, 0.0, manifest.load)


def replay(platform: Platform, source_name: str, since: str = "") -> RunResult:
    """Bronze and silver again from raw, offline; batches that were refused stay out.

    `since`: a batch's id or a date; older batches keep their bronze as it is.
    """
    source = platform.catalog.source(source_name)
    run_id = str(uuid.uuid4())
    since = since.replace("-", "") if len(since) == 10 else since
    batches = raw_layer.batches(platform.raw, source_name)
    result = RunResult(source_name, batches[-1] if batches else "", run_id, {})
    with exclusive(platform.engine, f"source {source_name}"):
        for name in source.entities:
            mine = [b for b in batches if raw_layer.manifest(platform.raw, source_name, name, b)]
            result.entities[name] = _replay_entity(platform, source, name, mine, since, run_id)
    return result


def _replay_entity(
    platform: Platform, source: Source, name: str, batches: list[str], since: str, run_id: str
) -> EntityResult:
    try:
        with database_errors(), platform.engine.connect() as conn:
            refused = audit.refused_batches(conn, source.source, name)
            applied = audit.loaded_batches(conn, source.source, name, "silver")
        lost = [b for b in applied if b not in batches and (not since or b >= since)]
        if lost:
            raise LoadError(
                f"raw no longer holds {len(lost)} batches that silver was built from, {lost[0]} first",
                f"replay what is left: dataplatform replay {source.source} "
                f"--from {batches[0] if batches else '…'}",
            )
        if not since:
            upkeep.forget(platform.bronze, source.source, name)
        else:
            upkeep.forget_batches(platform.bronze, source.source, name, since)
        for batch_id in batches:
            if batch_id >= since:
                pipeline.load_bronze(platform, source, name, batch_id, run_id)
        wanted = sorted({*applied, *batches} - refused)
        return EntityResult(_replay_silver(platform, source, name, wanted, run_id))
    except DataplatformError as error:
        log.error("replay of %s.%s: %s", source.source, name, error)
        return EntityResult(Counts(), str(error))


def _replay_silver(platform: Platform, source: Source, name: str, batches: list[str], run_id: str) -> Counts:
    """All batches in one transaction: readers see the old table until the new one is there."""
    total = Counts()
    with database_errors(), platform.engine.begin() as conn:
        migrate.reset(conn, source.source, name, source.entities[name])
        audit.forget_loads(conn, source.source, name, ("silver",), batches)
        for number, batch_id in enumerate(batches):
            done = pipeline.apply_silver(
                platform, conn, source, name, batch_id, run_id, batches[:number], True, restated=True
            )
            total = _sum(total, done)
    return total


def _sum(left: Counts, right: Counts) -> Counts:
    return Counts(**{n: v + getattr(right, n) for n, v in asdict(left).items()})
