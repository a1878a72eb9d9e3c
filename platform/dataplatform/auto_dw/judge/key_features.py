"""What speaks for and against a set of columns as its table's key, each as a number: of names, types, values, place.

References are a second round's evidence: what other columns refer to is a key, what refers itself is seldom one alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dataplatform.auto_dw.judge.candidate_keys import KeySet, Named, collisions
from dataplatform.auto_dw.judge.concept_groups import OF_KEYS
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, SchemaProfile, TableProfile
from dataplatform.auto_dw.look.sketches import bounds, comparable, containment, dense
from dataplatform.auto_dw.names.lexicon import AUDIT, CALENDAR, LINKS, MEASURES, NAMING, NO_REFERENCE
from dataplatform.auto_dw.names.vocabulary import concepts_of
from dataplatform.auto_dw.names.words import points_to, table_words, words

FEW = 8  # neighbouring columns of a schema that tell in which order they are
ORDERED = 0.9  # share of them that is in the alphabet's order
POINTS, HELD = 0.7, 0.95  # how far a name points to a table; share of values that lie in a column
VAGUE = (("id",), ("name",), ("title",), ("number",))  # names of which two columns need not mean the same
PLAIN_ID = frozenset([("id",), ("pk",), ("uuid",), ("guid",), ("rowid",), ("key",), ("code",)])


@dataclass(frozen=True)
class Habits:
    """How a schema is written: of how many tables columns are called so, and first columns."""

    called: Mapping[str, int]
    first: Mapping[str, int]
    tables: int


def alphabetical(schema: SchemaProfile) -> bool:
    """Whether columns stand in the alphabet's order, as JSON often has them: then their places say nothing."""
    pairs = [p for t in schema.tables.values() for p in pairwise(c.name.lower() for c in t.columns)]
    return len(pairs) >= FEW and sum(left <= right for left, right in pairs) >= ORDERED * len(pairs)


def habits(schema: SchemaProfile) -> Habits:
    tables = schema.tables.values()
    called = Counter(name for t in tables for name in {c.called for c in t.columns})
    first = Counter(t.columns[0].called for t in tables if t.columns)
    return Habits(called, first, len(tables))


def votes(schema: SchemaProfile, table: TableProfile, sets: Sequence[KeySet]) -> dict[str, tuple[int, int]]:
    """Of each column that identifies rows alone: how many columns elsewhere lie in it that are called like it, and how
    many that are called like the table. Where there is only one such column there is no choice."""
    singles = [table.by_name[s.columns[0]] for s in sets if len(s.columns) == 1]
    if len(singles) < 2:
        return {}
    others = [c for o in schema.tables.values() if o.name != table.name for c in o.columns if c.filled]
    named = [c for c in others if points_to(c.called, table.called) >= POINTS]
    return {
        column.name: (
            sum(
                _holds(column, c)
                for c in others
                if c.called == column.called and words(c.called) not in VAGUE
            ),
            sum(_holds(column, c) for c in named),
        )
        for column in singles
    }


def _holds(column: ColumnProfile, other: ColumnProfile) -> bool:
    return comparable(other, column) and containment(other, column) >= HELD


def key_features(
    table: TableProfile,
    chosen: KeySet,
    sets: Sequence[KeySet],
    names: Mapping[str, Named],
    custom: Habits,
    voted: Mapping[str, tuple[int, int]],
) -> dict[str, float]:
    """All by name; about 0 to 1, logarithms and counts beside them."""
    columns = [table.by_name[name] for name in chosen.columns]
    said = [names[name] for name in chosen.columns]
    return {
        **_of_the_set(table, chosen, sets, columns),
        **_of_its_names(table, columns, said, custom),
        **_of_its_values(table, columns),
        **_of_the_votes(chosen, voted),
    }


def _of_the_votes(chosen: KeySet, voted: Mapping[str, tuple[int, int]]) -> dict[str, float]:
    """Votes for it, if it is one column, and those for its rivals."""
    alike, pointing = voted.get(chosen.columns[0], (0, 0)) if len(chosen.columns) == 1 else (0, 0)
    rivals = [sum(v) for name, v in voted.items() if (name,) != chosen.columns]
    return {
        "votes_alike": math.log1p(alike),
        "votes_pointing": math.log1p(pointing),
        "votes_against": math.log1p(max(rivals, default=0)),
    }


