"""Arrays of 16-byte hashes: two unsigned 64-bit numbers each, n hashes have the shape (n, 2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from dataplatform.records.growing import Data, passing

Hashes = npt.NDArray[np.uint64]
Indexes = npt.NDArray[np.intp]
EMPTY: Hashes = np.empty((0, 2), np.uint64)
_PIECE = 1 << 17  # needles looked for together: what is made for them on the way stays small


SIZE = 16  # bytes of a hash


def hashes(data: Data | Iterable[bytes]) -> Hashes:
    """Joined 16-byte hashes as an array (n, 2); it shares the memory of what is joined already."""
    joined = data if isinstance(data, Data) else b"".join(data)
    return np.frombuffer(joined, np.uint64).reshape(-1, 2)


def pieces(found: Hashes) -> list[bytes]:
    """The hashes as bytes, one by one."""
    raw = np.ascontiguousarray(found).tobytes()
    return [raw[i : i + 16] for i in range(0, len(raw), 16)]


def order(found: Hashes) -> Indexes:
    """Indexes that sort hashes; equal ones keep their order."""
    first = np.ascontiguousarray(found[:, 0])
    by = np.argsort(first)
    ordered = first[by]
    if not (ordered[1:] == ordered[:-1]).any():
        return by  # the first halves alone decide, which is much cheaper
    return np.lexsort((found[:, 1], first))


@dataclass(frozen=True, eq=False)
class Sorted:
    """What many searches in the same hashes share: their order, and the first halves in that order."""

    by: Indexes
    first: npt.NDArray[np.uint64]


def prepared(haystack: Hashes) -> Sorted:
    """To be made once for many calls of `find`: each would sort or copy all of the haystack."""
    by = order(haystack)
    return Sorted(by, haystack[by, 0])


def find(needles: Hashes, haystack: Hashes, known: Sorted | None = None) -> Indexes:
    """Index in `haystack` of each needle, -1 where it is absent."""
    result = np.full(len(needles), -1, np.intp)
    if not len(haystack) or not len(needles):
        return result
    known = known or prepared(haystack)
    for start in range(0, len(needles), _PIECE):
        piece = needles[start : start + _PIECE]
        by = np.argsort(
            piece[:, 0]
        )  # one after the other they lie side by side, and are in the processor's cache
        result[start + by] = _found(piece[by], haystack, known)
    return result


def _found(needles: Hashes, haystack: Hashes, known: Sorted) -> Indexes:
    by, first = known.by, known.first
    start = np.searchsorted(first, needles[:, 0])
    result = np.full(len(needles), -1, np.intp)
    # hashes whose first half is the same lie side by side; there is hardly ever more than one
    open_ = np.arange(len(needles))
    offset = 0
    while len(open_):
        at = start[open_] + offset
        inside = at < len(first)
        open_, at = open_[inside], at[inside]
        same = first[at] == needles[open_, 0]
        open_, at = open_[same], at[same]
        hit = haystack[by[at], 1] == needles[open_, 1]
        result[open_[hit]] = by[at[hit]]
        open_ = open_[~hit]
        offset += 1
    return result


def member(needles: Hashes, haystack: Hashes) -> npt.NDArray[np.bool_]:
    if not len(haystack):
        return np.zeros(len(needles), bool)
    return find(needles, haystack) >= 0


def single(found: Hashes) -> npt.NDArray[np.bool_]:
    """True for hashes that occur once only."""
    if not len(found):
        return np.zeros(0, bool)
    by = order(found)
    ordered = found[by]
    same = (ordered[1:] == ordered[:-1]).all(axis=1)
    repeated = np.r_[False, same] | np.r_[same, False]
    result = np.empty(len(found), bool)
    result[by] = ~repeated
    return result


def distinct(found: Hashes) -> bool:
    """Whether no two are the same; mostly their first halves tell, which need half the memory and no order."""
    first = np.empty(len(found), np.uint64)
    start = 0
    for some in passing(found):
        first[start : start + len(some)] = some[:, 0]
        start += len(some)
    first.sort()
    if not (first[1:] == first[:-1]).any():
        return True
    return len(unique(found)) == len(found)


def unique(found: Hashes) -> Hashes:
    """Distinct hashes, sorted."""
    if not len(found):
        return found
    ordered = found[order(found)]
    return ordered[np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)]]


def numbered(found: Hashes) -> Hashes:
    """A key for each of some hashes: itself for the first of equals, another for its second, third…"""
    keys = found.copy()
    by = np.lexsort((np.arange(len(found)), found[:, 1], found[:, 0]))
    same = (found[by[1:]] == found[by[:-1]]).all(axis=1)
    rank = np.zeros(len(found), np.int64)
    for at in np.flatnonzero(same).tolist():
        rank[by[at + 1]] = rank[by[at]] + 1
    for place in np.flatnonzero(rank).tolist():
        text = found[place].tobytes() + b"%d" % rank[place]
        keys[place] = np.frombuffer(blake2b(text, digest_size=16).digest(), np.uint64)
    return keys
