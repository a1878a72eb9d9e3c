"""Upkeep of raw: which files are an entity's, and how they go for good. `upkeep/` alone calls what removes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dataplatform.layers.raw.holdings import SUFFIX, batches, folder
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


def entities_in(store: FileStore, source: str) -> set[str]:
    """Names of all entities that raw has a file of."""
    pattern = re.compile(rf"(\w+?)(-\d+\.jsonl\.zst|{re.escape(SUFFIX)})")
    names = {name for b in batches(store, source) for name in store.names(folder(source, b))}
    return {found.group(1) for name in names if (found := pattern.fullmatch(name))}
