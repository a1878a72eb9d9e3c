"""How far the values of one column lie within another's, from the smallest hashes of both."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from dataplatform.auto_dw.model import INTEGER, NO_SKETCH, NUMBER, TEXT, UUID, ColumnProfile, Sketch

ENOUGH = 20  # hashes from which a share can be estimated
FIRST = 64  # hashes that show what is far from contained


def comparable(left: ColumnProfile, right: ColumnProfile) -> bool:
    """Whether values of both could be the same: numbers with numbers, text with text or UUIDs."""
    if not (left.can_identify and right.can_identify):
        return False
    numbers, texts = {INTEGER, NUMBER}, {TEXT, UUID}
    return left.kind == right.kind or {left.kind, right.kind} <= numbers or {left.kind, right.kind} <= texts


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
    top = min(
        np.iinfo(np.int64).max if column.whole else int(column.sketch[-1]) for column in (child, parent)
    )
    return child.sketch[child.sketch <= top]


def telling(child: ColumnProfile, parent: ColumnProfile) -> bool:
    """Whether the sketches have enough values in common to be compared: a few of a large parent's may be none."""
    return len(_comparable_hashes(child, parent)) >= min(ENOUGH, child.distinct)


def containment(child: ColumnProfile, parent: ColumnProfile) -> float:
    """Share of the child's distinct values that the parent has; estimated beyond the sketch's size."""
    wanted = _comparable_hashes(child, parent)
    if not len(wanted):
        return 0.0
    first = _share_found(wanted[:FIRST], parent.sketch)
    return first if first <= 0.5 or len(wanted) <= FIRST else _share_found(wanted, parent.sketch)


def _share_found(wanted: Sketch, known: Sketch) -> float:
    at = np.searchsorted(known, wanted)
    at[at == len(known)] = 0
    return float((known[at] == wanted).mean())


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
