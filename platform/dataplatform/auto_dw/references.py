"""Foreign keys from inclusion, names and types: candidates, their features, and the choice of all together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dataplatform.auto_dw import model as m
from dataplatform.auto_dw.lexicon import LINKS, NO_REFERENCE, PEOPLE, ROLES, SELF, SUPERIORS
from dataplatform.auto_dw.model import ColumnProfile, Reference, SchemaProfile, TableProfile
from dataplatform.auto_dw.sketches import bounds, comparable, containment, dense, telling
from dataplatform.auto_dw.words import alike, names_table, says_id, stem, table_words, words

MOST = 30  # parents of a column that are weighed against each other
LEAST = 0.9  # share of the distinct values that must be found: a few orphans are allowed


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
    result = []
    for table in schema.tables.values():
        for column in table.columns:
            if not column.can_identify or column.kind in (m.DATE, m.TIME):
                continue
            result += _of_column(schema, keys, table, column, targets, probe)
    return result


def _of_column(
    schema: SchemaProfile, keys: Mapping[str, Sequence[tuple[str, ...]]], table: TableProfile,
    column: ColumnProfile, targets: Sequence[tuple[TableProfile, ColumnProfile, int]], probe: Probe,
) -> list[Candidate]:  # fmt: skip
    found = []
    for parent, key, number in targets:
        if (parent.name == table.name and key.name == column.name) or not comparable(column, key):
            continue
        held = _held(table, column, parent, key, probe)
        if held < LEAST and not (column.filled == 0 or parent.rows == 0):
            continue
        own = tuple(keys.get(table.name, ((),))[0]) if keys.get(table.name) else ()
        found.append((parent, key, number, held, own))
    naming = [_naming(column, parent, key, parent.name == table.name) for parent, key, *_ in found]
    best, second = sorted([*naming, 0.0, 0.0])[-1:-3:-1]
    rivals = sum(1 for *_, held, _ in found if held >= 0.999)
    result = []
    # small numbers lie within every counter: of hundreds of such parents only the best named are weighed
    order = sorted(range(len(found)), key=lambda n: -naming[n])[:MOST]
    for place in order:
        parent, key, number, held, own = found[place]
        features = _features(table, column, parent, key, number, held, own, best, rivals)
        features["ahead"] = (best - second) * float(naming[place] == best)
        result.append(
            Candidate(table, column, parent, key, features, _evidence(table, column, parent, key, held))
        )
    return result


def _held(
    table: TableProfile, column: ColumnProfile, parent: TableProfile, key: ColumnProfile, probe: Probe
) -> float:
    """Share of the column's values that the parent's key has."""
    if not column.filled:
        return 0.0
    unsure = not parent.exact or not telling(column, key)
    if unsure and _naming(column, parent, key, parent.name == table.name) >= 0.5:
        found = probe(table, (column.name,), parent, (key.name,))
        if found is not None:
            return found
    return containment(column, key)


def _naming(column: ColumnProfile, parent: TableProfile, key: ColumnProfile, own: bool) -> float:
    """How far the column's name points to the parent: by its table's name, or by its key's."""
    if own:  # a table's own attributes carry its name: only a role such as `parent` points back to it
        return 0.9 if _points_back(column, parent) else 0.0
    by_table = names_table(stem(column.called), table_words(parent.called))
    generic = len(words(key.called)) == 1 and says_id(key.called)
    same = 1.0 if column.called == key.called and not generic and words(key.called) != ("name",) else 0.0
    by_key = (
        0.0 if generic else 0.8 * alike(stem(column.called), stem(key.called)) if says_id(key.called) else 0.0
    )
    return max(by_table, 0.85 * same, by_key)


