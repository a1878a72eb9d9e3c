"""Foreign keys of several columns: tuples of one table among the key tuples of another."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import islice, product

import numpy as np

from dataplatform.auto_dw import model as m
from dataplatform.auto_dw.model import ColumnProfile, Reference, SchemaProfile, Sketch, TableProfile
from dataplatform.auto_dw.references import Probe
from dataplatform.auto_dw.sketches import comparable, containment, mixed, telling
from dataplatform.auto_dw.words import points_to

LEAST = 0.9  # of each column's values
TUPLES = 0.95  # of the tuples
MOST = 60  # ways to assign columns that are tried for a pair of tables
MOST_PROBES = 3  # ways that are looked up in a parent of which only a sample is at hand
LARGEST = 4
TOLD = 50  # pairs of a link that tell something
WHOLE = 0.99  # of them must be the link's
RARE = 0.2  # share of all pairs that a link has at most, for it to be no accident
Rows = Callable[[TableProfile, Sequence[str]], Sketch]


def composite_references(
    schema: SchemaProfile,
    keys: Mapping[str, Sequence[tuple[str, ...]]],
    single: Sequence[Reference],
    rows: Rows,
    probe: Probe = lambda *_: None,
) -> list[Reference]:
    """References to the composite primary keys of a schema, of each pair of tables the best."""
    cache: dict[tuple[str, tuple[str, ...]], Sketch] = {}

    def tuples(table: TableProfile, columns: tuple[str, ...]) -> Sketch:
        found = cache.get((table.name, columns))
        if found is None:
            found = cache[table.name, columns] = _tuples(rows(table, columns))
        return found

    parents = {(r.table, r.columns[0]): r.ref_table for r in single if len(r.columns) == 1}
    result = []
    for parent_name, found in keys.items():
        key = found[0] if found else ()
        parent = schema.tables[parent_name]
        if not 1 < len(key) <= LARGEST or parent.rows < 2 or not _is_thing(parent, key, parents):
            continue
        for table in schema.tables.values():
            if table.name == parent.name:
                continue  # tuples of a table are among its own: says nothing
            best = _best(table, parent, key, parents, tuples, probe)
            if best is not None:
                result.append(best)
    things = _without_implied(_without_links(result, keys, parents))
    return [*things, *_to_links(schema, keys, parents, tuples)]


def _to_links(
    schema: SchemaProfile, keys: Mapping[str, Sequence[tuple[str, ...]]], parents: Mapping[tuple[str, str], str],
    tuples: Callable[[TableProfile, tuple[str, ...]], Sketch],
) -> list[Reference]:  # fmt: skip
    """References to links, such as what a supplier supplies: both ends are the link's, and no pair is another's.

    Only where pairs would be others' too if the ends had nothing to do with each other.
    """
    result = []
    for name, found in keys.items():
        key, parent = found[0] if found else (), schema.tables[name]
        ends = [parents.get((name, part)) for part in key]
        if not 1 < len(key) <= LARGEST or not all(ends) or len(set(ends)) < len(ends) or not parent.exact:
            continue
        for table in schema.tables.values():
            chosen = [[c for c in table.columns if parents.get((table.name, c.name)) == end] for end in ends]
            own = set(keys[table.name][0]) if keys.get(table.name) else set()
            if table.name == name or any(len(columns) != 1 for columns in chosen):
                continue
            names = tuple(columns[0].name for columns in chosen)
            have = tuples(table, names)
            pairs = math.prod(columns[0].distinct for columns in chosen)
            if set(names) <= own or len(have) < TOLD or parent.rows > RARE * pairs:
                continue
            held = float(np.isin(have, tuples(parent, key)).mean())
            if held >= WHOLE:
                result.append(_reference(table, parent, names, key, held, 0.8, len(have)))
    return result


def _without_links(
    found: list[Reference],
    keys: Mapping[str, Sequence[tuple[str, ...]]],
    parents: Mapping[tuple[str, str], str],
) -> list[Reference]:
    """Only things are referred to: a table whose key consists of references alone is a link."""
    covered = {(r.table, column) for r in found for column in r.columns} | set(parents)
    links = {name for name, key in keys.items() if key and all((name, part) in covered for part in key[0])}
    return [r for r in found if r.ref_table not in links]


def _is_thing(parent: TableProfile, key: tuple[str, ...], parents: Mapping[tuple[str, str], str]) -> bool:
    """Whether the table's key has a part of its own: pure links are seldom referred to."""
    return any((parent.name, column) not in parents for column in key) and any(
        (parent.name, column) in parents or parent.by_name[column].kind in (m.TEXT, m.UUID, m.INTEGER)
        for column in key
    )


