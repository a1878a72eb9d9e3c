"""Foreign keys from inclusion, names and types: candidates, their features, and the choice of all together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from dataplatform.auto_dw.judge.likeness import (
    DIRTY,
    GENERIC,
    LEAST,
    Pair,
    evidence,
    family,
    features,
    is_home,
    naming,
)
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, Reference, SchemaProfile, TableProfile
from dataplatform.auto_dw.look.sketches import ENOUGH, Index, containment, domain, first_look, index
from dataplatform.auto_dw.names.words import words

LOOKS = 3  # parents of a column that are searched for its values
MOST = 30  # parents of a column that are weighed against each other
SECONDED = 0.65  # chance of a reference that others speak for
HALF = (
    0.5  # share of a column's first values that a key has at least, or it has too few of the others as well
)
WORTH = 0.5  # naming from which a parent is searched
CODES = 50  # distinct codes from which some may be unknown to the parent

Target = tuple[TableProfile, ColumnProfile, int]  # a key of one column, and its place among its table's keys


@dataclass(frozen=True)
class Targets:
    """The keys whose values a column may have, and what the sketches know of them at once."""

    of: tuple[Target, ...]
    index: Index
    unsure: npt.NDArray[np.bool_]  # only a sample of the table was looked at
    empty: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Candidate:
    """A possible reference. `features` by name, each about 0 to 1."""

    table: TableProfile
    column: ColumnProfile
    parent: TableProfile
    key: ColumnProfile
    features: Mapping[str, float]
    evidence: tuple[str, ...] = field(default=())

    @property
    def reference(self) -> tuple[str, str, str, str]:
        return self.table.name, self.column.name, self.parent.name, self.key.name


# share of some columns' values that a parent too large for its sketch has; None where nobody knows
Probe = Callable[[TableProfile, Sequence[str], TableProfile, Sequence[str]], float | None]


def candidates(
    schema: SchemaProfile, keys: Mapping[str, Sequence[tuple[str, ...]]], probe: Probe = lambda *_: None
) -> list[Candidate]:
    """All that types and values allow. `keys`: of each table its keys, the primary one first."""
    targets = _targets(schema, keys)
    return [
        candidate
        for table in schema.tables.values()
        for column in table.columns
        if column.can_identify and domain(column) in targets
        for own in [(keys.get(table.name) or ((),))[0]]
        for candidate in _weighed(_pairs(table, column, own, targets[domain(column)], probe))
    ]


def _targets(schema: SchemaProfile, keys: Mapping[str, Sequence[tuple[str, ...]]]) -> dict[str, Targets]:
    """By the kind of their values; dates and times refer to nothing."""
    found: dict[str, list[Target]] = {}
    for name, table in schema.tables.items():
        for number, key in enumerate(keys.get(name, ())):
            column = table.by_name[key[0]]
            if len(key) == 1 and column.can_identify and column.kind not in (kinds.DATE, kinds.TIME):
                found.setdefault(domain(column), []).append((table, column, number))
    return {
        kind: Targets(
            tuple(of),
            index([key for _, key, _ in of]),
            np.array([not parent.exact for parent, *_ in of]),
            np.array([not parent.rows for parent, *_ in of]),
        )
        for kind, of in found.items()
    }


def _pairs(
    table: TableProfile, column: ColumnProfile, primary: tuple[str, ...], targets: Targets, probe: Probe
) -> list[Pair]:
    """The keys that have enough of the column's values, the best named first.

    Small numbers lie within every counter: of hundreds of such parents only the best named are weighed.
    """
    shares, asked = first_look(column, targets.index)
    unsure = (targets.unsure | (asked < min(ENOUGH, column.distinct))) & (column.filled > 0)
    possible = (shares > HALF) | unsure | targets.empty | (column.filled == 0)
    named = [
        (naming(column, parent, key, parent.name == table.name), (parent, key, number), bool(unsure[place]))
        for place in np.flatnonzero(possible)
        for parent, key, number in [targets.of[place]]
        if parent.name != table.name or key.name != column.name
    ]
    looked_up = _looked_up(table, column, named, probe) if unsure.any() else {}
    found: list[Pair] = []
    for name, (parent, key, number), _ in sorted(named, key=lambda n: -n[0]):
        if len(found) == MOST:
            break
        held = looked_up.get((parent.name, key.name), containment(column, key) if column.filled else 0.0)
        unknown = column.filled == 0 or parent.rows == 0
        if held >= _least(column, key, number) or (unknown and _same_kind(column, key)):
            found.append(Pair(table, column, parent, key, number, held, primary, name))
    return found


def _weighed(pairs: Sequence[Pair]) -> Iterable[Candidate]:
    best, second = ([pair.naming for pair in pairs[:2]] + [0.0, 0.0])[:2]
    rivals = sum(pair.held >= 0.999 for pair in pairs)
    for pair in pairs:
        found = features(pair, best, (best - second) * (pair.naming == best), rivals)
        if is_home(pair, found["surprising"], [p.key for p in pairs]):
            found |= {"home": 1.0, "alternate": 0.0}  # though the table has another key, of its own
        yield Candidate(pair.table, pair.column, pair.parent, pair.key, found, evidence(pair))


def _same_kind(column: ColumnProfile, key: ColumnProfile) -> bool:
    """What types alone say where there are no values: text may hold numbers' and UUIDs' text, but who would know."""
    return column.kind == key.kind or {column.kind, key.kind} <= {kinds.INTEGER, kinds.NUMBER}


def _least(column: ColumnProfile, key: ColumnProfile, number: int) -> float:
    """The share of values that must be found for a reference to be thought of."""
    codes = kinds.TEXT == column.kind == key.kind and column.distinct >= CODES and number == 0
    return DIRTY if codes and column.called == key.called and words(column.called) not in GENERIC else LEAST


def _looked_up(
    table: TableProfile, column: ColumnProfile, named: Sequence[tuple[float, Target, bool]], probe: Probe
) -> dict[tuple[str, str], float]:
    """Share of the column's values in the best named keys of which the sketches know too little (`named`'s third).

    Each look may read a whole table: none at a key whose name, or whose table's, fits less than one that has them.
    """
    ranked = sorted(
        ((-name, -family(table, target[0]), target, look) for name, target, look in named if name >= WORTH),
        key=lambda n: (n[0], n[1], n[2][0].name, n[2][1].name),
    )
    found: dict[tuple[str, str], float] = {}
    settled = (0.75 * ranked[0][0], 0.0) if ranked else (0.0, 0.0)
    for name, kin, (parent, key, _), look in ranked:
        if (name, kin) > settled or len(found) == LOOKS:
            break
        share = probe(table, (column.name,), parent, (key.name,)) if look else containment(column, key)
        if look and share is not None:
            found[parent.name, key.name] = share
        if share is not None and share >= LEAST:
            settled = (name, kin)
    return found


def choose(scored: Iterable[tuple[Candidate, float]], least: float) -> list[tuple[Candidate, float]]:
    """One parent a column, and no two tables whose keys are each other's: the likelier stays."""
    best: dict[tuple[str, str], tuple[Candidate, float]] = {}
    for candidate, chance in sorted(scored, key=lambda s: -s[1]):
        if chance >= least:
            best.setdefault((candidate.table.name, candidate.column.name), (candidate, chance))
    result: list[tuple[Candidate, float]] = []
    taken: set[tuple[str, str, str, str]] = set()
    for candidate, chance in sorted(best.values(), key=lambda s: -s[1]):
        table, column, parent, key = candidate.reference
        if (parent, key, table, column) in taken:
            continue
        taken.add((table, column, parent, key))
        result.append((candidate, chance))
    return result


