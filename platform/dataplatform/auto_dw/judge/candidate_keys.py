"""Column sets that may be a table's key: whatever identifies its rows, single, smallest, or as people lay out keys.

Declared keys are often wider than this data need (a language beside a translation's item while there is one language),
so that a set that identifies rows is tried with its neighbours, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, SchemaProfile, Sketch, TableProfile
from dataplatform.auto_dw.look.sketches import mixed
from dataplatform.auto_dw.names.lexicon import MEASURES, NAMING
from dataplatform.auto_dw.names.words import points_to, says_id, words

MOST_COLUMNS = 10  # whose combinations are tried
LARGEST = 4  # columns of a smallest combination
WIDEST = 6  # columns of a key
MOST_PARTS = 6  # columns that a set is widened by, one at a time
MOST_WIDENED = 12  # sets that are widened
MANY, TELLING = 500, 10.0  # rows, and pairs alike by chance, from which it tells that there is no such pair
GLANCE = 5_000  # rows that are looked at before all are
LIKE_ANOTHER = 0.7  # naming from which a column is named after another table
Rows = Callable[[TableProfile, Sequence[str]], Sketch]


@dataclass(frozen=True)
class Named:
    """What a column's name says: how far it names its own table, and another one; whether it is an identifier's."""

    own: float
    other: float
    identifies: bool

    @property
    def part(self) -> bool:
        """Whether it may be a part of a key by its name."""
        return self.identifies or self.other >= LIKE_ANOTHER


@dataclass(frozen=True)
class KeySet:
    """Columns that identify the rows of a table. `smallest`: no part of them does."""

    columns: tuple[str, ...]
    smallest: bool


def named(schema: SchemaProfile, table: TableProfile) -> dict[str, Named]:
    """Of each column what its name says."""
    return {
        c.name: Named(points_to(c.called, table.called), refers(schema, table, c), says_id(c.called))
        for c in table.columns
    }


def refers(schema: SchemaProfile, table: TableProfile, column: ColumnProfile) -> float:
    """How far a column's name names another table; less where it names its own as well."""
    own = points_to(column.called, table.called)
    others = (
        points_to(column.called, other.called) for other in schema.tables.values() if other.name != table.name
    )
    best = max(others, default=0.0)
    return best if best > own + 0.1 or best >= 0.97 > own else 0.0


def key_sets(table: TableProfile, names: Mapping[str, Named], rows: Rows) -> list[KeySet]:
    """All candidates; those of one column first."""
    singles = [KeySet((c.name,), True) for c in table.columns if _may_be_key(table, c)]
    if any(_is_obvious(table.by_name[k.columns[0]], names[k.columns[0]]) for k in singles):
        return singles
    possible = [c for c in table.columns if c.can_identify and c.nulls == 0]
    if table.rows == 0:
        return [*singles, *_by_names(possible, names)]
    if len(possible) < 2:
        return singles
    return [*singles, *_several(table, possible, names, {k.columns[0] for k in singles}, rows)]


def _may_be_key(table: TableProfile, column: ColumnProfile) -> bool:
    if not column.can_identify:
        return False
    return column.unique or (table.rows == 0 and column.kind in (kinds.INTEGER, kinds.TEXT, kinds.UUID))


def _is_obvious(column: ColumnProfile, name: Named) -> bool:
    """A first column that is called like the key that tables have: then no combination is looked for."""
    counts = column.kind in (kinds.INTEGER, kinds.UUID)
    return (
        counts and column.position == 0 and words(column.called) in (("id",), ("pk",), ("uuid",), ("guid",))
    )


def _by_names(possible: Sequence[ColumnProfile], names: Mapping[str, Named]) -> list[KeySet]:
    """Of an empty table the columns at its beginning that could be parts."""
    run = [c.name for c in _run(possible, names)]
    return [KeySet(tuple(run), True)] if 1 < len(run) <= WIDEST else []


def _run(possible: Sequence[ColumnProfile], names: Mapping[str, Named]) -> list[ColumnProfile]:
    found: list[ColumnProfile] = []
    for place, column in enumerate(possible):
        if column.position != place or not names[column.name].part or words(column.called) == ("id",):
            break
        found.append(column)
    return found


