"""What speaks for and against a column's reference to a key, each as a number: of names, types, values, place."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dataplatform.auto_dw.judge.candidate_references import Chances, Pair
from dataplatform.auto_dw.judge.concept_groups import OF_REFERENCES
from dataplatform.auto_dw.judge.naming import by_key_name, ends_alike, family, points_back, shared_letters
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, SchemaProfile, TableProfile
from dataplatform.auto_dw.look.sketches import bounds, dense
from dataplatform.auto_dw.names.lexicon import (
    AUDIT,
    CALENDAR,
    LOOKUPS,
    MEASURES,
    NAMING,
    NO_REFERENCE,
    PEOPLE,
    ROLES,
)
from dataplatform.auto_dw.names.vocabulary import concepts_of, head_concepts, thing_concepts
from dataplatform.auto_dw.names.words import points_to, says_id, stem, table_words, words


@dataclass(frozen=True)
class Around:
    """How a schema is written: of how many columns a name is, of how many tables the likely key is called plainly id.

    `identified`: share of the columns that end like an identifier and are no likely key which a table's name explains.
    """

    called: Mapping[str, int]
    plain_keys: float
    identified: float


@dataclass(frozen=True)
class Of:
    """What is told of a column once, for all keys it may refer to."""

    pairs: Sequence[Pair]
    best: float  # naming
    second: float
    rivals: int  # keys that have all its values
    own: float  # chance of being its own table's key
    part: float  # chance of being a part of it
    features: Mapping[str, float]


def around(
    schema: SchemaProfile, chances: Chances, found: Mapping[tuple[str, str], Sequence[Pair]]
) -> Around:
    called = Counter(c.called for t in schema.tables.values() for c in t.columns)
    plain = sum(
        chance
        for keys in chances.values()
        for key, chance in keys.items()
        if len(key) == 1 and words(key[0]) in (("id",), ("uuid",), ("pk",))
    )
    identifiers = [
        max((p.naming for p in pairs if p.held >= 0.99 or p.empty), default=0.0) >= 0.8
        for pairs in found.values()
        for table, column in [(pairs[0].table, pairs[0].column)]
        if says_id(column.called) and chances.get(table.name, {}).get((column.name,), 0.0) < 0.5
    ]
    named = sum(identifiers) / len(identifiers) if identifiers else -1.0
    return Around(called, plain / max(1, len(schema.tables)), named)


def of_column(pairs: Sequence[Pair], chances: Chances, schema: Around) -> Of:
    table, column = pairs[0].table, pairs[0].column
    best, second = [*sorted((p.naming for p in pairs), reverse=True), 0.0, 0.0][:2]
    rivals = sum(p.held >= 0.999 for p in pairs)
    mine = chances.get(table.name, {})
    own = mine.get((column.name,), 0.0)
    part = sum(chance for key, chance in mine.items() if len(key) > 1 and column.name in key)
    told = {**_of_its_name(column, schema), **_of_its_values(table, column), "own": own, "part": part}
    told |= {"best": best, "rivals": math.log1p(rivals), "keys": math.log1p(len(pairs))}
    return Of(pairs, best, second, rivals, own, part, told)


def _of_its_name(column: ColumnProfile, schema: Around) -> dict[str, float]:
    found = words(column.called)
    parts = set(found)
    meant = concepts_of(column.called)
    head = head_concepts(column.called)
    return {
        **{f"says_{c}": float(c in meant) + float(c in head) for c in OF_REFERENCES},
        "identifies": float(says_id(column.called)),
        "is_id": float(found == ("id",)),
        "words": float(len(found)),
        "plain_word": float(not parts.isdisjoint(NO_REFERENCE)),
        "measure_word": float(not parts.isdisjoint(MEASURES)),
        "calendar_word": float(not parts.isdisjoint(CALENDAR)),
        "audit_word": float(not parts.isdisjoint(AUDIT)),
        "naming_word": float(not parts.isdisjoint(NAMING)),
        "lookup_word": float(not parts.isdisjoint(LOOKUPS)),
        "role_word": float(not parts.isdisjoint(ROLES)),
        "called_elsewhere": math.log1p(schema.called[column.called] - 1),
        "plain_keys": schema.plain_keys,
        "identified": schema.identified,
    }


def _of_its_values(table: TableProfile, column: ColumnProfile) -> dict[str, float]:
    return {
        "position": float(column.position),
        "columns": math.log1p(len(table.columns)),
        "rows": math.log1p(table.rows),
        "distinct": math.log1p(column.distinct),
        "distinct_share": column.distinct_share,
        "unique": float(column.unique),
        "nulls": column.nulls / table.rows if table.rows else 0.0,
        "filled": float(column.filled > 0),
        "text": float(column.kind == kinds.TEXT),
        "integer": float(column.kind == kinds.INTEGER),
        "uuid": float(column.kind == kinds.UUID),
        "length": column.average_length,
        "dense": float(dense(column)),
    }


def pair_features(pair: Pair, of: Of) -> dict[str, float]:
    """All by name."""
    return {**of.features, **_of_names(pair, of), **_of_the_values(pair, of), **_of_the_key(pair, of)}


def _of_names(pair: Pair, of: Of) -> dict[str, float]:
    column, key, parent = pair.column, pair.key, pair.parent
    same = column.called == key.called
    by_table = points_to(column.called, parent.called)
    mine = points_to(column.called, pair.table.called)
    return {
        "naming": pair.naming,
        "by_table": by_table,
        "letters": shared_letters(column.called, parent.called),
        "letters_back": shared_letters(parent.called, column.called),
        "ends_alike": ends_alike(column.called, parent.called),
        "by_key": by_key_name(column.called, key.called),
        "same_name": float(same),
        "same_id": float(same and says_id(key.called) and len(words(key.called)) > 1),
        "behind_best": of.best - pair.naming,
        "ahead": pair.naming - of.second if pair.naming == of.best else 0.0,
        "place": float(sum(p.naming > pair.naming for p in of.pairs)),
        "as_well_named": float(sum(p.naming == pair.naming for p in of.pairs)),
        "names_own_table": mine,
        "names_it_more": by_table - mine,
        "family": family(pair.table, parent),
        "concepts": _shared(things_of(column.called), things_of(parent.called)),
        "to_itself": float(pair.own_table),
        "points_back": float(pair.own_table and points_back(column, parent)),
        "person": float(not PEOPLE.isdisjoint(table_words(parent.called))),
        "parent_words": float(len(table_words(parent.called))),
        "words_over": float(len(stem(column.called)) - len(table_words(parent.called))),
        "parent_lookup": float(not LOOKUPS.isdisjoint(table_words(parent.called))),
    }


def things_of(name: str) -> frozenset[str]:
    return concepts_of(name) & thing_concepts()


def _shared(left: frozenset[str], right: frozenset[str]) -> float:
    """1 where all that a name is about is what the other is about; -1 where one of them says nothing."""
    return len(left & right) / len(left | right) if left and right else -1.0


def _of_the_values(pair: Pair, of: Of) -> dict[str, float]:
    column, key = pair.column, pair.key
    span, there = bounds(column), bounds(key)
    reach = 0.0
    if span and there and there[1] > there[0]:
        reach = max(-1.0, min(2.0, (span[1] - there[0]) / (there[1] - there[0])))
    return {
        "held": pair.held if not pair.empty else -1.0,
        "orphans": column.distinct * (1 - pair.held) if not pair.empty else 0.0,
        "whole": float(pair.held >= 0.999 and column.filled > 0),
        "only_one_whole": float(of.rivals == 1 and pair.held >= 0.999),
        "empty": float(pair.empty),
        "parent_empty": float(not pair.parent.rows),
        "coverage": min(2.0, column.distinct / key.distinct) if key.distinct else 0.0,
        "reach": reach,
        "same_low": float(span is not None and there is not None and span[0] == there[0]),
        "below": float(span is not None and there is not None and span[0] < there[0]),
        "surprise": surprise(pair),
        "key_dense": float(dense(key)),
        "key_distinct": math.log1p(key.distinct),
        "rows_ratio": math.log1p(pair.table.rows) - math.log1p(pair.parent.rows),
        "same_type": float(column.type == key.type),
        "same_kind": float(column.kind == key.kind),
        "length_gap": 0.0 if pair.empty else abs(column.average_length - key.average_length),
    }


def _of_the_key(pair: Pair, of: Of) -> dict[str, float]:
    parent, key, target = pair.parent, pair.key, pair.target
    return {
        "key_chance": target.chance,
        "key_number": float(target.number),
        "key_says_id": float(says_id(key.called)),
        "key_owner": owns(parent, key),
        "key_position": float(key.position),
        "parent_columns": math.log1p(len(parent.columns)),
        "own_of_smaller": of.own * float(pair.table.rows <= parent.rows),
        "likely": pair.naming * owns(parent, key) * float(pair.held >= 0.999 or pair.empty) * target.chance,
    }


def owns(parent: TableProfile, key: ColumnProfile) -> float:
    """How far the key is the parent's own: called id, or like its table."""
    if len(words(key.called)) == 1 and says_id(key.called):
        return 1.0
    return max(points_to(key.called, parent.called), 0.9 * (not says_id(key.called)))


def surprise(pair: Pair) -> float:
    """How unlikely the inclusion is by chance: small numbers lie within any counter."""
    column, key = pair.column, pair.key
    if pair.held < 0.75 or not column.filled:
        return 0.0
    weight = min(1.0, math.log1p(column.distinct) / 5)
    if column.kind not in kinds.NUMERIC:
        return weight * (1.0 if column.average_length >= 3 else 0.5)
    there = bounds(key)
    if there is None or bounds(column) is None:
        return 0.0
    share = key.distinct / max(1, there[1] - there[0] + 1)
    return weight * (1 - min(1.0, share)) if not dense(key) else 0.1 * weight