def _features(
    table: TableProfile, column: ColumnProfile, parent: TableProfile, key: ColumnProfile, number: int,
    held: float, own: tuple[str, ...], best: float, rivals: int,
) -> dict[str, float]:  # fmt: skip
    naming = _naming(column, parent, key, table.name == parent.name)
    by_table = names_table(stem(column.called), table_words(parent.called))
    coverage = min(1.0, column.distinct / key.distinct) if key.distinct else 0.0
    numbers = column.kind in (m.INTEGER, m.NUMBER)
    parts = set(words(column.called))
    fits = held >= 0.999 or not column.filled or not parent.rows
    same = column.called == key.called and words(key.called) not in (("id",), ("name",))
    mine = names_table(stem(column.called), table_words(table.called))
    return {
        "naming": naming,
        "naming_strong": float(naming >= 0.8),
        "naming_none": float(naming < 0.3),
        "same_name": float(same and says_id(key.called)),
        "same_attribute": float(same and not says_id(key.called)),
        "family": alike(table_words(table.called), table_words(parent.called)) * (table.name != parent.name),
        "behind_best": best - naming,
        "rivals": min(1.0, math.log1p(max(0, rivals - 1)) / 3),
        "whole": float(held >= 0.999 and column.filled > 0),
        "orphans": min(1.0, 10 * (1 - held)) if column.filled and parent.rows else 0.0,
        "empty": float(column.filled == 0 or parent.rows == 0),
        "coverage": coverage,
        "few_values": float(0 < column.distinct <= 2),
        "distinct": min(1.0, math.log1p(column.distinct) / 8),
        "surprising": _surprise(column, key, held),
        "of_its_domain": float(
            not numbers
            and number == 0
            and held >= 0.95
            and column.distinct >= 20
            and rivals <= 1
            and own != (column.name,)
        ),
        "says_id": float(says_id(column.called)),
        "measure_word": float(not parts.isdisjoint(NO_REFERENCE) and not says_id(column.called)),
        "alternate": float(number > 0),
        "to_itself": float(table.name == parent.name),
        "is_own_key": float(own == (column.name,)),
        "in_own_key": float(len(own) > 1 and column.name in own),
        "names_itself": float(
            (mine > by_table or (mine == by_table and own == (column.name,)))
            and mine >= 0.7
            and table.name != parent.name
        ),
        "parent_smaller": float(parent.rows < table.rows),
        "numbers": float(numbers),
        "number_without_name": float(numbers and naming < 0.5),
        "text_without_name": float(not numbers and naming < 0.5),
        "starts_elsewhere": _starts_elsewhere(column, key) * float(naming < 0.8),
        "owner": _owns(parent, key),
        "plain_case": float(naming >= 0.8 and _owns(parent, key) >= 0.7 and number == 0 and fits),
        "likely_case": naming * _owns(parent, key) * float(number == 0 and fits),
        "own_name": float(own == (column.name,) and mine >= 0.6 and mine >= 0.95 * by_table),
        "role_of_person": float(
            not ROLES.isdisjoint(words(column.called)) and not PEOPLE.isdisjoint(table_words(parent.called))
        ),
        "own_role": float(table.name == parent.name and _points_back(column, parent)),
    }


def _owns(parent: TableProfile, key: ColumnProfile) -> float:
    """How far the key is the parent's own: called id, or like its table."""
    if len(words(key.called)) == 1 and says_id(key.called):
        return 1.0
    return max(names_table(stem(key.called), table_words(parent.called)), 0.9 * (not says_id(key.called)))


def _points_back(column: ColumnProfile, table: TableProfile) -> bool:
    """`parent_id`, `account_parent`, `reports_to`: a role, and at most the table's own name beside it."""
    found = words(column.called)
    rest = tuple(w for w in stem(column.called) if w not in SELF and w not in LINKS)
    if not SUPERIORS.isdisjoint(found) and PEOPLE.isdisjoint(table_words(table.called)):
        return False  # the manager of a product is no product
    return not SELF.isdisjoint(found) and (not rest or names_table(rest, table_words(table.called)) >= 0.7)


def _surprise(column: ColumnProfile, key: ColumnProfile, held: float) -> float:
    """How unlikely the inclusion is by chance: small numbers lie within any counter."""
    if held < LEAST or not column.filled:
        return 0.0
    weight = min(1.0, math.log1p(column.distinct) / 5)
    if column.kind in (m.INTEGER, m.NUMBER):
        span, parent = bounds(column), bounds(key)
        if span is None or parent is None:
            return 0.0
        share = key.distinct / max(1, parent[1] - parent[0] + 1)
        return weight * (1 - min(1.0, share)) if not dense(key) else 0.1 * weight
    return weight * (1.0 if column.average_length >= 3 else 0.5)


def _starts_elsewhere(column: ColumnProfile, key: ColumnProfile) -> float:
    """Whole numbers that reach below the parent's, or hardly into it."""
    span, parent = bounds(column), bounds(key)
    if span is None or parent is None or parent[1] <= parent[0]:
        return 0.0
    reach = (span[1] - parent[0]) / (parent[1] - parent[0])
    return float(reach < 0.2)


def _evidence(
    table: TableProfile, column: ColumnProfile, parent: TableProfile, key: ColumnProfile, held: float
) -> tuple[str, ...]:
    said = []
    if column.filled == 0:
        said.append("the column is empty: judged by its name")
    elif held >= 0.9999:
        said.append(f"all its {column.distinct:,} values are in {parent.name}.{key.name}")
    else:
        said.append(f"{held:.1%} of its {column.distinct:,} values are in {parent.name}.{key.name}")
    naming = _naming(column, parent, key, table.name == parent.name)
    if naming >= 0.8:
        said.append(f"its name points to {parent.name}")
    elif naming >= 0.5:
        said.append(f"its name resembles {parent.name}")
    return tuple(said)


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


def as_reference(candidate: Candidate, chance: float) -> Reference:
    table, column, parent, key = candidate.reference
    return Reference(table, (column,), parent, (key,), chance, candidate.evidence)
