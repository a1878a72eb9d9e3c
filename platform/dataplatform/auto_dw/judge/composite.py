"""Foreign keys of several columns: tuples of one table among the key tuples of another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product

import numpy as np

from dataplatform.auto_dw.judge.candidate_references import Probe
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, Reference, SchemaProfile, Sketch, TableProfile
from dataplatform.auto_dw.look.sketches import comparable, containment, mixed, telling
from dataplatform.auto_dw.names.words import points_to

LEAST = 0.9  # of each column's values
TUPLES = 0.95  # of the tuples
MOST = 60  # ways to assign columns that are tried for a pair of tables
MOST_PROBES = 3  # ways that are looked up in a parent of which only a sample is at hand
LARGEST = 4
TOLD = 50  # pairs of a link that tell something
WHOLE = 0.99  # of them must be the link's
RARE = 0.2  # share of all pairs that a link has at most, for it to be no accident
Rows = Callable[[TableProfile, Sequence[str]], Sketch]


Tuples = Callable[[TableProfile, tuple[str, ...]], Sketch]


@dataclass(frozen=True)
class Parent:
    """A table that may be referred to by a key of several columns."""

    table: TableProfile
    key: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """What is known beside a pair of tables: what single columns refer to, and how to look up more."""

    parents: Mapping[tuple[str, str], str]
    tuples: Tuples
    probe: Probe


@dataclass(frozen=True)
class Match:
    """Columns beside a parent's key: how far their names agree, the share of their combinations it has, of how many."""

    columns: tuple[str, ...]
    naming: float
    held: float
    number: int


def composite_references(
    schema: SchemaProfile,
    keys: Mapping[str, Sequence[tuple[str, ...]]],
    single: Sequence[Reference],
    rows: Rows,
    probe: Probe = lambda *_: None,
) -> list[Reference]:
    """References to the composite primary keys of a schema, of each pair of tables the best."""
    parents = {(r.table, r.columns[0]): r.ref_table for r in single if len(r.columns) == 1}
    known = Known(parents, _looked_up_once(rows), probe)
    candidates = [Parent(schema.tables[name], found[0]) for name, found in keys.items() if found]
    possible = [p for p in candidates if 1 < len(p.key) <= LARGEST]
    result = [
        best
        for parent in possible
        if parent.table.rows >= 2 and _is_thing(parent, parents)
        for table in schema.tables.values()
        if table.name != parent.table.name  # tuples of a table are among its own: says nothing
        for best in [_best(table, parent, known)]
        if best is not None
    ]
    things = _without_implied(_without_links(result, keys, parents))
    return [*things, *(r for parent in possible for r in _to_link(schema, keys, parent, known))]


def _looked_up_once(rows: Rows) -> Tuples:
    cache: dict[tuple[str, tuple[str, ...]], Sketch] = {}

    def tuples(table: TableProfile, columns: tuple[str, ...]) -> Sketch:
        place = table.name, columns
        if place not in cache:
            cache[place] = _tuples(rows(table, columns))
        return cache[place]

    return tuples


def _to_link(
    schema: SchemaProfile, keys: Mapping[str, Sequence[tuple[str, ...]]], link: Parent, known: Known
) -> Iterator[Reference]:
    """References to a link, such as what a supplier supplies: both ends are the link's, and no pair is another's.

    Only where pairs would be others' too if the ends had nothing to do with each other.
    """
    ends = [known.parents.get((link.table.name, part)) for part in link.key]
    if not all(ends) or len(set(ends)) < len(ends) or not link.table.exact:
        return
    for table in schema.tables.values():
        chosen = [
            [c for c in table.columns if known.parents.get((table.name, c.name)) == end] for end in ends
        ]
        if table.name == link.table.name or any(len(columns) != 1 for columns in chosen):
            continue
        own = set(keys[table.name][0]) if keys.get(table.name) else set()
        names = tuple(columns[0].name for columns in chosen)
        have = known.tuples(table, names)
        pairs = math.prod(columns[0].distinct for columns in chosen)
        if set(names) <= own or len(have) < TOLD or link.table.rows > RARE * pairs:
            continue
        held = float(np.isin(have, known.tuples(link.table, link.key)).mean())
        if held >= WHOLE:
            yield _reference(table, link, Match(names, 0.8, held, len(have)))


def _without_links(
    references: list[Reference],
    keys: Mapping[str, Sequence[tuple[str, ...]]],
    parents: Mapping[tuple[str, str], str],
) -> list[Reference]:
    """Only things are referred to: a table whose key consists of references alone is a link."""
    covered = {(r.table, column) for r in references for column in r.columns} | set(parents)
    links = {name for name, key in keys.items() if key and all((name, part) in covered for part in key[0])}
    return [r for r in references if r.ref_table not in links]


