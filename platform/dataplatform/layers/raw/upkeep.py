"""Upkeep of raw: which files are an entity's, and how they go for good. `upkeep/` alone calls what removes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dataplatform.layers.raw.holdings import (
    ORIGINALS,
    SUFFIX,
    RawManifest,
    batches,
    folder,
    manifest,
    put_manifest,
)
from dataplatform.records.refs import BatchRef, EntityRef
from dataplatform.storage import FileStore


@dataclass(frozen=True)
class RawFiles:
    """All of an entity in one batch: its manifest and its pages, those that a killed run left included."""

    batch: BatchRef
    names: tuple[str, ...]
    bytes: int


def files_of(store: FileStore, ref: EntityRef) -> list[RawFiles]:
    """What raw holds of an entity, newest batch first: a manifest may point at pages of older batches, never newer."""
    its_own = re.compile(rf"{re.escape(ref.name)}(-\d+\.jsonl\.zst|{re.escape(SUFFIX)})")
    found = []
    for batch_id in reversed(batches(store, ref.source)):
        sizes = store.sizes(folder(ref.source, batch_id))
        mine = {name: size for name, size in sizes.items() if its_own.fullmatch(name)}
        if mine:
            found.append(RawFiles(BatchRef(ref, batch_id), tuple(mine), sum(mine.values())))
    return found


def remove(store: FileStore, files: RawFiles) -> None:
    """Deletes them, the manifest first, so that no batch is there by half; then the folders that are left empty."""
    place = folder(files.batch.source, files.batch.batch_id)
    for name in sorted(files.names, key=lambda n: not n.endswith(SUFFIX)):
        store.delete(f"{place}/{name}")
    while place and not store.names(place):
        store.delete(place)
        place = place.rpartition("/")[0]


def originals_of(store: FileStore, refs: Iterable[EntityRef]) -> set[str]:
    """Originals that the manifests of these entities name."""
    return {
        part.original
        for ref in refs
        for batch_id in batches(store, ref.source)
        if (raw := manifest(store, BatchRef(ref, batch_id)))
        for part in raw.parts
        if part.original
    }


def remove_originals(store: FileStore, source: str, gone: set[str]) -> None:
    """Deletes those that no manifest of the source names any more; then the folders that are left empty."""
    left = originals_of(store, [EntityRef(source, name) for name in entities_in(store, source)])
    for path in sorted(gone - left):
        store.delete(path)
    place = f"{source}/{ORIGINALS}"
    while gone and place and not store.names(place):
        store.delete(place)
        place = place.rpartition("/")[0]


def copied(store: FileStore, raw: RawManifest, to: BatchRef, done: dict[str, str]) -> RawManifest:
    """The batch under another name, its files copied. `done`: files copied before, for later batches point at them."""
    parts = []
    for number, part in enumerate(raw.parts, 1):
        if part.file not in done:
            done[part.file] = f"{folder(to.source, to.batch_id)}/{to.name}-{number:04d}.jsonl.zst"
            store.copy(part.file, done[part.file])
        original = part.original and f"{to.source}/{ORIGINALS}/{part.original.rpartition('/')[2]}"
        if original and not store.exists(original):
            store.copy(part.original, original)
        parts.append(replace(part, file=done[part.file], original=original))
    named = replace(raw, source=to.source, entity=to.name, parts=tuple(parts))
    put_manifest(store, named)
    return named


def entities_in(store: FileStore, source: str) -> set[str]:
    """Names of all entities that raw has a file of."""
    pattern = re.compile(rf"(\w+?)(-\d+\.jsonl\.zst|{re.escape(SUFFIX)})")
    names = {name for b in batches(store, source) for name in store.names(folder(source, b))}
    return {found.group(1) for name in names if (found := pattern.fullmatch(name))}
