"""The baseline of an entity: what retention leaves of older batches, in one file. `upkeep/` alone calls this.

A pack holds the pages of each batch as a zstd frame of its own. It is written whole under a new number; then the index
names it, in one step; then what it stands for goes. Killed in between, the next retention goes on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import IO, Any, cast

import zstandard

from dataplatform.layers.raw.holdings import BASELINES, RawManifest, RawPart, baseline, index_path
from dataplatform.layers.raw.pages import Tally, block_of
from dataplatform.records.refs import EntityRef
from dataplatform.storage import FileStore

LEVEL = 9  # written once, and then only moved
Page = tuple[Mapping[str, Any], Sequence[bytes]]  # header and lines


@dataclass
class _Counting:
    """A file that knows how far it is."""

    file: Any
    at: int = 0

    def write(self, data: bytes) -> int:
        self.at += len(data)
        self.file.write(data)
        return len(data)


def write(store: FileStore, ref: EntityRef, batches: Iterable[tuple[RawManifest, Iterator[Page]]]) -> None:
    """Makes these the baseline, oldest first, in place of the one there was. A batch without pages is left out."""
    path = f"{ref.source}/{BASELINES}/{ref.name}-{_next(store, ref):04d}.pack"
    found = []
    with store.writer(path) as file:
        counting = _Counting(file)
        for raw, pages in batches:
            part = _put(counting, path, pages)
            if part is not None:
                found.append(replace(raw, parts=(part,)))
    index = {"batches": [asdict(raw) for raw in found]}
    store.write_bytes(index_path(ref), json.dumps(index, ensure_ascii=False).encode())
    sweep(store, ref)


def sweep(store: FileStore, ref: EntityRef) -> None:
    """Deletes packs that the index does not name: those of before, or of a writing that was killed."""
    named = {part.file for raw in baseline(store, ref).values() for part in raw.parts}
    for path in files_of_baseline(store, ref):
        if path.endswith(".pack") and path not in named:
            store.delete(path)


def _put(file: _Counting, path: str, pages: Iterator[Page]) -> RawPart | None:
    first = next(pages, None)
    if first is None:
        return None
    tally, offset = Tally(), file.at
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    with compressor.stream_writer(cast(IO[bytes], file), closefd=False) as stream:
        for header, lines in chain([first], pages):
            header = {**header, "lines": len(lines)}
            stream.write(tally.note(header, lines, block_of(header, lines)))
    return replace(tally.part(path), offset=offset, length=file.at - offset)


def _next(store: FileStore, ref: EntityRef) -> int:
    pattern = re.compile(rf"{re.escape(ref.name)}-(\d+)\.pack")
    numbers = [
        int(m[1]) for name in store.names(f"{ref.source}/{BASELINES}") if (m := pattern.fullmatch(name))
    ]
    return max(numbers, default=0) + 1


def files_of_baseline(store: FileStore, ref: EntityRef) -> dict[str, int]:
    """Paths of its index and its packs, one left by a killed retention included, with their bytes."""
    pattern = re.compile(rf"{re.escape(ref.name)}(-\d+\.pack|\.json)")
    place = f"{ref.source}/{BASELINES}"
    return {f"{place}/{n}": size for n, size in store.sizes(place).items() if pattern.fullmatch(n)}


def remove_baseline(store: FileStore, ref: EntityRef) -> None:
    """For good: the index first, so that it never points at what is not there."""
    for path in sorted(files_of_baseline(store, ref), key=lambda p: not p.endswith(".json")):
        store.delete(path)
    place = f"{ref.source}/{BASELINES}"
    while place and not store.names(place):
        store.delete(place)
        place = place.rpartition("/")[0]
