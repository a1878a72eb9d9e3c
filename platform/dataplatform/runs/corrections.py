"""Corrections of metadata that history has to follow: another key, another name: made anew from raw."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

from dataplatform.audit import record as audit
from dataplatform.audit.forgotten import carry_over
from dataplatform.audit.record import Load
from dataplatform.context import Platform
from dataplatform.errors import DataplatformError, LoadError, TransientError
from dataplatform.layers import raw as raw_layer
from dataplatform.layers.raw.upkeep import copied
from dataplatform.layers.silver import horizon
from dataplatform.records.refs import BatchRef, EntityRef, RunRef
from dataplatform.runs.order import EntityResult
from dataplatform.runs.replay import replay_entity
from dataplatform.storage.mongo import server_errors
from dataplatform.storage.postgres import connected, transaction
from dataplatform.upkeep.follow import follow

log = logging.getLogger(__name__)


def made_anew(platform: Platform, refs: list[EntityRef], run: RunRef) -> dict[EntityRef, EntityResult]:
    """Of the entities, whose locks are held, those whose key or name is another now; each is made anew, and says so.

    One that cannot be looked at has its error; the others go on.
    """
    found = {ref: _attempt(platform, ref, run) for ref in refs}
    return {ref: result for ref, result in found.items() if result is not None}


def _attempt(platform: Platform, ref: EntityRef, run: RunRef) -> EntityResult | None:
    try:
        follow(platform, ref)
        return _carried_over(platform, ref, run) or _rekeyed(platform, ref, run)
    except DataplatformError as error:
        log.error("%s: %s", ref, error)
        return EntityResult(error=str(error), transient=isinstance(error, TransientError))


def _rekeyed(platform: Platform, ref: EntityRef, run: RunRef) -> EntityResult | None:
    changed = changed_key(platform, ref)
    if changed is None:
        return None
    old, new = changed
    result = replay_entity(platform, ref, raw_layer.batches(platform.raw, ref.source, ref.name), run)
    said = (
        f"its key was {_written(old)} and now is {_written(new)}: bronze and silver were made anew from raw"
    )
    return replace(result, notes=[said])


def _carried_over(platform: Platform, ref: EntityRef, run: RunRef) -> EntityResult | None:
    """An entity that has another name now gets its history, once; None where there is nothing to do."""
    before = former(platform, ref)
    if before is None:
        return None
    with connected(platform.engine) as conn:
        if audit.loaded_batches(conn, ref, "raw"):
            return None
        applied, state = audit.loaded_batches(conn, before, "silver"), audit.get_cursor(conn, before)
        settled = horizon.of(conn, before).closed_before
    with transaction(platform.engine) as conn:
        carry_over(conn, before, ref)
    if not applied:
        return None
    manifests = [raw_layer.manifest(platform.raw, BatchRef(before, batch_id)) for batch_id in applied]
    whole = [raw for raw in manifests if raw is not None]
    if len(whole) < len(applied):
        error = LoadError(
            f"{ref}: the history of {before} cannot be carried over: "
            f"raw no longer holds {len(applied) - len(whole)} of its {len(applied)} batches",
            f"take `rename` away, and the history of {ref} begins now; {before} keeps its own",
        )
        return EntityResult(error=str(error))
    done: dict[str, str] = {}
    for raw in whole:
        copied(platform.raw, raw, BatchRef(ref, raw.batch_id), done)
    result = replay_entity(platform, ref, raw_layer.batches(platform.raw, ref.source, ref.name), run)
    if result.error:
        return result
    with transaction(platform.engine) as conn:
        for batch_id in applied:
            audit.put_load(conn, Load("raw", BatchRef(ref, batch_id), run, mode="carried over"))
        if state is not None:
            audit.put_cursor(conn, BatchRef(ref, applied[-1]), state)
    which = f" since {settled:%Y-%m-%d %H:%M} UTC (what ended before stays there)" if settled else ""
    said = f"the history of {before}{which} was carried over; what is left of it goes with: dataplatform purge {before}"
    return replace(result, notes=[said])


def former(platform: Platform, ref: EntityRef) -> EntityRef | None:
    """What the entity was called before, as metadata say."""
    rename = platform.catalog.source(ref.source).entities[ref.name].rename
    if rename is None:
        return None
    source, _, name = rename.rpartition(".")
    return EntityRef(source or ref.source, name)


def changed_key(platform: Platform, ref: EntityRef) -> tuple[list[str], list[str]] | None:
    """The key that silver was loaded by, and the one that metadata name; None where they are the same."""
    with connected(platform.engine) as conn:
        applied = audit.loaded_batches(conn, ref, "silver")
    if not applied:
        return None
    with server_errors():
        manifest = platform.bronze.manifests.of(BatchRef(ref, applied[-1]))
    new = list(platform.catalog.source(ref.source).entities[ref.name].key)
    old = json.loads(manifest.rule)[0] if manifest else new
    return None if old == new else (old, new)


def _written(key: list[str]) -> str:
    return ", ".join(key) or "the row itself"
