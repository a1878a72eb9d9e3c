"""Upkeep of raw: which files are an entity's, and how they go for good. `upkeep/` alone calls what removes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dataplatform.layers.raw.holdings import (
    BASELINES,
    ORIGINALS,
    SUFFIX,
    RawManifest,
    RawPart,
    batches,
    folder,
    manifest,
    put_manifest,
    with_baseline,
)
from dataplatform.records.refs import BatchRef, EntityRef
from dataplatform.storage import FileStore
from dataplatform.storage.packed import compressed_lines, compressed_writer


@dataclass(frozen=True)
class RawFiles:
    """All of an entity in one batch: its manifest and its pages, those that a killed run left included."""

    batch: BatchRef
    names: tuple[str, ...]
    bytes: int

    @property
    def place(self) -> str:
        return folder(self.batch.source, self.batch.batch_id)


def files_of(store: FileStore, ref: EntityRef) -> list[RawFiles]:
    """What raw holds of an entity, newest batch first: a manifest may point at pages of older batches, never newer."""
    its_own = re.compile(rf"{re.escape(ref.name)}(-\d+\.jsonl\.zst|{re.escape(SUFFIX)})")
    found = []
    for batch_id in reversed(
        batches(store, ref.source, ref.name)
    ):  # of one in the baseline there are none, usually
        sizes = store.sizes(folder(ref.source, batch_id))
        mine = {name: size for name, size in sizes.items() if its_own.fullmatch(name)}
        if mine:
            found.append(RawFiles(BatchRef(ref, batch_id), tuple(mine), sum(mine.values())))
    return found


def remove(store: FileStore, files: RawFiles) -> None:
    """Deletes them, the manifest first, so that no batch is there by half; then the folders that are left empty."""
    place = files.place
    for name in sorted(files.names, key=lambda n: not n.endswith(SUFFIX)):
        store.delete(f"{place}/{name}")
    while place and not store.names(place):
        store.delete(place)
        place = place.rpartition("/")[0]


def files_named(store: FileStore, ref: EntityRef, but: set[str]) -> set[str]:
    """Files that the manifests of an entity point at, those of the batches `but` left out."""
    return {
        part.file
        for batch_id in batches(store, ref.source, ref.name)
        if batch_id not in but and (raw := manifest(store, BatchRef(ref, batch_id)))
        for part in raw.parts
    }


def originals_of(store: FileStore, refs: Iterable[EntityRef], only: set[str] | None = None) -> set[str]:
    """Originals that the manifests of these entities name, of all batches or some."""
    return {
        part.original
        for ref in refs
        for batch_id in batches(store, ref.source, ref.name)
        if (only is None or batch_id in only) and (raw := manifest(store, BatchRef(ref, batch_id)))
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
        place = f"{part.file}@{part.offset}"
        if place not in done:
            done[place] = f"{folder(to.source, to.batch_id)}/{to.name}-{number:04d}.jsonl.zst"
            _copy(store, part, done[place])
        original = part.original and f"{to.source}/{ORIGINALS}/{part.original.rpartition('/')[2]}"
        if original and store.exists(part.original) and not store.exists(original):  # it may be forgotten
            store.copy(part.original, original)
        parts.append(replace(part, file=done[place], original=original, offset=0, length=0))
    named = replace(raw, source=to.source, entity=to.name, parts=tuple(parts))
    put_manifest(store, named)
    return named


def _copy(store: FileStore, part: RawPart, to: str) -> None:
    """A file whole; of a pack the one frame."""
    if f"/{BASELINES}/" not in part.file:
        store.copy(part.file, to)
        return
    with (
        compressed_lines(store, part.file, part.offset, part.length) as blocks,
        compressed_writer(store, to) as stream,
    ):
        for block in blocks:
            stream.write(b"".join(line + b"\n" for line in block))


def entities_in(store: FileStore, source: str) -> set[str]:
    """Names of all entities that raw has a file of."""
    pattern = re.compile(rf"(\w+?)(-\d+\.jsonl\.zst|{re.escape(SUFFIX)})")
    names = {name for b in batches(store, source) for name in store.names(folder(source, b))}
    loose = {found.group(1) for name in names if (found := pattern.fullmatch(name))}
    return loose | set(with_baseline(store, source))
