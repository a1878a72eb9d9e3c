"""How far the values of one column lie within another's, from the smallest hashes of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from dataplatform.auto_dw.look.kinds import INTEGER, NUMBER, TEXT, UUID
from dataplatform.auto_dw.look.profiles import NO_SKETCH, ColumnProfile, Sketch

ENOUGH = 20  # hashes from which a share can be estimated
FIRST = 64  # hashes that show what is far from contained


def comparable(left: ColumnProfile, right: ColumnProfile) -> bool:
    """Whether values of both could be the same: numbers with numbers, text with text or UUIDs."""
    return left.can_identify and right.can_identify and domain(left) == domain(right)


def domain(column: ColumnProfile) -> str:
    """The kind whose values the column's could be: whole numbers are numbers, UUIDs text."""
    return {INTEGER: NUMBER, UUID: TEXT}.get(column.kind, column.kind)


def mixed(values: Sketch) -> Sketch:
    """One hash for each row of hashes, shape (rows, columns) → (rows,)."""
    result = np.zeros(len(values), np.uint64)
    for column in values.T:
        result = (result * np.uint64(0x9E3779B97F4A7C15)) ^ column.astype(np.uint64)
        result ^= result >> np.uint64(29)
        result *= np.uint64(0xBF58476D1CE4E5B9)
    return result.view(np.int64)


def _comparable_hashes(child: ColumnProfile, parent: ColumnProfile) -> Sketch:
    """The child's hashes of which the parent's sketch would know."""
    if not len(child.sketch) or not len(parent.sketch):
        return NO_SKETCH
    return child.sketch[: np.searchsorted(child.sketch, _top(parent), side="right")]


def _top(column: ColumnProfile) -> int:
    """The greatest hash that would be in the sketch if the column had it."""
    return int(column.sketch[-1]) if len(column.sketch) and not column.whole else int(np.iinfo(np.int64).max)


def telling(child: ColumnProfile, parent: ColumnProfile) -> bool:
    """Whether the sketches have enough values in common to be compared: a few of a large parent's may be none."""
    return len(_comparable_hashes(child, parent)) >= min(ENOUGH, child.distinct)


def containment(child: ColumnProfile, parent: ColumnProfile) -> float:
    """Share of the child's distinct values that the parent has; estimated beyond the sketch's size."""
    wanted = _comparable_hashes(child, parent)
    if not len(wanted):
        return 0.0
    at = np.searchsorted(parent.sketch, wanted)
    at[at == len(parent.sketch)] = 0
    return float((parent.sketch[at] == wanted).mean())


@dataclass(frozen=True)
class Index:
    """The hashes of many columns in order, the place of the column each is of, and up to where each column's go."""

    hashes: Sketch
    places: npt.NDArray[np.int64]
    tops: Sketch


def index(columns: Sequence[ColumnProfile]) -> Index:
    sketches = [column.sketch for column in columns]
    hashes = np.concatenate([NO_SKETCH, *sketches])
    order = np.argsort(hashes, kind="stable")
    places = np.repeat(np.arange(len(columns)), [len(sketch) for sketch in sketches])
    return Index(hashes[order], places[order], np.array([_top(column) for column in columns], np.int64))


def first_look(child: ColumnProfile, parents: Index) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """What the child's first hashes say of all parents at once, and how many of them each would know.

    The share of them that a parent has: far less work than `containment` of each, and enough to drop most.
    """
    first = child.sketch[:FIRST]
    asked = np.searchsorted(first, parents.tops, side="right")
    start = np.searchsorted(parents.hashes, first, side="left")
    end = np.searchsorted(parents.hashes, first, side="right")
    found = [parents.places[a:b] for a, b in zip(start, end, strict=True)]
    hits = np.bincount(np.concatenate([np.empty(0, np.int64), *found]), minlength=len(parents.tops))
    return hits / np.maximum(asked, 1), asked


def bounds(column: ColumnProfile) -> tuple[int, int] | None:
    """Least and greatest value of whole numbers."""
    return _whole_numbers(column.low, column.high)


@lru_cache(maxsize=50_000)
def _whole_numbers(low: str | None, high: str | None) -> tuple[int, int] | None:
    try:
        return int(float(low or "")), int(float(high or ""))
    except (ValueError, OverflowError):
        return None


def dense(column: ColumnProfile) -> bool:
    """Whether whole numbers count up nearly without gaps: then almost any small number is among them."""
    found = bounds(column)
    return found is not None and column.distinct >= 0.9 * (found[1] - found[0] + 1)
