"""Primary and alternate keys from the data and the names, composite ones included."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, SchemaProfile, Sketch, TableProfile
from dataplatform.auto_dw.look.sketches import comparable, containment, dense, mixed
from dataplatform.auto_dw.names.lexicon import MEASURES, NAMING
from dataplatform.auto_dw.names.words import points_to, says_id, words

MOST_COLUMNS = 12  # of a composite key's candidates
LARGEST = 5  # columns of a composite key
GLANCE = 5_000  # rows that are looked at before all are
MANY = 500  # rows from which on it tells something that no two are alike
TELLING = 10.0  # pairs that would be alike by chance: having none is no accident
Rows = Callable[[TableProfile, Sequence[str]], Sketch]


@dataclass(frozen=True)
class Key:
    """A key and how good it is: `score` is a logit, not yet a confidence."""

    columns: tuple[str, ...]
    score: float
    evidence: tuple[str, ...]


def keys(schema: SchemaProfile, table: TableProfile, rows: Rows) -> list[Key]:
    """Candidates, the best first; empty where nothing identifies a row."""
    if table.primary_key:
        return [Key(table.primary_key, 9.0, ("declared as the primary key",))]
    singles = [_single(schema, table, c) for c in table.columns if _may_be_key(table, c)]
    singles = _voted(schema, table, singles)
    composite = _composite(schema, table, singles, rows)
    return sorted([*singles, *composite], key=lambda k: (-k.score, len(k.columns)))


def _voted(schema: SchemaProfile, table: TableProfile, singles: list[Key]) -> list[Key]:
    """Of several unique columns the one that other tables' columns, named like this table or like it, point to."""
    if len(singles) < 2:
        return singles
    others = [c for o in schema.tables.values() if o.name != table.name for c in o.columns if c.filled]
    named = [c for c in others if points_to(c.called, table.called) >= 0.8]
    result = []
    for key in singles:
        column = table.by_name[key.columns[0]]
        same = [c for c in others if c.called == column.called and _tells(column) and c not in named]
        votes = sum(comparable(v, column) and containment(v, column) >= 0.95 for v in [*named, *same])
        why = (*key.evidence, f"{votes} columns elsewhere hold its values") if votes else key.evidence
        result.append(Key(key.columns, key.score + 0.5 * min(votes, 4), why))
    return result


def _tells(column: ColumnProfile) -> bool:
    """Whether another column of the same name is likely to mean the same: not `id`, `name` or `number`."""
    return column.kind in (kinds.TEXT, kinds.UUID) and words(column.called) not in (
        ("id",),
        ("name",),
        ("title",),
    )


def _may_be_key(table: TableProfile, column: ColumnProfile) -> bool:
    if not column.can_identify:
        return False
    return column.unique or (table.rows == 0 and column.kind in (kinds.INTEGER, kinds.TEXT, kinds.UUID))


def refers(schema: SchemaProfile, table: TableProfile, column: ColumnProfile) -> float:
    """How far a column's name names another table; less where it names its own as well."""
    own = points_to(column.called, table.called)
    others = [
        points_to(column.called, other.called) for other in schema.tables.values() if other.name != table.name
    ]
    best = max(others, default=0.0)
    return best if best > own + 0.1 or best >= 0.97 > own else 0.0


def _single(schema: SchemaProfile, table: TableProfile, column: ColumnProfile) -> Key:
    score, why = _name_score(schema, table, column)
    why = ["every row has another value" if table.rows else "the table is empty: judged by names", *why]
    score += (1.2, 0.4)[column.position] if column.position < 2 else -0.1 * min(column.position, 10)
    if column.position == 0:
        why.append("it is the first column")
    if column.kind == kinds.INTEGER:
        score += 0.5
        if dense(column) and table.rows > 3:
            score += 0.6
            why.append("its values count up without gaps")
    elif column.kind == kinds.UUID:
        score += 0.9
    elif column.kind == kinds.TEXT:
        score += 0.3 if column.max_length <= 40 else -1.2
    elif column.kind in (kinds.DATE, kinds.TIME):
        score -= 1.2
    elif column.kind == kinds.NUMBER:
        score -= 1.5
    if 0 < table.rows < 10:
        score -= 0.5  # few rows are unique by chance
    return Key((column.name,), score, tuple(why))


def _name_score(schema: SchemaProfile, table: TableProfile, column: ColumnProfile) -> tuple[float, list[str]]:
    own = points_to(column.called, table.called)
    other = refers(schema, table, column)
    parts = words(column.called)
    if parts in (("id",), ("pk",), ("uuid",), ("guid",), ("rowid",)):
        return 3.3, [f"it is called {column.name}"]
    if says_id(column.called) and own >= 0.5 and not other > own:
        return 1.2 + 1.6 * own, ["its name is the table's with an identifier's ending"]
    if other >= 0.75:
        return -1.2, ["its name is that of another table"]
    if own >= 0.7:
        return 1.4, ["it is called like the table"]
    if says_id(column.called):
        return 1.0, ["its name ends like an identifier's"]
    if not NAMING.isdisjoint(parts):
        return 0.6, []
    return (-1.0 if not MEASURES.isdisjoint(parts) else -0.3), []


