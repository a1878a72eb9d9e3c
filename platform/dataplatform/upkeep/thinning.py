"""From what silver and bronze know of an entity to the pages of its baseline: what of each old batch still counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import sqlalchemy as sa

from dataplatform.context import Platform
from dataplatform.errors import LoadError
from dataplatform.layers.bronze import upkeep as bronze_upkeep
from dataplatform.layers.bronze.parse import Record, parse_block
from dataplatform.layers.bronze.rules import page_rule
from dataplatform.layers.bronze.thin import Needed, Thinned, Thinner, steady
from dataplatform.layers.bronze.walk import walk
from dataplatform.layers.raw.baselines import Page
from dataplatform.layers.silver import horizon
from dataplatform.layers.silver.observe import FIRST, effective_at, present_paths
from dataplatform.layers.silver.plan import whole_paths
from dataplatform.layers.silver.rows import micros
from dataplatform.metadata.paths import dig
from dataplatform.metadata.source import Entity
from dataplatform.names import batch_time
from dataplatform.records import hashes as hs
from dataplatform.records.holdings import DELETED, Ended, Held, Manifest
from dataplatform.records.record import content_id, dump
from dataplatform.records.refs import BatchRef, EntityRef

PAGE = 2_000  # records on a page of a baseline


def thinned(
    platform: Platform, ref: EntityRef, batches: list[str], needed: Needed | None
) -> Iterator[tuple[Thinned, Iterator[Page]]]:
    """Of each batch what stays, and its pages; those of a batch are to be taken before the next one is asked for."""
    entity = platform.catalog.source(ref.source).entities[ref.name]
    timeless = partial(_timeless, platform, ref, entity) if entity.effective_at else None
    thinner = Thinner(lambda batch_id: micros(batch_time(batch_id)), entity.by_row, timeless, needed)
    for manifest, entries in walk(platform.bronze, ref, batches):
        one = thinner.take(manifest, entries)
        settled = needed is not None and manifest.batch_id <= needed.until
        yield one, _pages(platform, entity, one, present_paths(manifest, entries), settled)


def needed_after(
    platform: Platform, conn: sa.Connection, ref: EntityRef, until: str, at: datetime
) -> Needed | None:
    """Whose history silver still shows after that time; where each batch knew all that older ones did, since when.

    None: all history is needed, for what would be left could not be told apart from what is not.
    """
    entity = platform.catalog.source(ref.source).entities[ref.name]
    if entity.by_row and entity.effective_at:
        return None
    alive = horizon.alive(conn, ref, at)
    aside = set(bronze_upkeep.versions_aside(platform.bronze, ref))
    keys = hs.hashes(platform.bronze.keys_of(ref, list(aside)).values())
    trims = not (entity.effective_at or entity.partial or len(keys)) and _steady(platform, ref)
    if entity.by_row or trims:
        return Needed(until, alive.keys, _since(platform, ref, alive))
    return Needed(until, hs.unique(hs.hashes([*hs.pieces(alive.keys), *hs.pieces(keys)])))


def _since(platform: Platform, ref: EntityRef, alive: horizon.Alive) -> npt.NDArray[np.int64]:
    """A row that begins at no batch's time follows an end within its batch: of its key all counts."""
    times = [micros(head.ref.time) for head in platform.bronze.manifests.all(ref)]
    return np.where(np.isin(alive.since, times), alive.since, FIRST)


def _steady(platform: Platform, ref: EntityRef) -> bool:
    batches = [head.batch_id for head in platform.bronze.manifests.all(ref)]
    return steady(present_paths(head, held) for head, held in walk(platform.bronze, ref, batches))


def _timeless(platform: Platform, ref: EntityRef, entity: Entity, versions: hs.Hashes) -> hs.Hashes:
    found = [
        version
        for block in platform.bronze.documents(ref, versions)
        for version, doc in block
        if isinstance(doc, Ended) or effective_at(entity, doc) is None
    ]
    return hs.hashes(found)


def _pages(
    platform: Platform, entity: Entity, one: Thinned, present: frozenset[str], settled: bool
) -> Iterator[Page]:
    manifest = one.manifest
    ref = manifest.ref.entity
    header = _header(manifest, present)
    rejects = [] if settled else _rejects(platform, manifest.ref)
    if rejects:
        yield {**header, "kind": "records", "rejects": rejects}, []
    for start in range(0, len(one.entries), PAGE):
        yield from _records(platform, entity, manifest, one.entries.take(slice(start, start + PAGE)), header)
    for start in range(0, len(one.gone), PAGE):
        last = platform.bronze.documents(ref, one.gone[start : start + PAGE])
        named = (_named(entity, doc) for block in last for _, doc in block)
        yield {**header, "kind": "deleted"}, list(map(dump, named))


def _header(manifest: Manifest, present: frozenset[str]) -> dict[str, Any]:
    """`columns`: all paths that the whole batch knew of."""
    order = dict.fromkeys([*manifest.paths, *manifest.columns])
    columns = [path for path in order if path in present and path != DELETED]
    textual = bool(orjson.loads(manifest.rule)[2])
    more = {"textual": True} if textual else {}
    now = datetime.now(UTC).isoformat()
    return {
        "request": {},
        "fetched_at": now,
        "columns": columns,
        "types": manifest.types,
        "settled": True,
        **more,
    }


def _records(
    platform: Platform, entity: Entity, manifest: Manifest, entries: Held, header: Mapping[str, Any]
) -> Iterator[Page]:
    """In the order of the batch; what its source said to have ended on pages of its own."""
    ref = manifest.ref.entity
    docs = {v: doc for block in platform.bronze.documents(ref, entries.versions) for v, doc in block}
    versions = hs.pieces(entries.versions)
    _check(entity, header, {v: docs[v] for v in versions if not isinstance(docs[v], Ended)}, ref)
    for ended, some in groupby(versions, lambda v: isinstance(docs[v], Ended)):
        kind = "deleted" if ended else "records"
        yield {**header, "kind": kind}, [dump(docs[version]) for version in some]


def _check(
    entity: Entity, header: Mapping[str, Any], docs: Mapping[bytes, dict[str, Any]], ref: EntityRef
) -> None:
    """Each record, read back, must be the version that it is now; else nothing of this is written."""
    rule = replace(page_rule(entity, header), whole=whole_paths(entity))
    for (version, _), item in zip(
        docs.items(), parse_block(list(map(dump, docs.values())), rule), strict=True
    ):
        if not isinstance(item, Record) or content_id(item.doc) != version:
            raise LoadError(
                f"{ref}: a record would not be read back as it is ({getattr(item, 'reason', 'another content')}); "
                "its older batches stay as they are",
                f"make bronze anew by today's metadata: dataplatform replay {ref.source}",
            )


def _named(entity: Entity, doc: Mapping[str, Any]) -> dict[str, Any]:
    """A record of nothing but the key, for what a batch lacked. A field named like a path is found under it."""
    return {path: dig(doc, path) for path in entity.key}


def _rejects(platform: Platform, batch: BatchRef) -> list[dict[str, Any]]:
    """What the batch has in quarantine and could not be read; it goes on waiting after a replay."""
    found = bronze_upkeep.unread(platform.bronze, batch)
    return [{"line": None, "reason": bad.reason, "text": bad.record} for bad in found]
