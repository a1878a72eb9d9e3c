"""Arrays of 16-byte hashes: two unsigned 64-bit numbers each, n hashes have the shape (n, 2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from dataplatform.records.growing import PASSED, Data, let_go, passing

Hashes = npt.NDArray[np.uint64]
Indexes = npt.NDArray[np.signedinteger[Any]]
EMPTY: Hashes = np.empty((0, 2), np.uint64)
_NONE: Indexes = np.empty(0, np.intp)
_PIECE = 1 << 17  # hashes looked at together: what is made of them on the way stays small
_PART = 1 << 21  # hashes that are compared with one another at once
SIZE = 16  # bytes of a hash


def hashes(data: Data | Iterable[bytes]) -> Hashes:
    """Joined 16-byte hashes as an array (n, 2); it shares the memory of what is joined already."""
    joined = data if isinstance(data, Data) else b"".join(data)
    return np.frombuffer(joined, np.uint64).reshape(-1, 2)


def pieces(found: Hashes) -> list[bytes]:
    """The hashes as bytes, one by one."""
    raw = np.ascontiguousarray(found).tobytes()
    return [raw[i : i + 16] for i in range(0, len(raw), 16)]


def rows(found: Hashes, which: npt.ArrayLike | slice) -> Hashes:
    """Those at some indexes or under a mask: as `found[which]`, in a fifth of its time where rows are this short."""
    if isinstance(which, slice):
        return found[which]
    at = np.asarray(which)
    if at.dtype != np.bool_:
        return found.take(at, axis=0)
    return found.compress(at, axis=0) if len(at) <= PASSED else _under(found, at)


def _under(found: Hashes, mask: npt.NDArray[np.bool_]) -> Hashes:
    """Those under a mask of many; what was passed of a mapped array is let go."""
    result, end = np.empty((int(mask.sum()), found.shape[1]), found.dtype), 0
    for at, some in enumerate(passing(found, PASSED)):
        own = some.compress(mask[at * PASSED : (at + 1) * PASSED], axis=0)
        result[end : (end := end + len(own))] = own
    return result


def same(some: Hashes, others: Hashes) -> npt.NDArray[np.bool_]:
    """Of two arrays of one length, where both have the same hash."""
    both: npt.NDArray[np.bool_] = (some[:, 0] == others[:, 0]) & (some[:, 1] == others[:, 1])
    return both


def order(found: Hashes) -> Indexes:
    """Indexes that sort hashes; equal ones keep their order."""
    first = np.ascontiguousarray(found[:, 0])
    by = np.argsort(first)
    ordered = first[by]
    if not (ordered[1:] == ordered[:-1]).any():
        return by  # the first halves alone decide, which is much cheaper
    return np.lexsort((found[:, 1], first))


@dataclass(frozen=True, eq=False)
class Table:
    """Where the hashes of a haystack stand, for many searches in it.

    `slots`: by a hash's last bits the first place that has these, in its low `bits` (all of them set: none has), and
    above them how that hash begins, so that another is mostly told apart without a look at the haystack; `rest`: the
    places of hashes that found their slot taken by another, sorted, and `first` their first halves in that order.
    """

    slots: npt.NDArray[Any]
    bits: int
    rest: Indexes
    first: npt.NDArray[np.uint64]

    def look(self, some: Hashes) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Of each the place in its slot, whether there is one, and whether what is there may be the same."""
        found = self.slots[(some[:, 0] & np.uint64(len(self.slots) - 1)).astype(np.intp)]
        none = found.dtype.type((1 << self.bits) - 1)
        places = found & none
        taken = places != none
        return places, taken, taken & (found >> found.dtype.type(self.bits) == self.begins(some))

    def begins(self, some: Hashes) -> npt.NDArray[Any]:
        """As many first bits of each as have room above a place."""
        width = self.slots.itemsize * 8
        return (some[:, 0] >> np.uint64(64 - width + self.bits)).astype(self.slots.dtype)


def prepared(haystack: Hashes) -> Table:
    """To be made once for many calls of `find`."""
    # four to eight slots for each hash, of many millions two to four: most of what is absent meets none that is taken
    number = 1 << (len(haystack) * (4 if len(haystack) < 1 << 21 else 2)).bit_length()
    bits = len(haystack).bit_length()
    type_: Any = np.uint32 if bits < 31 else np.uint64
    known = Table(np.full(number, np.iinfo(type_).max, type_), bits, _NONE, np.empty(0, np.uint64))
    for start in reversed(range(0, len(haystack), _PIECE)):
        some = haystack[start : start + _PIECE]
        at = (some[:, 0] & np.uint64(number - 1)).astype(np.intp)
        filled = known.begins(some) << type_(bits) | np.arange(start, start + len(some), dtype=type_)
        # from the end, for of several that have the same slot the last one written stays
        known.slots[at[::-1]] = filled[::-1]
        let_go(haystack)
    rest = np.concatenate([_late(haystack, known, at) for at in range(0, len(haystack), _PIECE)] or [_NONE])
    late = _picked(haystack, rest)
    by = order(late)
    return replace(known, rest=rest[by], first=late[:, 0][by])