def _several(
    table: TableProfile,
    possible: Sequence[ColumnProfile],
    names: Mapping[str, Named],
    alone: set[str],
    rows: Rows,
) -> Iterator[KeySet]:
    """Sets of several columns: the smallest, then those that are wider for the way people lay out keys."""
    worth = {c.name: part_score(c, names[c.name]) for c in possible}
    likely = {c.name for c in sorted(possible, key=lambda c: -worth[c.name])[:MOST_COLUMNS]}
    near = {c.name for c in possible if c.position < WIDEST}
    used = [c for c in possible if c.name in likely or c.name in near]
    unique = _uniqueness(table, used, rows)
    small = _minimal([c.name for c in used if c.name in likely - alone and c.distinct > 1], unique)
    seen = {frozenset(s) for s in small}
    yield from (KeySet(s, True) for s in small)
    proven = [set(s) for s in small if _is_no_accident(table, s)]
    for wide in _wider(used, names, [*((c.name,) for c in used if c.name in alone), *small]):
        needed = not any(inside < set(wide) for inside in proven)
        if needed and frozenset(wide) not in seen and len(wide) <= WIDEST and unique(wide):
            seen.add(frozenset(wide))
            yield KeySet(wide, False)


def _is_no_accident(table: TableProfile, columns: Sequence[str]) -> bool:
    """Whether so many rows would have some that are alike if the columns did not identify them: they need no more."""
    return table.rows >= MANY and collisions(table, columns) >= TELLING


def _uniqueness(
    table: TableProfile, used: Sequence[ColumnProfile], rows: Rows
) -> Callable[[Sequence[str]], bool]:
    values = rows(table, [c.name for c in used])
    at = {c.name: n for n, c in enumerate(used)}
    known: dict[frozenset[str], bool] = {}

    def unique(chosen: Sequence[str]) -> bool:
        place = frozenset(chosen)
        if place not in known:
            wider = any(smaller < place for smaller, yes in known.items() if yes)
            known[place] = wider or (_enough(table, chosen) and is_unique(values[:, [at[n] for n in chosen]]))
        return known[place]

    return unique


def _enough(table: TableProfile, chosen: Sequence[str]) -> bool:
    """Whether there are as many combinations of the columns' values as rows."""
    return math.prod(table.by_name[name].distinct for name in chosen) >= table.by_name[chosen[0]].rows


def is_unique(values: Sketch) -> bool:
    """Whether rows are distinct; a mixed hash decides, 64 bits are enough for a sample."""
    if len(values) > 4 * GLANCE and not is_unique(values[:GLANCE]):
        return False
    return len(np.unique(mixed(values))) == len(values)


def _minimal(names: Sequence[str], unique: Callable[[Sequence[str]], bool]) -> list[tuple[str, ...]]:
    """The smallest combinations of columns that identify a row."""
    found: list[tuple[str, ...]] = []
    for size in range(2, LARGEST + 1):
        for chosen in combinations(names, size):
            if not any(set(u) <= set(chosen) for u in found) and unique(chosen):
                found.append(chosen)
        if found and size >= 3:
            break
    return found


def _wider(
    used: Sequence[ColumnProfile], names: Mapping[str, Named], sets: Sequence[tuple[str, ...]]
) -> Iterator[tuple[str, ...]]:
    """The table's first columns, all that are named like parts, and each set with one more part."""
    order = [c.name for c in used]
    for size in range(2, WIDEST + 1):
        first = used[:size]
        if len(first) == size and first[-1].position == size - 1:
            yield tuple(c.name for c in first)
    parts = [name for name in order if names[name].part]
    yield from (tuple(parts[:size]) for size in range(2, min(len(parts), WIDEST) + 1))
    for chosen in sets[:MOST_WIDENED]:
        for part in parts[:MOST_PARTS]:
            if part not in chosen:
                yield tuple(sorted((*chosen, part), key=order.index))


def part_score(column: ColumnProfile, name: Named) -> float:
    """How well a column serves as a part of a composite key: only which combinations are tried depends on it."""
    found = set(words(column.called))
    score = 1.0 * name.identifies + (name.other >= LIKE_ANOTHER) + 0.6 * (name.own >= LIKE_ANOTHER)
    score += 0.5 * bool(found & NAMING) - 1.0 * bool(found & MEASURES)
    score -= 0.5 * (column.kind == kinds.TEXT and column.max_length > 60) + 0.5 * (column.kind == kinds.TIME)
    return score - 0.12 * min(column.position, 6)


def collisions(table: TableProfile, names: Sequence[str]) -> float:
    """How many pairs of rows would share their values if the columns had nothing to do with each other.

    Rows over 2 times rows over combinations: the birthday problem. Far below 1, no pair says nothing.
    """
    rows = table.by_name[names[0]].rows
    return rows * (rows - 1) / 2 / max(1, math.prod(table.by_name[name].distinct for name in names))
