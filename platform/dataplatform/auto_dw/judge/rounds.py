"""What is weighed, and the features of each, as matrices: keys first, then references, which see the keys' chances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dataplatform.auto_dw.judge.candidate_keys import KeySet, Rows, key_sets, named
from dataplatform.auto_dw.judge.candidate_references import Chances, Pair, Probe, candidates
from dataplatform.auto_dw.judge.forest import Matrix
from dataplatform.auto_dw.judge.key_features import habits, key_features, votes
from dataplatform.auto_dw.judge.learned import Groups
from dataplatform.auto_dw.judge.nearness import NEARNESS, nearness
from dataplatform.auto_dw.judge.reference_features import around, of_column, pair_features
from dataplatform.auto_dw.look.profiles import SchemaProfile


@dataclass(frozen=True)
class Keys:
    """All sets of columns that may be keys, table by table, their features, and the number of their table."""

    places: Sequence[tuple[str, KeySet]]
    features: Matrix
    names: Sequence[str]
    groups: Groups

    def chances(self, said: Matrix) -> dict[str, dict[tuple[str, ...], float]]:
        """By table and columns."""
        found: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
        for (table, key), chance in zip(self.places, said, strict=True):
            found[table][key.columns] = float(chance)
        return found


@dataclass(frozen=True)
class References:
    """All pairs of a column and a key, column by column, their features, and the number of their column."""

    pairs: Sequence[Pair]
    features: Matrix
    names: Sequence[str]
    groups: Groups


def weigh_keys(schema: SchemaProfile, rows: Rows) -> Keys:
    """Tables in which nothing identifies a row have no set."""
    custom = habits(schema)
    places: list[tuple[str, KeySet]] = []
    found: list[dict[str, float]] = []
    groups: list[int] = []
    for number, (name, table) in enumerate(schema.tables.items()):
        names = named(schema, table)
        sets = key_sets(table, names, rows)
        places += [(name, key) for key in sets]
        voted = votes(schema, table, sets)
        found += [key_features(table, key, sets, names, custom, voted) for key in sets]
        groups += [number] * len(sets)
    return Keys(places, matrix(found), names_of(found), np.array(groups, np.int64))


def weigh_references(schema: SchemaProfile, chances: Chances, probe: Probe) -> References:
    """All pairs, given the keys' chances."""
    possible = candidates(schema, chances, probe)
    custom = around(schema, chances, possible)
    pairs: list[Pair] = []
    found: list[dict[str, float]] = []
    groups: list[int] = []
    for number, own in enumerate(possible.values()):
        told = of_column(own, chances, custom)
        pairs += own
        near = [dict(zip(NEARNESS, map(float, row), strict=True)) for row in nearness(own)]
        found += [{**pair_features(pair, told), **place} for pair, place in zip(own, near, strict=True)]
        groups += [number] * len(own)
    return References(pairs, matrix(found), names_of(found), np.array(groups, np.int64))


def parts(chances: Chances) -> dict[tuple[str, str], float]:
    """Of each column (table, column) the chance that it is (a part of) its table's key."""
    found: dict[tuple[str, str], float] = defaultdict(float)
    for table, keys in chances.items():
        for key, chance in keys.items():
            for column in key:
                found[table, column] += chance
    return found


def matrix(found: Sequence[Mapping[str, float]]) -> Matrix:
    """Features by name → rows; all have the same names."""
    return np.array([[*f.values()] for f in found], np.float64) if found else np.empty((0, 0))


def names_of(found: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
    """Their names, in the order of the columns."""
    return tuple(found[0]) if found else ()
