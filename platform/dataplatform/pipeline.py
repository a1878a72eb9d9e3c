"""The four moves: land, load_bronze, load_silver, refresh_gold. Each may be repeated at any time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

from dataplatform.audit import record as audit
from dataplatform.audit.record import Counts
from dataplatform.connectors import Request, Since
from dataplatform.connectors.registry import extract_of
from dataplatform.context import Platform
from dataplatform.errors import CheckFailedError, DataplatformError, LoadError, StorageError, TransientError
from dataplatform.events.outbox import emit
from dataplatform.layers import bronze as bronze_layer
from dataplatform.layers import raw as raw_layer
from dataplatform.layers.bronze import quarantine, upkeep
from dataplatform.layers.bronze.walk import stored, walk
from dataplatform.layers.gold.lock import hold_back
from dataplatform.layers.silver import load as silver_load
from dataplatform.layers.silver.plan import whole_paths
from dataplatform.layers.silver.task import History, Task
from dataplatform.metadata.cursor import later, step_back
from dataplatform.metadata.source import Entity, Source
from dataplatform.names import batch_time, entity_table
from dataplatform.quality import tables as quality
from dataplatform.quality.records import screening as screening_of
from dataplatform.quality.results import put_checks
from dataplatform.records import hashes as hs
from dataplatform.records.record import dump
from dataplatform.storage.mongo import server_errors
from dataplatform.storage.postgres import database_errors, raw_connection

if TYPE_CHECKING:
    from dataplatform.layers.gold.build import Built

log = logging.getLogger(__name__)

Report = Callable[[int], None]


def land(
    platform: Platform,
    source: Source,
    name: str,
    batch_id: str,
    run_id: str,
    full: bool = False,
    force: bool = False,
    report: Report = lambda _: None,
) -> Counts:
    """Source → raw. `full`: from the beginning; `force`: also what did not change since."""
    entity, started = _entity(source, name), time.perf_counter()
    before = None if force else _latest_manifest(platform, source.source, name, batch_id)
    since = Since(
        None if full else _cursor(platform, source.source, name, entity),
        before.digests() if before else {},
    )
    request = Request(
        source, name, entity, platform.secrets.resolve, platform.base_dirs,
        {"DATAPLATFORM_HOME": str(platform.settings.home_path)}, platform.settings.http_timeout,
    )  # fmt: skip
    extract = extract_of(source, platform.settings.connectors)
    with closing(_reported(extract(request, since), report)) as pages:
        manifest = raw_layer.land(
            platform.raw, source.source, name, batch_id, pages, entity.load, since.cursor, before
        )
    counts = Counts(read=manifest.records + manifest.rejects)
    with database_errors(), platform.engine.begin() as conn:
        audit.put_load(
            conn, source.source, name, "raw", batch_id, run_id, counts,
            time.perf_counter() - started, entity.load,
        )  # fmt: skip
        _emit(conn, "batch.landed", source.source, name, batch_id, counts)
    return counts


def _reported(pages: Iterator[Any], report: Report) -> Generator[Any]:
    try:
        for page in pages:
            report(len(page.data))
            yield page
    finally:
        close = getattr(pages, "close", None)
        if close:
            close()


def _cursor(platform: Platform, source: str, name: str, entity: Entity) -> Any:
    if entity.cursor is None:
        return None
    with database_errors(), platform.engine.connect() as conn:
        value = audit.get_cursor(conn, source, name)
    return entity.cursor.initial if value is None else step_back(value, entity.cursor.overlap)


def _latest_manifest(
    platform: Platform, source: str, name: str, batch_id: str
) -> raw_layer.RawManifest | None:
    """Of the newest batch that has one; only recent batches are looked at.

    Not of one that silver refused: what it brought counts as not delivered, and is read again.
    """
    with database_errors(), platform.engine.connect() as conn:
        refused = audit.refused_batches(conn, source, name)
    earlier = [b for b in raw_layer.batches(platform.raw, source) if b < batch_id and b not in refused]
    for found in reversed(earlier[-20:]):
        manifest = raw_layer.manifest(platform.raw, source, name, found)
        if manifest is not None:
            return manifest
    return None


def load_bronze(platform: Platform, source: Source, name: str, batch_id: str, run_id: str) -> Counts:
    """Raw → bronze, from the files alone."""
    entity, started = _entity(source, name), time.perf_counter()
    raw = raw_layer.manifest(platform.raw, source.source, name, batch_id)
    if raw is None:
        raise StorageError(
            f"raw holds no batch {batch_id} of {source.source}.{name}",
            f"ingest anew: dataplatform run {source.source} {name}",
        )
    pages = raw_layer.read(platform.raw, raw)
    with closing(pages):
        loaded = bronze_layer.load(platform.bronze, raw, pages, entity, whole_paths(entity))
    manifest = loaded.manifest
    counts = Counts(
        read=manifest.records, inserted=manifest.new_versions, quarantined=manifest.quarantined,
        unchanged=manifest.records - manifest.new_versions - manifest.quarantined,
    )  # fmt: skip
    with database_errors(), platform.engine.begin() as conn:
        audit.put_load(
            conn, source.source, name, "bronze", batch_id, run_id, counts,
            time.perf_counter() - started, raw.load,
        )  # fmt: skip
    return counts


def load_silver(
    platform: Platform,
    source: Source,
    name: str,
    batch_id: str,
    run_id: str,
    allow_deletes: bool = False,
) -> Counts:
    """Bronze → silver. Data, audit, cursor and event are committed together or not at all."""
    with database_errors(), platform.engine.begin() as conn:
        done = audit.get_load(conn, source.source, name, "silver", batch_id)
        if done is not None and done[0] == "done":
            return done[1]
        applied = audit.loaded_batches(conn, source.source, name, "silver")
        counts = apply_silver(platform, conn, source, name, batch_id, run_id, applied, allow_deletes)
        _check(conn, source, name, batch_id, run_id, counts)
        return counts


def _check(
    conn: sa.Connection, source: Source, name: str, batch_id: str, run_id: str, counts: Counts
) -> None:
    """The checks of a batch, on what readers would see; one that fails takes the transaction back."""
    checks = [check for check in _entity(source, name).checks if not check.screens]
    if not checks:
        return
    subject = quality.Subject(
        sql.Identifier("silver_current", entity_table(source.source, name)), source.source,
        batch_time(batch_id), counts.read, audit.usual_counts(conn, source.source, name, batch_id),
    )  # fmt: skip
    try:
        results = quality.run(raw_connection(conn), subject, checks)
    except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable) as error:
        raise LoadError(
            f"{source.source}.{name}: a check names what is not there: {error.diag.message_primary}",
            "correct the name under `checks:`",
        ) from None
    rows = tuple((r.check, r.status, r.found) for r in results)
    failed = [r for r in results if r.status == "failed"]
    if failed:
        said = "; ".join(f"{r.check}: {r.found}" for r in failed)
        raise CheckFailedError(
            f"{source.source}.{name}: batch {batch_id} was refused, its checks failed: {said}",
            "correct the source or the check (`severity: warn` lets it pass), then run again", rows,
        )  # fmt: skip
    for result in results:
        if result.status == "warned":
            log.warning("%s.%s: %s: %s", source.source, name, result.check, result.found)
    put_checks(conn, source.source, name, batch_id, run_id, rows)


def apply_silver(
    platform: Platform,
    conn: sa.Connection,
    source: Source,
    name: str,
    batch_id: str,
    run_id: str,
    applied: list[str],
    allow_deletes: bool,
    restated: bool = False,
    unsettled: bool = False,
) -> Counts:
    """One batch into silver, in the caller's transaction.

    `restated`: the table was emptied before; `unsettled`: it holds traces of batches not in `applied`.
    """
    entity, started = _entity(source, name), time.perf_counter()
    hold_back(conn)
    screening = partial(screening_of, entity.checks, entity=f"{source.source}.{name}")
    task = Task(source.source, name, entity, batch_id, run_id, applied, allow_deletes, unsettled, screening)
    with server_errors():
        history = _history(platform, source.source, name)
        manifest = history.manifest(batch_id)
        counts, detail = silver_load.load(conn, task, history, manifest)
    if restated:
        detail["restated"] = True
    audit.put_load(
        conn, source.source, name, "silver", batch_id, run_id, counts,
        time.perf_counter() - started, entity.load, detail,
    )  # fmt: skip
    _advance_cursor(conn, source.source, name, entity, manifest, batch_id)
    _emit(conn, "entity.loaded", source.source, name, batch_id, counts)
    return counts


def _advance_cursor(
    conn: sa.Connection, source: str, name: str, entity: Entity, manifest: Any, batch_id: str
) -> None:
    if entity.cursor is None or manifest.cursor is None:
        return
    old = audit.get_cursor(conn, source, name)
    new = later(old, manifest.cursor)
    if new is not None and new != old:
        audit.put_cursor(conn, source, name, new, batch_id)


def _history(platform: Platform, source: str, name: str) -> History:
    """Bronze as silver sees it."""
    bronze = platform.bronze

    def set_aside(batch_id: str, found: list[tuple[str, bytes, dict[str, Any]]]) -> None:
        bad = [quarantine.Bad(reason, dump(doc), version=id_.hex()) for reason, id_, doc in found]
        quarantine.store(bronze.db, source, name, batch_id, "silver", bad)

    return History(
        manifest=lambda batch_id: bronze.heads(source, name, [batch_id])[0],
        entries=lambda manifest: replace(bronze.held(manifest), lines=hs.EMPTY),  # silver has no use for them
        walk=lambda batches: walk(bronze, source, name, batches),
        stored=lambda: stored(bronze, source, name),
        documents=lambda ids: bronze.documents(source, name, ids),
        quarantine=set_aside,
        set_aside=lambda: [
            bytes.fromhex(d["version"]) for d in upkeep.quarantined(bronze, source, name) if d.get("version")
        ],
    )


def refresh_gold(platform: Platform, names: list[str] | None = None, full: bool = False) -> list[Built]:
    """Silver → gold: the models named (and only them), or all, in the order of their dependencies."""
    from dataplatform.layers.gold.build import build  # imports sqlglot, of no use to the other moves

    return build(platform.engine, platform.catalog.models, names, full)


def gold_is_stale(platform: Platform) -> bool:
    """Whether silver has changed since the oldest model was built, or a model was never built."""
    query = sa.text(
        "select coalesce((select max(finished_at) from audit.load where layer = 'silver' and status = 'done' "
        "and inserted + updated + closed > 0) > min(seen_until), true), count(*) from audit.gold_model "
        "where name = any(:names)"
    )
    names = list(platform.catalog.models)
    with database_errors(), platform.engine.connect() as conn:
        changed, built = conn.execute(query, {"names": names}).one()
    return bool(names) and (bool(changed) or int(built) < len(names))


def record_failure(
    platform: Platform, source: str, name: str, layer: str, batch_id: str, run_id: str,
    error: DataplatformError,
) -> None:  # fmt: skip
    """Notes that a load failed, in a transaction of its own; with the checks that refused it."""
    with database_errors(), platform.engine.begin() as conn:
        done = audit.get_load(conn, source, name, layer, batch_id)
        if done is None or done[0] != "done":
            detail = {"transient": isinstance(error, TransientError)}
            audit.put_load(
                conn, source, name, layer, batch_id, run_id, Counts(), 0.0, detail=detail, error=str(error)
            )
        if isinstance(error, CheckFailedError):
            put_checks(conn, source, name, batch_id, run_id, error.results)


def _entity(source: Source, name: str) -> Entity:
    return source.entities[name]


def _emit(conn: sa.Connection, event: str, source: str, name: str, batch_id: str, counts: Counts) -> None:
    payload = {"source": source, "entity": name, "batch_id": batch_id, **counts.__dict__}
    emit(conn, f"dataplatform.{event}", f"dataplatform.{source}.{name}", payload)