def _tuples(values: Sketch) -> Sketch:
    """One hash a row; rows with a null are left out."""
    return np.unique(mixed(values[(values != 0).all(axis=1)]))


def _best(
    table: TableProfile, parent: TableProfile, key: tuple[str, ...], parents: Mapping[tuple[str, str], str],
    tuples: Callable[[TableProfile, tuple[str, ...]], Sketch], probe: Probe,
) -> Reference | None:  # fmt: skip
    choices = [[c for c in table.columns if _may_be(c, parent, parent.by_name[part])] for part in key]
    if not all(choices):
        return None
    ranked = sorted(
        islice((p for p in product(*choices) if len({c.name for c in p}) == len(p)), 2_000),
        key=lambda p: -_naming(table, p, parent, key, parents),
    )
    best: tuple[float, float, tuple[str, ...], int] | None = None
    for chosen in ranked[: MOST if parent.exact else MOST_PROBES]:
        names = tuple(c.name for c in chosen)
        naming = _naming(table, chosen, parent, key, parents)
        if naming < 0.35 or (best is not None and naming < best[1] - 0.25):
            break
        held, number = _held(table, names, parent, key, tuples, probe)
        if held >= TUPLES and (best is None or held > best[0] + 0.001):
            best = held, naming, names, number
    if best is None:
        return None
    held, naming, names, number = best
    return _reference(table, parent, names, key, held, naming, number)


def _may_be(column: ColumnProfile, parent: TableProfile, part: ColumnProfile) -> bool:
    """Whether its values allow it; of a parent too large to be looked at whole its name must do."""
    if not column.filled or not comparable(column, part):
        return False
    unsure = not parent.exact or not telling(column, part)
    return containment(column, part) >= LEAST or (unsure and column.called == part.called)


def _held(
    table: TableProfile, names: tuple[str, ...], parent: TableProfile, key: tuple[str, ...],
    tuples: Callable[[TableProfile, tuple[str, ...]], Sketch], probe: Probe,
) -> tuple[float, int]:  # fmt: skip
    """Share of the tuples that the parent has, and how many there are."""
    have = tuples(table, names)
    if len(have) < 3:
        return 0.0, len(have)
    found = None if parent.exact else probe(table, names, parent, key)
    share = float(np.isin(have, tuples(parent, key)).mean()) if found is None else found
    return share, len(have)


def _naming(
    table: TableProfile, chosen: Sequence[ColumnProfile], parent: TableProfile, key: Sequence[str],
    parents: Mapping[tuple[str, str], str],
) -> float:  # fmt: skip
    """How far the names agree: shared parts by name or by what they refer to, the own part by the table's name."""
    total = 0.0
    for column, part in zip(chosen, key, strict=True):
        own = parent.by_name[part]
        shared = parents.get((parent.name, part))
        points = points_to(column.called, parent.called)
        if shared is not None:
            same = column.called == own.called or parents.get((table.name, column.name)) == shared
            same = same or (shared == table.name and column.unique)  # its own key stands for it
            total += 1.0 if same else 0.6 * points_to(column.called, shared)
            total += 0.2 * (column.called == own.called)
        elif points >= 0.7:
            total += 1.0
        elif column.called == own.called:
            total += 0.3
        else:
            total += 0.4 * points + (0.35 if column.kind == m.TEXT and column.distinct >= 10 else 0.0)
    return total / len(key)


def _reference(
    table: TableProfile, parent: TableProfile, names: tuple[str, ...], key: tuple[str, ...],
    held: float, naming: float, number: int,
) -> Reference:  # fmt: skip
    chance = min(
        0.98, 0.62 + 0.3 * naming + 0.1 * (held - TUPLES) / (1 - TUPLES) - (0.1 if number < 10 else 0)
    )
    evidence = (
        f"{held:.1%} of its {number:,} combinations are in {parent.name} ({', '.join(key)})",
        "their names agree" if naming >= 0.8 else "their names agree in part",
    )
    return Reference(table.name, names, parent.name, key, chance, evidence)


def _without_implied(found: list[Reference]) -> list[Reference]:
    """(province, country) → province says nothing where (city, province, country) → city is known."""
    result = []
    for reference in found:
        inside = set(reference.columns)
        wider = [
            r for r in found
            if r.table == reference.table and inside < set(r.columns)
            and any(n.table == r.ref_table and n.ref_table == reference.ref_table for n in found)
        ]  # fmt: skip
        if not wider:
            result.append(reference)
    return result
