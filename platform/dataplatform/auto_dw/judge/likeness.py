"""What speaks for and against a column's reference to a key: names, types, values, each as a number and in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, TableProfile
from dataplatform.auto_dw.look.sketches import bounds, dense
from dataplatform.auto_dw.names.lexicon import (
    LINKS,
    NO_REFERENCE,
    PEOPLE,
    ROLES,
    SELF,
    STAFF,
    STAFF_ROLES,
    SUPERIORS,
)
from dataplatform.auto_dw.names.words import (
    alike,
    names_table,
    points_to,
    same_number,
    says_id,
    stem,
    table_words,
    words,
)

LEAST = 0.9  # share of the distinct values that must be found: a few orphans are allowed
DIRTY = 0.75  # where names agree and values are codes that do not lie in each other by accident
SHORT, SOME = 12, 10  # letters of a code at most, and codes at least
GENERIC = (("id",), ("name",), ("title",), ("code",), ("key",), ("number",))  # they say nothing of the table


@dataclass(frozen=True)
class Pair:
    """A column and a key it may refer to.

    `number`: the key's place among its table's keys, 0 for the primary one. `held`: share of the column's distinct
    values that the key has. `primary`: the primary key of the column's table, () where it has none. `naming`: how far
    the column's name points to the key.
    """

    table: TableProfile
    column: ColumnProfile
    parent: TableProfile
    key: ColumnProfile
    number: int
    held: float
    primary: tuple[str, ...]
    naming: float

    @property
    def own_table(self) -> bool:
        return self.table.name == self.parent.name

    @property
    def empty(self) -> bool:
        return not self.column.filled or not self.parent.rows

    @property
    def numbers(self) -> bool:
        return self.column.kind in (kinds.INTEGER, kinds.NUMBER)


def naming(column: ColumnProfile, parent: TableProfile, key: ColumnProfile, same_table: bool) -> float:
    """How far the column's name points to the parent: by its table's name, or by its key's. `same_table`: its own."""
    if same_table:  # a table's own attributes carry its name: only a role such as `parent` points back to it
        return 0.9 if _points_back(column, parent) else 0.0
    by_table = points_to(column.called, parent.called)
    if not STAFF_ROLES.isdisjoint(stem(column.called)) and not STAFF.isdisjoint(table_words(parent.called)):
        by_table = max(by_table, 0.7)  # who sells, serves or supports is one of the staff
    return max(by_table, by_key_name(column.called, key.called))


def by_key_name(column: str, key: str) -> float:
    """How far a column is called like a key, whose name is not the one that any key has."""
    generic = len(words(key)) == 1 and says_id(key)
    same = 0.85 if column == key and words(key) not in GENERIC else 0.0
    if not says_id(key) or generic:
        return same
    return max(same, 0.8 * alike(stem(column), stem(key)) * same_number(column, key))


def family(table: TableProfile, parent: TableProfile) -> float:
    """How much two tables' names have in common; 0 for a table and itself."""
    if table.name == parent.name:
        return 0.0
    return alike(table_words(table.called), table_words(parent.called))


def features(pair: Pair, best: float, ahead: float, rivals: int) -> dict[str, float]:
    """All by name, each about 0 to 1.

    `best`: the best naming of the column's pairs; `ahead`: by how much this one is the best named; `rivals`: keys
    that have all of the column's values.
    """
    return {
        **_of_names(pair),
        **_of_values(pair),
        **_of_place(pair),
        "behind_best": best - pair.naming,
        "ahead": ahead,
        "rivals": min(1.0, math.log1p(max(0, rivals - 1)) / 3),
        "of_its_domain": _of_its_domain(pair, rivals),
    }


def _of_names(pair: Pair) -> dict[str, float]:
    column, key, parent = pair.column, pair.key, pair.parent
    same = column.called == key.called and words(key.called) not in (("id",), ("name",))
    identifies = says_id(column.called)
    parts = set(words(column.called))
    return {
        "naming": pair.naming,
        "naming_strong": float(pair.naming >= 0.8),
        "naming_none": float(pair.naming < 0.3),
        "same_name": float(same and says_id(key.called)),
        "same_attribute": float(same and not says_id(key.called)),
        "family": family(pair.table, parent),
        "says_id": float(identifies),
        "measure_word": float(not parts.isdisjoint(NO_REFERENCE) and not identifies),
        "number_without_name": float(pair.numbers and pair.naming < 0.5),
        "text_without_name": float(not pair.numbers and pair.naming < 0.5),
        "role_of_person": float(
            not ROLES.isdisjoint(parts) and not PEOPLE.isdisjoint(table_words(parent.called))
        ),
        "own_role": float(pair.own_table and _points_back(column, parent)),
    }


def _of_values(pair: Pair) -> dict[str, float]:
    column, key, held = pair.column, pair.key, pair.held
    return {
        "whole": float(held >= 0.999 and column.filled > 0),
        "orphans": 0.0 if pair.empty else min(1.0, 10 * (1 - held)),
        "empty": float(pair.empty),
        "coverage": min(1.0, column.distinct / key.distinct) if key.distinct else 0.0,
        "few_values": float(0 < column.distinct <= 2),
        "distinct": min(1.0, math.log1p(column.distinct) / 8),
        "surprising": surprise(pair),
        "numbers": float(pair.numbers),
        "starts_elsewhere": _starts_elsewhere(column, key) * float(pair.naming < 0.8),
    }


