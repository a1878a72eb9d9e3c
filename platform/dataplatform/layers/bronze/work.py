"""One batch's load in progress: what grows while its pages go by, and what its manifest says of that."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dataplatform.layers.bronze import manifest as mf
from dataplatform.layers.bronze.delivered import RawBatch
from dataplatform.layers.bronze.gathered import Gathered
from dataplatform.layers.bronze.parse import Rule
from dataplatform.layers.bronze.profile import Profile
from dataplatform.layers.bronze.spread import Stored
from dataplatform.layers.bronze.store import Bronze
from dataplatform.processes import Team
from dataplatform.records import hashes as hs
from dataplatform.records.growing import Growing, let_go, passing, written
from dataplatform.records.holdings import Held, Make, Manifest, Onlooker


@dataclass(frozen=True)
class Piece:
    """Some records of a page. `numbers`: their lines in the raw file; `positions`: in the batch.

    `making`: what the process that stores them is to make of them for the onlooker.
    """

    file: str
    numbers: Sequence[int]
    positions: Sequence[int]
    lines: Sequence[bytes] = ()
    digests: Sequence[bytes] | None = None
    making: Make | None = None


@dataclass
class Fresh:
    """Lines that no batch has held, on their way to be pieces: of a changed batch few come at a time."""

    file: str = ""
    numbers: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)

    def add(self, numbers: list[int], positions: list[int], lines: list[bytes], digests: list[bytes]) -> None:
        """Of some lines of the file, one after the other."""
        self.numbers += numbers
        self.positions += positions
        self.lines += lines
        self.digests += digests

    def taken(self, number: int, making: Make | None) -> Piece:
        """The first ones as a piece; they are here no more."""
        first = slice(number)
        piece = Piece(
            self.file,
            self.numbers[first],
            self.positions[first],
            self.lines[first],
            self.digests[first],
            making,
        )
        del self.numbers[first], self.positions[first], self.lines[first], self.digests[first]
        return piece


class Entries:
    """What a batch holds, while its pages go by: a few dozen bytes a record, on disk from some megabytes on.

    Known lines of a block come before fresh ones, so each has its position. Of masks there are few that differ: an
    entry has the number of its own.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.keys, self.versions, self.lines = (Growing(folder) for _ in range(3))  # 16 bytes each
        self.positions, self.masks = Growing(folder), Growing(folder)  # of 8 and 4 bytes
        self.numbers: dict[int, int] = {}  # of masks

    def __len__(self) -> int:
        return len(self.positions) // 8

    def close(self) -> None:
        """Lets go of its files, where the load broke off."""
        for grown in (self.keys, self.versions, self.lines, self.positions, self.masks):
            grown.close()

    def add(
        self, keys: bytes, versions: bytes, lines: bytes, positions: Sequence[int], masks: Iterable[int]
    ) -> None:
        """Of some records, one after the other."""
        numbers = self.numbers
        self.keys.add(keys)
        self.versions.add(versions)
        self.lines.add(lines)
        self.positions.add(array("q", positions).tobytes())
        self.masks.add(array("I", [numbers.setdefault(mask, len(numbers)) for mask in masks]).tobytes())


@dataclass
class Work:
    """What grows while the pages go by."""

    bronze: Bronze
    raw: RawBatch
    rule: Rule
    profile: Profile
    entries: Entries
    delivered: int = 0
    fresh: Fresh = field(default_factory=Fresh)
    gathered: Gathered | None = None  # of a first load: nothing was there before it
    held: list[bytes] = field(default_factory=list)
    columns: dict[str, None] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    seen: set[bytes] | None = None  # versions so far, where some came twice
    records: int = 0
    new_versions: int = 0
    quarantined: int = 0
    unreadable: int = 0
    team: Team[Piece, Stored | None] | None = None
    onlooker: Onlooker | None = None
    told: tuple[Any, ...] = ()  # what the onlooker knows of the records
    pieces: int = 0

    def making(self) -> Make | None:
        """What the onlooker wants made of the next records."""
        return self.onlooker.making if self.onlooker else None


def tell(work: Work) -> None:
    """Lets the onlooker know what is known of the records, where that is more than it was.

    Kinds may stay while their shares do not, so it is told now and then whatever there is.
    """
    if work.onlooker is None:
        return
    work.pieces += 1
    known = dict(work.profile.kinds), dict(work.columns), dict(work.types)
    if known != work.told or work.pieces & (work.pieces - 1) == 0:
        work.onlooker.knows(manifest_of(work))
        work.told = known


def manifest_of(work: Work) -> Manifest:
    """The head of the batch's manifest by what has come of it so far; whole in itself."""
    raw = work.raw
    return Manifest(
        ref=raw.ref,
        load=raw.load,
        rule=work.rule.identity(),
        base=None,
        depth=0,
        chunks=0,
        records=work.records,
        entries=len(work.entries),
        new_versions=work.new_versions,
        quarantined=work.quarantined,
        unreadable=work.unreadable,
        unique=True,
        paths=work.profile.paths,
        columns=list(work.columns),
        kinds=work.profile.kinds,
        fingerprint=raw.fingerprint(),
        state=raw.state,
        types=work.types,
        counts=work.profile.counts,
    )


def held_of(work: Work) -> Held:
    """The entries, in the order of delivery."""
    entries, words = work.entries, max(1, -(-len(work.profile.paths) // 64))
    positions = np.frombuffer(entries.positions.whole(), np.int64)
    order = None if _rising(positions) else np.argsort(positions, kind="stable")
    del positions

    def ordered(found: hs.Hashes) -> hs.Hashes:
        return found if order is None else _in_order(found, order, entries.folder)

    hashes = (entries.keys, entries.versions, entries.lines)
    keys, versions, lines = (ordered(hs.hashes(found.whole())) for found in hashes)
    masks = ordered(_masks(entries, words))
    return Held(keys, versions, lines, masks, hs.unique(hs.hashes(work.held)))


def _in_order(found: hs.Hashes, order: hs.Indexes, folder: Path | None) -> hs.Hashes:
    """Its rows in that order, which is nearly theirs: known lines of a block stand before fresh ones."""

    def ordered() -> Iterator[hs.Hashes]:
        for some in passing(order):
            yield hs.rows(found, some)
            let_go(found)

    return np.frombuffer(written(ordered(), folder), found.dtype).reshape(-1, found.shape[1])


def _rising(positions: hs.Indexes) -> bool:
    last = -1
    for some in passing(positions):
        if some[0] < last or (some[1:] < some[:-1]).any():
            return False
        last = int(some[-1])
    return True


def _masks(entries: Entries, words: int) -> hs.Hashes:
    """Of each entry its mask instead of its number; shape (n, words)."""
    table = mf.mask_array(list(entries.numbers), words)
    numbers = passing(np.frombuffer(entries.masks.whole(), np.uint32))
    masks = written((hs.rows(table, some) for some in numbers), entries.folder)
    return np.frombuffer(masks, np.uint64).reshape(-1, words)