def _late(haystack: Hashes, known: Table, start: int) -> Indexes:
    """Places in a piece of the haystack whose slots hold other hashes; later ones of equals are never asked for."""
    piece = haystack[start : start + _PIECE]
    places, _, alike = known.look(piece)
    others = places != np.arange(start, start + len(piece))
    asked = np.flatnonzero(others & alike)
    others[asked] = ~same(rows(haystack, places[asked]), rows(piece, asked))
    let_go(haystack)
    return start + np.flatnonzero(others)


def find(needles: Hashes, haystack: Hashes, known: Table | None = None) -> Indexes:
    """Index in `haystack` of each needle, -1 where it is absent."""
    result: Indexes = np.full(len(needles), -1, np.int32 if len(haystack) < 1 << 31 else np.int64)
    if not len(haystack) or not len(needles):
        return result
    if known is None and (bits := _bits(haystack)):
        for begin in range(2 << bits):  # a bit more, for here both are looked at
            places, at = _found(needles, haystack, bits + 1, begin)
            result[places] = at
        return result
    known = known or prepared(haystack)
    for start in range(0, len(needles), _PIECE):
        piece = needles[start : start + _PIECE]
        places, taken, alike = known.look(piece)
        asked = np.flatnonzero(alike)
        hit = same(rows(haystack, places[asked]), rows(piece, asked))
        found = np.full(len(piece), -1, result.dtype)
        found[asked[hit]] = places[asked[hit]]
        others = np.flatnonzero(taken & (found < 0))
        found[others] = _among_the_rest(rows(piece, others), haystack, known)
        result[start : start + len(piece)] = found
        if len(needles) > _PIECE:
            let_go(needles)
    return result


def _found(needles: Hashes, haystack: Hashes, bits: int, begin: int) -> tuple[Indexes, Indexes]:
    """Of what begins alike: where those needles stand that are found, and their indexes in `haystack`."""
    here, there = (_places(found, bits, begin) for found in (needles, haystack))
    some = _picked(haystack, there)
    at = find(_picked(needles, here), some, prepared(some))
    found = at >= 0
    return here[found], there[at[found]]


def _among_the_rest(needles: Hashes, haystack: Hashes, known: Table) -> Indexes:
    by, first = known.rest, known.first
    start = np.searchsorted(first, needles[:, 0])
    result = np.full(len(needles), -1, np.intp)
    # hashes whose first half is the same lie side by side; there is hardly ever more than one
    open_ = np.arange(len(needles))
    offset = 0
    while len(open_):
        at = start[open_] + offset
        inside = at < len(first)
        open_, at = open_[inside], at[inside]
        alike = first[at] == needles[open_, 0]
        open_, at = open_[alike], at[alike]
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
    ordered = rows(found, by)
    again = same(ordered[1:], ordered[:-1])
    repeated = np.r_[False, again] | np.r_[again, False]
    result = np.empty(len(found), bool)
    result[by] = ~repeated
    return result


def distinct(found: Hashes) -> bool:
    """Whether no two are the same; of many millions some are looked at together, by how they begin."""
    if not (bits := _bits(found)):
        return _distinct(found)
    return all(_distinct(_picked(found, _places(found, bits, begin))) for begin in range(1 << bits))


def _bits(found: Hashes) -> int:
    """By how many of their first bits many millions are parted, so that few are looked at together; 0: not at all."""
    return max(0, len(found).bit_length() - _PART.bit_length())


def _places(found: Hashes, bits: int, begin: int) -> Indexes:
    """Where those are whose first bits are these."""
    own = [some[:, 0] >> np.uint64(64 - bits) == begin for some in passing(found)]
    return np.flatnonzero(np.concatenate(own))


def _picked(found: Hashes, places: Indexes) -> Hashes:
    """Those at places that ascend; what was looked at of a mapped array is let go."""
    picked = np.empty((len(places), 2), np.uint64)
    for start in range(0, len(places), _PIECE):
        picked[start : start + _PIECE] = rows(found, places[start : start + _PIECE])
        let_go(found)
    return picked


def _distinct(found: Hashes) -> bool:
    """Mostly their first halves tell, which need half the memory and no order."""
    first = np.sort(found[:, 0])
    return not (first[1:] == first[:-1]).any() or len(unique(found)) == len(found)


def unique(found: Hashes) -> Hashes:
    """Distinct hashes, sorted."""
    if not len(found):
        return found
    ordered = rows(found, order(found))
    return rows(ordered, np.r_[True, ~same(ordered[1:], ordered[:-1])])


def numbered(found: Hashes) -> Hashes:
    """A key for each of some hashes: itself for the first of equals, another for its second, third…"""
    keys = found.copy()
    by = np.lexsort((np.arange(len(found)), found[:, 1], found[:, 0]))
    again = same(rows(found, by[1:]), rows(found, by[:-1]))
    rank = np.zeros(len(found), np.int64)
    for at in np.flatnonzero(again).tolist():
        rank[by[at + 1]] = rank[by[at]] + 1
    for place in np.flatnonzero(rank).tolist():
        text = found[place].tobytes() + b"%d" % rank[place]
        keys[place] = np.frombuffer(blake2b(text, digest_size=16).digest(), np.uint64)
    return keys