def _composite(schema: SchemaProfile, table: TableProfile, singles: list[Key], rows: Rows) -> list[Key]:
    best = max((k.score for k in singles), default=-9.0)
    if best >= 2.4:
        return []
    possible = [
        c for c in table.columns if c.can_identify and c.nulls == 0 and (c.distinct > 1 or table.rows <= 1)
    ]
    worth = {c.name: _part_score(schema, table, c) for c in possible}
    likely = sorted(possible, key=lambda c: -worth[c.name])[:MOST_COLUMNS]
    run = [c.name for c in _run(schema, table, possible)]
    usable = [c for c in possible if c in likely]
    ahead = [c for n, c in enumerate(possible) if c in likely or n < len(run) + 2]
    if table.rows == 0 or len(usable) < 2:
        return [_run_key(run)] if len(run) > 1 and not table.rows else []
    values = rows(table, [c.name for c in ahead])
    at = {c.name: n for n, c in enumerate(ahead)}

    def unique(names: Sequence[str]) -> bool:
        return _may_be_unique(table, names) and _unique(values[:, [at[n] for n in names]])

    alone = {k.columns[0] for k in singles}
    found = _from_run(schema, table, run, possible, unique)
    names = [c.name for c in usable if c.name not in alone]
    scored = [_scored(table, chosen, worth) for chosen in _minimal(names, unique)]
    return [*found, *(_held_elsewhere(schema, table, key) for key in scored)]


def _held_elsewhere(schema: SchemaProfile, table: TableProfile, key: Key) -> Key:
    """Better for every table that has columns of the same names: they may refer to it."""
    called = {table.by_name[name].called for name in key.columns}
    others = (t for t in schema.tables.values() if t.name != table.name)
    votes = sum(called <= {c.called for c in other.columns} for other in others)
    return Key(key.columns, key.score + 0.1 * min(votes, 4), key.evidence)


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


def _may_be_unique(table: TableProfile, names: Sequence[str]) -> bool:
    """Whether there are as many combinations of the columns' values as rows."""
    return math.prod(table.by_name[name].distinct for name in names) >= table.by_name[names[0]].rows


def collisions(table: TableProfile, names: Sequence[str]) -> float:
    """How many pairs of rows would share their values if the columns had nothing to do with each other.

    Rows over 2 times rows over combinations: the birthday problem. Far below 1, no pair says nothing.
    """
    rows = table.by_name[names[0]].rows
    return rows * (rows - 1) / 2 / max(1, math.prod(table.by_name[name].distinct for name in names))


def _run(schema: SchemaProfile, table: TableProfile, usable: Sequence[ColumnProfile]) -> list[ColumnProfile]:
    """The columns at the table's beginning that name other tables: what it is a part or a link of."""
    result = []
    for place, column in enumerate(usable):
        if column.position != place or not (
            refers(schema, table, column) >= 0.7
            or (says_id(column.called) and words(column.called) != ("id",))
        ):
            break
        result.append(column)
    return result


def _from_run(
    schema: SchemaProfile,
    table: TableProfile,
    run: list[str],
    usable: Sequence[ColumnProfile],
    unique: Callable[[Sequence[str]], bool],
) -> list[Key]:
    """The run, lengthened by at most two columns until it identifies a row."""
    if len(run) == 1 and unique(run):
        return []  # one to one with what it names
    for more in range(3):
        chosen = [*run, *[c.name for c in usable[len(run) : len(run) + more]]]
        if run and 1 < len(chosen) <= LARGEST + 1 and unique(chosen):
            own = any(refers(schema, table, table.by_name[part]) < 0.7 for part in chosen)
            return [_run_key(_shortened(table, chosen, unique) if own else chosen, more)]
    return []


def _shortened(
    table: TableProfile, chosen: Sequence[str], unique: Callable[[Sequence[str]], bool]
) -> list[str]:
    """Without what it does not need, where no pair of rows being alike is no accident."""
    left = list(chosen)
    for name in reversed(chosen[:-1]):
        rest = [other for other in left if other != name]
        if len(rest) > 1 and collisions(table, rest) >= TELLING and unique(rest):
            left = rest
    return left


def _run_key(chosen: Sequence[str], more: int = 0) -> Key:
    text = f"it begins with {', '.join(chosen)}, which name other tables and together identify a row"
    score = 2.0 + 0.3 * (len(chosen) - 2) - 0.5 * more
    return Key(tuple(chosen), score, (text,))


def _telling(table: TableProfile, chosen: Sequence[str]) -> float:
    """Less where so many rows could be alike only by accident: that none are says nothing then."""
    if table.by_name[chosen[0]].rows < MANY:
        return 0.0
    return max(-1.0, min(0.0, 0.4 * math.log10(collisions(table, chosen) or 1e-9)))


def _unique(values: Sketch) -> bool:
    """Whether rows are distinct; a mixed hash decides, 64 bits are enough for a sample."""
    if len(values) > 4 * GLANCE and not _unique(values[:GLANCE]):
        return False
    return len(np.unique(mixed(values))) == len(values)


def _part_score(schema: SchemaProfile, table: TableProfile, column: ColumnProfile) -> float:
    """How well a column serves as a part of a composite key."""
    score = 0.0
    if says_id(column.called):
        score += 1.0
    if refers(schema, table, column) >= 0.7:
        score += 1.0
    if points_to(column.called, table.called) >= 0.7:
        score += 0.6
    if not NAMING.isdisjoint(words(column.called)):
        score += 0.5
    if not MEASURES.isdisjoint(words(column.called)):
        score -= 1.0
    if column.kind == kinds.TEXT and column.max_length > 60:
        score -= 0.5
    if column.kind == kinds.TIME:
        score -= 0.5
    return score - 0.12 * min(column.position, 6)


def _scored(table: TableProfile, chosen: Sequence[str], worth: dict[str, float]) -> Key:
    score = sum(worth[name] for name in chosen) / len(chosen) + 0.2 - 0.25 * (len(chosen) - 2)
    positions = sorted(table.by_name[name].position for name in chosen)
    if positions == list(range(len(positions))):
        score += 0.7
    score += _telling(table, chosen)
    return Key(tuple(chosen), score, (f"{', '.join(chosen)} together are different in every row",))