def _is_thing(parent: Parent, parents: Mapping[tuple[str, str], str]) -> bool:
    """Whether the table's key has a part of its own: pure links are seldom referred to."""
    table = parent.table
    return any((table.name, column) not in parents for column in parent.key) and any(
        (table.name, column) in parents
        or table.by_name[column].kind in (kinds.TEXT, kinds.UUID, kinds.INTEGER)
        for column in parent.key
    )


def _tuples(values: Sketch) -> Sketch:
    """One hash a row; rows with a null are left out."""
    return np.unique(mixed(values[(values != 0).all(axis=1)]))


def _best(table: TableProfile, parent: Parent, known: Known) -> Reference | None:
    best: Match | None = None
    ranked = _ranked(table, parent, known.parents)
    for names, naming in ranked[: MOST if parent.table.exact else MOST_PROBES]:
        if naming < 0.35 or (best is not None and naming < best.naming - 0.25):
            break
        held, number = _held(table, names, parent, known)
        if held >= TUPLES and (best is None or held > best.held + 0.001):
            best = Match(names, naming, held, number)
    return None if best is None else _reference(table, parent, best)


def _ranked(
    table: TableProfile, parent: Parent, parents: Mapping[tuple[str, str], str]
) -> list[tuple[tuple[str, ...], float]]:
    """Ways to assign the table's columns to the parts of the key, the best named first."""
    parts = [parent.table.by_name[part] for part in parent.key]
    choices = [[c for c in table.columns if _may_be(c, parent.table, part)] for part in parts]
    possible = (p for p in product(*choices) if len({c.name for c in p}) == len(p))
    named = [(tuple(c.name for c in p), _naming(table, p, parent, parents)) for p in islice(possible, 2_000)]
    return sorted(named, key=lambda n: -n[1])


def _may_be(column: ColumnProfile, parent: TableProfile, part: ColumnProfile) -> bool:
    """Whether its values allow it; of a parent too large to be looked at whole its name must do."""
    if not column.filled or not comparable(column, part):
        return False
    unsure = not parent.exact or not telling(column, part)
    return containment(column, part) >= LEAST or (unsure and column.called == part.called)


def _held(table: TableProfile, names: tuple[str, ...], parent: Parent, known: Known) -> tuple[float, int]:
    """Share of the tuples that the parent has, and how many there are."""
    have = known.tuples(table, names)
    if len(have) < 3:
        return 0.0, len(have)
    found = None if parent.table.exact else known.probe(table, names, parent.table, parent.key)
    if found is not None:
        return found, len(have)
    return float(np.isin(have, known.tuples(parent.table, parent.key)).mean()), len(have)


def _naming(
    table: TableProfile,
    chosen: Sequence[ColumnProfile],
    parent: Parent,
    parents: Mapping[tuple[str, str], str],
) -> float:
    """How far the names agree: shared parts by name or by what they refer to, the own part by the table's name."""
    total = 0.0
    for column, name in zip(chosen, parent.key, strict=True):
        part = parent.table.by_name[name]
        shared = parents.get((parent.table.name, name))
        if shared is not None:
            same = column.called == part.called or parents.get((table.name, column.name)) == shared
            same = same or (shared == table.name and column.unique)  # its own key stands for it
            total += 1.0 if same else 0.6 * points_to(column.called, shared)
            total += 0.2 * (column.called == part.called)
        else:
            total += _own_part(column, part, points_to(column.called, parent.table.called))
    return total / len(parent.key)


def _own_part(column: ColumnProfile, part: ColumnProfile, points: float) -> float:
    """How well a column stands for the key's own part; `points`: how far its name names the table."""
    if points >= 0.7:
        return 1.0
    if column.called == part.called:
        return 0.3
    return 0.4 * points + (0.35 if column.kind == kinds.TEXT and column.distinct >= 10 else 0.0)


def _reference(table: TableProfile, parent: Parent, match: Match) -> Reference:
    sure = 0.62 + 0.3 * match.naming + 0.1 * (match.held - TUPLES) / (1 - TUPLES)
    chance = min(0.98, sure - (0.1 if match.number < 10 else 0))
    evidence = (
        f"{match.held:.1%} of its {match.number:,} combinations are in {parent.table.name} ({', '.join(parent.key)})",
        "their names agree" if match.naming >= 0.8 else "their names agree in part",
    )
    return Reference(table.name, match.columns, parent.table.name, parent.key, chance, evidence)


def _without_implied(references: list[Reference]) -> list[Reference]:
    """(province, country) → province says nothing where (city, province, country) → city is known."""
    result = []
    for reference in references:
        inside = set(reference.columns)
        wider = [
            r
            for r in references
            if r.table == reference.table
            and inside < set(r.columns)
            and any(n.table == r.ref_table and n.ref_table == reference.ref_table for n in references)
        ]
        if not wider:
            result.append(reference)
    return result
