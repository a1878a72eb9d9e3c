"""Corrections of metadata that history has to follow: another key makes bronze and silver anew from raw."""

from __future__ import annotations

import json
from dataclasses import replace

from dataplatform.audit import record as audit
from dataplatform.context import Platform
from dataplatform.layers import raw as raw_layer
from dataplatform.records.refs import BatchRef, EntityRef, RunRef
from dataplatform.runs.order import EntityResult
from dataplatform.runs.replay import replay_entity
from dataplatform.storage.mongo import server_errors
from dataplatform.storage.postgres import connected


def made_anew(platform: Platform, refs: list[EntityRef], run: RunRef) -> dict[EntityRef, EntityResult]:
    """Of the entities, whose locks are held, those whose key is another now; each is made anew, and says so."""
    changed = {ref: key for ref in refs if (key := changed_key(platform, ref)) is not None}
    results = {}
    for ref, (old, new) in changed.items():
        result = replay_entity(platform, ref, raw_layer.batches(platform.raw, ref.source), run)
        said = f"its key was {_written(old)} and now is {_written(new)}: bronze and silver were made anew from raw"
        results[ref] = replace(result, notes=[said])
    return results


def changed_key(platform: Platform, ref: EntityRef) -> tuple[list[str], list[str]] | None:
    """The key that silver was loaded by, and the one that metadata name; None where they are the same."""
    with connected(platform.engine) as conn:
        applied = audit.loaded_batches(conn, ref, "silver")
    if not applied:
        return None
    with server_errors():
        manifest = platform.bronze.manifest(BatchRef(ref, applied[-1]))
    new = list(platform.catalog.source(ref.source).entities[ref.name].key)
    old = json.loads(manifest.rule)[0] if manifest else new
    return None if old == new else (old, new)


def _written(key: list[str]) -> str:
    return ", ".join(key) or "the row itself"