def seconded(scored: Sequence[tuple[Candidate, float]], least: float) -> list[tuple[Candidate, float]]:
    """Codes that only one key has, and that a column of their name or of their table surely refers to, do so too.

    `origin` beside `dest` of the same table, then `origin` of another table. Twice round, for one leads to the other.
    """
    found = list(scored)
    for _ in range(2):
        chosen = [c for c, _ in choose(found, least)]
        known = {
            (c.parent.name, c.key.name, name)
            for c in chosen
            for name in (c.column.called, f"/{c.table.name}")
        }
        found = [_second(c, chance) if _is_seconded(c, known) else (c, chance) for c, chance in found]
    return found


def _second(candidate: Candidate, chance: float) -> tuple[Candidate, float]:
    if chance >= SECONDED:
        return candidate, chance
    why = f"a column of this table or of its name refers to {candidate.parent.name}, too"
    return replace(candidate, evidence=(*candidate.evidence, why)), SECONDED


def _is_seconded(candidate: Candidate, known: set[tuple[str, str, str]]) -> bool:
    column, parent, features = candidate.column, candidate.parent, candidate.features
    against = any(features[name] for name in ("numbers", "rivals", "alternate", "is_own_key"))
    if against or not column.filled or features["whole"] < 1:
        return False
    sibling = (parent.name, candidate.key.name, f"/{candidate.table.name}") in known
    return sibling or (parent.name, candidate.key.name, column.called) in known


def as_reference(candidate: Candidate, chance: float) -> Reference:
    table, column, parent, key = candidate.reference
    return Reference(table, (column,), parent, (key,), chance, candidate.evidence)