def _of_place(pair: Pair) -> dict[str, float]:
    """Of the keys: is the parent's its own, is the column one itself."""
    column, own = pair.column, pair.primary
    owner = _owns(pair.parent, pair.key)
    fits = float(pair.number == 0 and (pair.held >= 0.999 or pair.empty))
    by_table = points_to(column.called, pair.parent.called)
    mine = points_to(column.called, pair.table.called)
    is_own = own == (column.name,)
    return {
        "alternate": float(pair.number > 0),
        "to_itself": float(pair.own_table),
        "is_own_key": float(is_own),
        "in_own_key": float(len(own) > 1 and column.name in own),
        "parent_smaller": float(pair.parent.rows < pair.table.rows),
        "owner": owner,
        "plain_case": float(pair.naming >= 0.8 and owner >= 0.7) * fits,
        "likely_case": pair.naming * owner * fits,
        "own_name": float(is_own and mine >= 0.6 and mine >= 0.95 * by_table),
        "names_itself": float(
            (mine > by_table or (mine == by_table and is_own)) and mine >= 0.7 and not pair.own_table
        ),
        "home": 0.0,
    }


def _of_its_domain(pair: Pair, rivals: int) -> float:
    """Many codes, or words, that only this table's primary key has."""
    column, own = pair.column, pair.primary
    least = 0.95 if column.called != pair.key.called else DIRTY
    many = column.distinct >= 20 and own != (column.name,)
    return float(not pair.numbers and pair.number == 0 and pair.held >= least and many and rivals <= 1)


def is_home(pair: Pair, surprising: float, keys: Sequence[ColumnProfile]) -> bool:
    """Whether of all keys that have the column's values this one alone is called like it: an identifier, or codes."""
    column, key = pair.column, pair.key
    if key.called != column.called or words(key.called) in GENERIC:
        return False
    short = key.kind == kinds.TEXT and key.max_length <= SHORT
    codes = pair.number == 0 and short and column.distinct >= SOME
    unknown = not column.filled or not key.filled
    home = codes or (says_id(key.called) and (unknown or surprising >= 0.3))
    return home and sum(k.called == key.called for k in keys) == 1


def _owns(parent: TableProfile, key: ColumnProfile) -> float:
    """How far the key is the parent's own: called id, or like its table."""
    if len(words(key.called)) == 1 and says_id(key.called):
        return 1.0
    return max(points_to(key.called, parent.called), 0.9 * (not says_id(key.called)))


def _points_back(column: ColumnProfile, table: TableProfile) -> bool:
    """`parent_id`, `account_parent`, `reports_to`: a role, and at most the table's own name beside it."""
    found = words(column.called)
    if SELF.isdisjoint(found):
        return False
    if not SUPERIORS.isdisjoint(found) and PEOPLE.isdisjoint(table_words(table.called)):
        return False  # the manager of a product is no product
    rest = tuple(w for w in stem(column.called) if w not in SELF and w not in LINKS)
    return not rest or names_table(rest, table_words(table.called)) >= 0.8


def surprise(pair: Pair) -> float:
    """How unlikely the inclusion is by chance: small numbers lie within any counter."""
    column, key = pair.column, pair.key
    if pair.held < LEAST or not column.filled:
        return 0.0
    weight = min(1.0, math.log1p(column.distinct) / 5)
    if not pair.numbers:
        return weight * (1.0 if column.average_length >= 3 else 0.5)
    span, parent = bounds(column), bounds(key)
    if span is None or parent is None:
        return 0.0
    share = key.distinct / max(1, parent[1] - parent[0] + 1)
    return weight * (1 - min(1.0, share)) if not dense(key) else 0.1 * weight


def _starts_elsewhere(column: ColumnProfile, key: ColumnProfile) -> float:
    """Whole numbers that reach below the parent's, or hardly into it."""
    span, parent = bounds(column), bounds(key)
    if span is None or parent is None or parent[1] <= parent[0]:
        return 0.0
    reach = (span[1] - parent[0]) / (parent[1] - parent[0])
    return float(reach < 0.2)


def evidence(pair: Pair) -> tuple[str, ...]:
    """What a person may read of it."""
    column, place, said = pair.column, f"{pair.parent.name}.{pair.key.name}", []
    if column.filled == 0:
        said.append("the column is empty: judged by its name")
    elif pair.held >= 0.9999:
        said.append(f"all its {column.distinct:,} values are in {place}")
    else:
        said.append(f"{pair.held:.1%} of its {column.distinct:,} values are in {place}")
    if pair.naming >= 0.8:
        said.append(f"its name points to {pair.parent.name}")
    elif pair.naming >= 0.5:
        said.append(f"its name resembles {pair.parent.name}")
    return tuple(said)
