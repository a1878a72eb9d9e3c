"""How far names agree: a column's with a table's or a key's, a table's with another's."""

from __future__ import annotations

from functools import lru_cache

from dataplatform.auto_dw.look.profiles import ColumnProfile, TableProfile
from dataplatform.auto_dw.names.lexicon import LINKS, PEOPLE, SELF, STAFF, STAFF_ROLES, SUPERIORS
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

GENERIC = (("id",), ("name",), ("title",), ("code",), ("key",), ("number",))  # they say nothing of the table


def naming(column: ColumnProfile, parent: TableProfile, key: ColumnProfile, same_table: bool) -> float:
    """How far the column's name points to the parent: by its table's name, or by its key's. `same_table`: its own."""
    if same_table:  # a table's own attributes carry its name: only a role such as `parent` points back to it
        return 0.9 if points_back(column, parent) else 0.0
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


def points_back(column: ColumnProfile, table: TableProfile) -> bool:
    """`parent_id`, `account_parent`, `reports_to`: a role, and at most the table's own name beside it."""
    found = words(column.called)
    if SELF.isdisjoint(found):
        return False
    if not SUPERIORS.isdisjoint(found) and PEOPLE.isdisjoint(table_words(table.called)):
        return False  # the manager of a product is no product
    rest = tuple(w for w in stem(column.called) if w not in SELF and w not in LINKS)
    return not rest or names_table(rest, table_words(table.called)) >= 0.8


@lru_cache(maxsize=200_000)
def shared_letters(name: str, other: str) -> float:
    """Share of a name's runs of three letters, without its identifier's ending, that another name has."""
    mine, its = _threes(stem(name)), _threes(table_words(other))
    return len(mine & its) / len(mine) if mine else 0.0


@lru_cache(maxsize=200_000)
def ends_alike(name: str, table: str) -> float:
    """How much of the shorter of two names is the end of the longer: `gateway` of smsgateway."""
    left, right = "".join(stem(name)), "".join(table_words(table))
    shorter = min(len(left), len(right))
    same = next((n for n in range(shorter) if left[-1 - n] != right[-1 - n]), shorter)
    return same / shorter if shorter >= 3 else 0.0


def _threes(parts: tuple[str, ...]) -> frozenset[str]:
    text = "".join(parts)
    return frozenset(text[n : n + 3] for n in range(len(text) - 2))
