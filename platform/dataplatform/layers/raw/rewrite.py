"""Rewrites what raw holds of an entity, page by page: for what a person had forgotten. `upkeep/` alone calls this.

A file is replaced by one that is whole, then the manifests that name it: killed in between, doing it again puts the
manifests right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dataplatform.layers.raw import baselines
from dataplatform.layers.raw.baselines import Page
from dataplatform.layers.raw.holdings import (
    BASELINES,
    RawManifest,
    RawPart,
    baseline,
    batches,
    manifest,
    put_manifest,
)
from dataplatform.layers.raw.pages import Tally, block_of
from dataplatform.layers.raw.reading import checksum_of, read_part
from dataplatform.records.refs import BatchRef, EntityRef
from dataplatform.storage import FileStore
from dataplatform.storage.packed import compressed_writer

# a page → its header and the lines that stay, and how many records went
Change = Callable[[Mapping[str, Any], Sequence[bytes]], tuple[Mapping[str, Any], Sequence[bytes], int]]


@dataclass(frozen=True)
class Rewritten:
    """How many records went, out of how many files; the originals of those files, which went as well."""

    records: int = 0
    files: int = 0
    originals: int = 0

    def __add__(self, other: Rewritten) -> Rewritten:
        return Rewritten(
            self.records + other.records, self.files + other.files, self.originals + other.originals
        )


def count(store: FileStore, ref: EntityRef, change: Change) -> int:
    """How many records would go."""
    return sum(
        change(page.header, page.lines)[2]
        for part in _parts(store, ref).values()
        for page in read_part(store, part)
    )


def _parts(store: FileStore, ref: EntityRef) -> dict[str, RawPart]:
    """Each file, or piece of a pack, once."""
    return {f"{p.file}@{p.offset}": p for m in _manifests(store, ref) for p in m.parts}


def _manifests(store: FileStore, ref: EntityRef) -> Iterator[RawManifest]:
    for batch_id in batches(store, ref.source, ref.name):
        found = manifest(store, BatchRef(ref, batch_id))
        if found is not None:
            yield found


def rewrite(store: FileStore, ref: EntityRef, change: Change) -> Rewritten:
    """Applies the change to all that raw holds of the entity."""
    total, fresh = Rewritten(), dict[str, RawPart]()
    for place, part in _parts(store, ref).items():
        if f"/{BASELINES}/" not in part.file:
            fresh[place], gone = _file(store, part, change)
            total += Rewritten(gone, int(gone > 0))
    originals: set[str] = set()
    for found in list(_manifests(store, ref)):
        parts = tuple(fresh.get(f"{p.file}@{p.offset}", p) for p in found.parts)
        touched = {
            p.original for p, new in zip(found.parts, parts, strict=True) if p.original and not new.original
        }
        originals |= touched
        for path in touched:  # before the manifest, which tells which they are
            store.delete(path)
        if parts != found.parts:
            put_manifest(store, replace(found, parts=parts))
    return total + Rewritten(originals=len(originals)) + _packed(store, ref, change)


def _file(store: FileStore, part: RawPart, change: Change) -> tuple[RawPart, int]:
    """The part as it is now; where something goes, its original goes, too: that cannot be read but as a whole."""
    gone = sum(change(page.header, page.lines)[2] for page in read_part(store, part))
    if (
        not gone
    ):  # its checksum may be of before, where a rewriting broke off between the file and its manifest
        checksum = checksum_of(store, part)
        return part if checksum == part.checksum else replace(part, checksum=checksum, original=""), 0
    tally = Tally()
    with compressed_writer(store, part.file) as stream:
        for page in read_part(store, part):
            header, lines, _ = change(page.header, page.lines)
            header = {**header, "lines": len(lines)}
            stream.write(tally.note(header, lines, block_of(header, lines)))
    return tally.part(part.file, part.name, part.digest), gone


def _packed(store: FileStore, ref: EntityRef, change: Change) -> Rewritten:
    """The baseline, written anew where something goes."""
    baselines.sweep(store, ref)
    there = baseline(store, ref)
    gone = sum(
        change(page.header, page.lines)[2]
        for found in there.values()
        for part in found.parts
        for page in read_part(store, part)
    )
    if not gone:
        return Rewritten()

    def changed(found: RawManifest) -> Iterator[Page]:
        for part in found.parts:
            for page in read_part(store, part):
                header, lines, _ = change(page.header, page.lines)
                yield {**header, "lines": len(lines)}, lines

    baselines.write(store, ref, ((found, changed(found)) for found in there.values()))
    return Rewritten(gone, 1)
