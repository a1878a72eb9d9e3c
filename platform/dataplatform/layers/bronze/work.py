"""One batch's load in progress: what grows while its pages go by, and what its manifest says of that."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dataplatform.layers.bronze import manifest as mf
from dataplatform.layers.bronze.delivered import RawBatch
from dataplatform.layers.bronze.parse import Rule
from dataplatform.layers.bronze.profile import Profile
from dataplatform.layers.bronze.spread import Stored
from dataplatform.layers.bronze.store import Bronze
from dataplatform.processes import Team
from dataplatform.records import hashes as hs
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
class Work:
    """What grows while the pages go by; a few dozen bytes a record."""

    bronze: Bronze
    raw: RawBatch
    rule: Rule
    profile: Profile
    keys: bytearray = field(default_factory=bytearray)  # 16 bytes a record, as the next two
    versions: bytearray = field(default_factory=bytearray)
    lines: bytearray = field(default_factory=bytearray)
    masks: list[int] = field(default_factory=list)
    seen_masks: dict[int, int] = field(
        default_factory=dict
    )  # a number that is there once takes no room again
    positions: array[int] = field(
        default_factory=lambda: array("q")
    )  # known lines of a block come before fresh ones
    delivered: int = 0
    first: bool = False
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
        entries=len(work.positions),
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
    """The entries, in the order of delivery. One array after the other, so that two of each are never there."""
    words = max(1, -(-len(work.profile.paths) // 64))
    masks, work.masks = mf.mask_array(work.masks, words), []
    positions, work.positions = np.array(work.positions, np.int64), array("q")
    order = None if (positions[1:] >= positions[:-1]).all() else np.argsort(positions, kind="stable")

    def ordered(found: hs.Hashes) -> hs.Hashes:
        return found if order is None else found[order]

    keys, work.keys = ordered(hs.hashes(work.keys)), bytearray()
    versions, work.versions = ordered(hs.hashes(work.versions)), bytearray()
    lines, work.lines = ordered(hs.hashes(work.lines)), bytearray()
    return Held(keys, versions, lines, ordered(masks), hs.unique(hs.hashes(work.held)))
