"""Which keys each column may refer to: all that types and values allow, the best named first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dataplatform.auto_dw.judge.naming import family, naming
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, SchemaProfile, TableProfile
from dataplatform.auto_dw.look.sketches import ENOUGH, Index, containment, domain, first_look, index

LOOKS = 3  # parents of a column that are searched for its values
MOST = 24  # parents of a column that are weighed against each other
MOST_KEYS = 4  # keys of a table that may be referred to
LIKELY = 0.003  # chance of a table's column of being its key from which it may be referred to
LEAST = 0.5  # share of the distinct values that must be found
HALF = (
    0.5  # share of a column's first values that a key has at least, or it has too few of the others as well
)
WORTH = 0.5  # naming from which a parent is searched


@dataclass(frozen=True)
class Target:
    """A key of one column. `number`: its place among its table's keys, 0 for the likeliest; `chance`: of being it."""

    table: TableProfile
    key: ColumnProfile
    number: int
    chance: float


@dataclass(frozen=True)
class Targets:
    """The keys whose values a column may have, and what the sketches know of them at once."""

    of: tuple[Target, ...]
    index: Index
    unsure: npt.NDArray[np.bool_]  # only a sample of the table was looked at
    empty: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pair:
    """A column and a key it may refer to.

    `held`: share of the column's distinct values that the key has. `naming`: how far the column's name points to it.
    """

    table: TableProfile
    column: ColumnProfile
    target: Target
    held: float
    naming: float

    @property
    def parent(self) -> TableProfile:
        return self.target.table

    @property
    def key(self) -> ColumnProfile:
        return self.target.key

    @property
    def own_table(self) -> bool:
        return self.table.name == self.parent.name

    @property
    def empty(self) -> bool:
        return not self.column.filled or not self.parent.rows

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Table and column, and table and column that they refer to."""
        return self.table.name, self.column.name, self.parent.name, self.key.name


# share of some columns' values that a parent too large for its sketch has; None where nobody knows
Probe = Callable[[TableProfile, Sequence[str], TableProfile, Sequence[str]], float | None]
Chances = Mapping[str, Mapping[tuple[str, ...], float]]  # of each table, of each set of columns to be its key


def candidates(
    schema: SchemaProfile, chances: Chances, probe: Probe = lambda *_: None
) -> dict[tuple[str, str], list[Pair]]:
    """Of each column (table, column) the keys it may refer to; columns that may refer to none are left out."""
    targets = _targets(schema, chances)
    found = {
        (table.name, column.name): _pairs(table, column, targets[domain(column)], probe)
        for table in schema.tables.values()
        for column in table.columns
        if column.can_identify and domain(column) in targets
    }
    return {place: pairs for place, pairs in found.items() if pairs}


def _targets(schema: SchemaProfile, chances: Chances) -> dict[str, Targets]:
    """By the kind of their values; dates and times are referred to by their likeliest key alone."""
    found: dict[str, list[Target]] = {}
    for name, table in schema.tables.items():
        for target in _of_table(table, chances.get(name, {})):
            found.setdefault(domain(target.key), []).append(target)
    return {
        kind: Targets(
            tuple(of),
            index([t.key for t in of]),
            np.array([not t.table.exact for t in of]),
            np.array([not t.table.rows for t in of]),
        )
        for kind, of in found.items()
    }


def _of_table(table: TableProfile, chances: Mapping[tuple[str, ...], float]) -> list[Target]:
    single = {key[0]: chance for key, chance in chances.items() if len(key) == 1}
    ranked = sorted(single, key=lambda name: -single[name])[:MOST_KEYS]
    return [
        Target(table, table.by_name[name], number, single[name])
        for number, name in enumerate(ranked)
        if (number == 0 or single[name] >= LIKELY)
        and table.by_name[name].kind not in (kinds.DATE, kinds.TIME)
    ]


def _pairs(table: TableProfile, column: ColumnProfile, targets: Targets, probe: Probe) -> list[Pair]:
    """The keys that have enough of the column's values, the best named first.

    Small numbers lie within every counter: of hundreds of such parents only the best named are weighed.
    """
    shares, asked = first_look(column, targets.index)
    unsure = (targets.unsure | (asked < min(ENOUGH, column.distinct))) & (column.filled > 0)
    possible = (shares > 0.8 * HALF) | unsure | targets.empty | (column.filled == 0)
    named = [
        (
            naming(column, target.table, target.key, target.table.name == table.name),
            target,
            bool(unsure[place]),
        )
        for place in np.flatnonzero(possible)
        for target in [targets.of[place]]
        if target.table.name != table.name or target.key.name != column.name
    ]
    looked_up = _looked_up(table, column, named, probe) if unsure.any() else {}
    found: list[Pair] = []
    for name, target, _ in sorted(named, key=lambda n: (-n[0], -n[1].chance)):
        if len(found) == MOST:
            break
        share = looked_up.get((target.table.name, target.key.name))
        held = share if share is not None else containment(column, target.key) if column.filled else 0.0
        unknown = column.filled == 0 or target.table.rows == 0
        if held >= LEAST or (unknown and _same_kind(column, target.key)):
            found.append(Pair(table, column, target, held, name))
    return found


def _same_kind(column: ColumnProfile, key: ColumnProfile) -> bool:
    """What types alone say where there are no values: text may hold numbers' and UUIDs' text, but who would know."""
    return column.kind == key.kind or {column.kind, key.kind} <= {kinds.INTEGER, kinds.NUMBER}


def _looked_up(
    table: TableProfile, column: ColumnProfile, named: Sequence[tuple[float, Target, bool]], probe: Probe
) -> dict[tuple[str, str], float]:
    """Share of the column's values in the best named keys of which the sketches know too little (`named`'s third).

    Each look may read a whole table: none at a key whose name, or whose table's, fits less than one that has them.
    """
    ranked = sorted(
        (
            (-name, -family(table, target.table), target, look)
            for name, target, look in named
            if name >= WORTH
        ),
        key=lambda n: (n[0], n[1], n[2].table.name, n[2].key.name),
    )
    found: dict[tuple[str, str], float] = {}
    settled = (0.75 * ranked[0][0], 0.0) if ranked else (0.0, 0.0)
    for name, kin, target, look in ranked:
        if (name, kin) > settled or len(found) == LOOKS:
            break
        parent, key = target.table, target.key
        share = probe(table, (column.name,), parent, (key.name,)) if look else containment(column, key)
        if look and share is not None:
            found[parent.name, key.name] = share
        if share is not None and share >= LEAST:
            settled = (name, kin)
    return found