def _of_the_set(
    table: TableProfile, chosen: KeySet, sets: Sequence[KeySet], columns: Sequence[ColumnProfile]
) -> dict[str, float]:
    places = sorted(c.position for c in columns)
    mine = set(chosen.columns)
    inside = [s.columns for s in sets if len(s.columns) > 1 and set(s.columns) < mine]
    return {
        "size": float(len(columns)),
        "smallest": float(chosen.smallest),
        "first": float(places[0]),
        "last": float(places[-1]),
        "in_front": float(places == list(range(len(places)))),
        "gaps": float(places[-1] - places[0] + 1 - len(places)),
        "share_of_table": len(columns) / len(table.columns),
        "whole_table": float(len(columns) == len(table.columns)),
        "columns": math.log1p(len(table.columns)),
        "rows": math.log1p(table.rows),
        "sets": math.log1p(len(sets)),
        "singles": math.log1p(sum(len(s.columns) == 1 for s in sets)),
        "smaller_inside": float(sum(set(s.columns) < mine for s in sets)),
        "no_accident_inside": max((_collisions(table, i) for i in inside), default=-9.0),
        "single_inside": float(any(len(s.columns) == 1 and set(s.columns) < mine for s in sets)),
    }


def _of_its_names(
    table: TableProfile, columns: Sequence[ColumnProfile], said: Sequence[Named], custom: Habits
) -> dict[str, float]:
    found = [set(words(c.called)) for c in columns]
    meant = [concepts_of(c.called) for c in columns]
    n = len(columns)
    identifies = [s.identifies for s in said]
    last = [words(c.called)[-1:] for c in columns]
    return {
        "plain_id": float(any(words(c.called) in PLAIN_ID for c in columns)),
        "is_id": float(n == 1 and words(columns[0].called) == ("id",)),
        "identifies": sum(identifies) / n,
        "own": max(s.own for s in said),
        "own_id": max(s.own * s.identifies for s in said),
        "own_first": said[0].own,
        "other": max(s.other for s in said),
        "other_least": min(s.other for s in said),
        "others": float(sum(s.other >= 0.7 for s in said)),
        "part_least": min(max(s.identifies, s.other) for s in said),
        "naming_words": sum(bool(f & NAMING) for f in found) / n,
        "measure_words": sum(bool(f & MEASURES) for f in found) / n,
        "plain_words": sum(bool(f & NO_REFERENCE) for f in found) / n,
        "calendar_words": sum(bool(f & CALENDAR) for f in found) / n,
        "audit_words": sum(bool(f & AUDIT) for f in found) / n,
        "id_last": float(any(w == ("id",) for w in last)),
        "guid": float(any(f & {"uuid", "guid", "oid", "hash", "token"} for f in found)),
        "called_elsewhere": sum(custom.called[c.called] - 1 for c in columns) / n / custom.tables,
        "first_elsewhere": custom.first.get(columns[0].called, 0) / custom.tables,
        "schema_has_id": custom.first.get("id", 0) / custom.tables,
        "link_name": float(not LINKS.isdisjoint(table_words(table.called))),
        "table_words": float(len(table_words(table.called))),
        **{f"says_{c}": sum(c in m for m in meant) / n for c in OF_KEYS},
        "longest_name": max(len(c.name) for c in columns) / 30,
    }


def _of_its_values(table: TableProfile, columns: Sequence[ColumnProfile]) -> dict[str, float]:
    n = len(columns)
    kind = Counter(c.kind for c in columns)
    first = columns[0]
    low = bounds(first) if first.kind in kinds.NUMERIC else None
    others = [c for c in table.columns if c not in columns]
    return {
        "integers": (kind[kinds.INTEGER] + kind[kinds.NUMBER]) / n,
        "texts": kind[kinds.TEXT] / n,
        "uuids": kind[kinds.UUID] / n,
        "moments": (kind[kinds.DATE] + kind[kinds.TIME]) / n,
        "numbers": kind[kinds.NUMBER] / n,
        "binaries": kind[kinds.BINARY] / n,
        "length": max(c.average_length for c in columns) / 20,
        "longest": math.log1p(max(c.max_length for c in columns)),
        "fixed_length": float(all(c.max_length - c.average_length < 0.01 for c in columns)),
        "dense": float(n == 1 and dense(first)),
        "from_one": float(low is not None and low[0] in (0, 1)),
        "collisions": _collisions(table, [c.name for c in columns]),
        "distinct_least": min(c.distinct_share for c in columns),
        "distinct_most": max(c.distinct_share for c in columns),
        "constant": float(sum(c.distinct == 1 for c in columns)),
        "unique_parts": float(sum(c.unique for c in columns)),
        "sentences": max(c.shapes.get("sentence", 0.0) for c in columns),
        "hashes": max(c.shapes.get("hex", 0.0) + c.shapes.get("uuid", 0.0) for c in columns),
        "integers_elsewhere": float(sum(c.kind == kinds.INTEGER and c.unique for c in others)),
        "other_columns": math.log1p(len(others)),
    }


def _collisions(table: TableProfile, columns: Sequence[str]) -> float:
    """Logarithm of the pairs of rows that would be alike by chance: that none are is then no accident."""
    return max(-3.0, min(6.0, math.log10(collisions(table, columns) + 1e-9)))
