"""Foreign keys from inclusion, names and types: candidates, their features, and the choice of all together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dataplatform.auto_dw import model as m
from dataplatform.auto_dw.likeness import (
    DIRTY,
    GENERIC,
    LEAST,
    Pair,
    evidence,
    features,
    is_home,
    naming,
)
from dataplatform.auto_dw.model import ColumnProfile, Reference, SchemaProfile, TableProfile
from dataplatform.auto_dw.sketches import comparable, containment, telling
from dataplatform.auto_dw.words import words

LOOKS = 3  # parents of a column that are searched for its values
MOST = 30  # parents of a column that are weighed against each other
SECONDED = 0.65  # chance of a reference that others speak for
WORTH = 0.5  # naming from which a parent is searched
CODES = 50  # distinct codes from which some may be unknown to the parent

Target = tuple[TableProfile, ColumnProfile, int]  # a key of one column, and its place among its table's keys


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
    targets = [
        (schema.tables[table], schema.tables[table].by_name[key[0]], number)
        for table, found in keys.items()
        for number, key in enumerate(found)
        if len(key) == 1
    ]
    return [
        candidate
        for table in schema.tables.values()
        for column in table.columns
        if column.can_identify and column.kind not in (m.DATE, m.TIME)
        for candidate in _weighed(_pairs(table, column, (keys.get(table.name) or ((),))[0], targets, probe))
    ]


def _pairs(
    table: TableProfile, column: ColumnProfile, own: tuple[str, ...], targets: Sequence[Target], probe: Probe
) -> list[Pair]:
    """The keys that have enough of the column's values, the best named first."""
    named = [
        (naming(column, parent, key, parent.name == table.name), target)
        for target in targets for parent, key, _ in (target,)
        if (parent.name != table.name or key.name != column.name) and comparable(column, key)
    ]  # fmt: skip
    worth = _worth_a_look(column, own == (column.name,), named)
    found = []
    for name, (parent, key, number) in named:
        held = _held(table, column, parent, key, probe if (parent.name, key.name) in worth else None)
        unknown = column.filled == 0 or parent.rows == 0
        if held >= _least(column, key, number) or (unknown and _same_kind(column, key)):
            found.append(Pair(table, column, parent, key, number, held, own, name))
    return sorted(found, key=lambda pair: -pair.naming)


def _weighed(pairs: Sequence[Pair]) -> Iterable[Candidate]:
    """Small numbers lie within every counter: of hundreds of such parents only the best named are weighed."""
    best, second = ([pair.naming for pair in pairs[:2]] + [0.0, 0.0])[:2]
    rivals = sum(pair.held >= 0.999 for pair in pairs)
    for pair in pairs[:MOST]:
        found = features(pair, best, (best - second) * (pair.naming == best), rivals)
        if is_home(pair, found["surprising"], [p.key for p in pairs]):
            found |= {"home": 1.0, "alternate": 0.0}  # though the table has another key, of its own
        yield Candidate(pair.table, pair.column, pair.parent, pair.key, found, evidence(pair))


def _same_kind(column: ColumnProfile, key: ColumnProfile) -> bool:
    """What types alone say where there are no values: text may hold numbers' and UUIDs' text, but who would know."""
    return column.kind == key.kind or {column.kind, key.kind} <= {m.INTEGER, m.NUMBER}


def _least(column: ColumnProfile, key: ColumnProfile, number: int) -> float:
    """The share of values that must be found for a reference to be thought of."""
    codes = m.TEXT == column.kind == key.kind and column.distinct >= CODES and number == 0
    return DIRTY if codes and column.called == key.called and words(column.called) not in GENERIC else LEAST


def _worth_a_look(
    column: ColumnProfile, is_key: bool, named: Sequence[tuple[float, Target]]
) -> set[tuple[str, str]]:
    """The best named keys of which the sketches know too little: each look may read a whole table."""
    best = max((name for name, _ in named), default=0.0)
    least = max(WORTH, 0.75 * best)
    unsure = [
        (name, parent.name, key.name)
        for name, (parent, key, _) in named
        if name >= least and column.filled and not (parent.exact and telling(column, key))
    ]
    return {(parent, key) for _, parent, key in sorted(unsure, reverse=True)[:LOOKS]}


def _held(
    table: TableProfile, column: ColumnProfile, parent: TableProfile, key: ColumnProfile, probe: Probe | None
) -> float:
    """Share of the column's values that the parent's key has."""
    if not column.filled:
        return 0.0
    found = probe(table, (column.name,), parent, (key.name,)) if probe else None
    return containment(column, key) if found is None else found


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
