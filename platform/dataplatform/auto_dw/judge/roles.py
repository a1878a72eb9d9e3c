"""What columns are for, by their key, their reference, their type and their name; the names of all roles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dataplatform.auto_dw.judge.verdicts import Verdict
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile, TableProfile
from dataplatform.auto_dw.names.lexicon import CALENDAR, COORDINATES, MEASURES, NO_REFERENCE
from dataplatform.auto_dw.names.words import plurals, says_id, words

KEY, FOREIGN_KEY, MEASURE, ATTRIBUTE, TIMESTAMP = "key", "foreign_key", "measure", "attribute", "timestamp"
FACT, DIMENSION, BRIDGE, LOOKUP, OTHER = "fact", "dimension", "bridge", "lookup", "other"
# what is neither measured nor, without a key, a reference
_PLAIN = (kinds.TEXT, kinds.BOOLEAN, kinds.JSON, kinds.BINARY, kinds.CLOCK)
FEW, MANY = 5, 20  # values of a number that counts or measures something; fewer are codes


def column_role(
    table: TableProfile, column: ColumnProfile, key: Sequence[str], foreign: Iterable[str]
) -> Verdict:
    """A column's role; one that is both key and reference is a reference within a composite key."""
    if column.name in set(foreign):
        return Verdict(FOREIGN_KEY, 0.9, ("it refers to another table",))
    if column.name in key:
        return Verdict(KEY, 0.9, ("it is (a part of) the key",))
    if column.kind in (kinds.DATE, kinds.TIME):
        return Verdict(TIMESTAMP, 0.95, (f"its type is {column.type}",))
    if column.kind in (kinds.INTEGER, kinds.NUMBER) and not says_id(column.called):
        return _number(table, column)
    return Verdict(ATTRIBUTE, 0.9 if column.kind in _PLAIN else 0.75, (f"{column.type}, no key",))


def _number(table: TableProfile, column: ColumnProfile) -> Verdict:
    found = set(words(column.called))
    if found & COORDINATES:
        return Verdict(ATTRIBUTE, 0.85, ("a number that says where something is",))
    if found & MEASURES:
        return Verdict(MEASURE, 0.9, ("a number whose name says that it is measured",))
    if plurals(column.called) and (column.distinct > 2 or not column.filled):
        return Verdict(MEASURE, 0.8, ("a number whose name says of how many things",))
    if found & CALENDAR:
        return Verdict(ATTRIBUTE, 0.8, ("a number that names a part of the calendar",))
    if column.kind == kinds.NUMBER and not column.integral and column.filled:
        return Verdict(MEASURE, 0.85, ("a number with fractions",))
    if column.filled and column.distinct <= 2:
        return Verdict(ATTRIBUTE, 0.85, ("a number of two values at most: a flag",))
    if found & NO_REFERENCE:
        return Verdict(ATTRIBUTE, 0.7, ("a number whose name says that it orders or marks something",))
    if column.distinct > MANY or (column.distinct > FEW and (column.low or "").startswith("-")):
        return Verdict(MEASURE, 0.65, (f"a number of {column.distinct:,} values",))
    return Verdict(ATTRIBUTE, 0.6, ("a number of few values",))
