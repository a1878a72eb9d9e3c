"""What columns are for, by their key, reference, type and what was learned of numbers; the names of all roles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dataplatform.auto_dw.judge.number_features import asks, is_moment, number
from dataplatform.auto_dw.judge.verdicts import Verdict
from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile
from dataplatform.auto_dw.names.lexicon import CALENDAR, COORDINATES, MEASURES, NO_REFERENCE
from dataplatform.auto_dw.names.words import plurals, words

KEY, FOREIGN_KEY, MEASURE, ATTRIBUTE, TIMESTAMP = "key", "foreign_key", "measure", "attribute", "timestamp"
FACT, DIMENSION, BRIDGE, LOOKUP, OTHER = "fact", "dimension", "bridge", "lookup", "other"
TOLD = 2  # reasons that a person is shown
FLAG = 2  # values


def column_role(
    column: ColumnProfile, key: Sequence[str], foreign: Iterable[str], measured: Verdict | None = None
) -> Verdict:
    """A column's role; one that is both key and reference is a reference within a composite key.

    `measured`: what was learned to be likely of a column of numbers. The confidence of all others is 1: that they may
    be a key or refer is weighed elsewhere.
    """
    if column.name in set(foreign):
        return Verdict(FOREIGN_KEY, 1.0, ("it refers to another table",))
    if column.name in key:
        return Verdict(KEY, 1.0, ("it is (a part of) the key",))
    if measured is not None:
        return measured
    if column.kind in (kinds.DATE, kinds.TIME):
        return Verdict(TIMESTAMP, 1.0, (f"its type is {column.type}",))
    return Verdict(ATTRIBUTE, 1.0, (f"{column.type}, no key",))


def told_of_number(column: ColumnProfile) -> tuple[str, ...]:
    """What a person may read of why a number is held for a measure, a time or an attribute."""
    return tuple(reason for reason, _ in zip(_reasons(column), range(TOLD), strict=False))


def _reasons(column: ColumnProfile) -> Iterator[str]:
    found = set(words(column.called))
    if column.filled and is_moment(number(column.low), number(column.high)):
        yield "its numbers are moments, as programs count them"
    if found & COORDINATES:
        yield "a number that says where something is"
    if asks(column.called):
        yield "a number whose name asks something"
    elif found & MEASURES:
        yield "a number whose name says that it is measured"
    elif plurals(column.called):
        yield "a number whose name says of how many things"
    if found & CALENDAR:
        yield "a number that names a part of the calendar"
    elif found & NO_REFERENCE - MEASURES:
        yield "a number whose name says that it orders or marks something"
    if column.kind == kinds.NUMBER and not column.integral and column.filled:
        yield "a number with fractions"
    if column.filled and column.distinct <= FLAG:
        yield "a number of two values at most"
    elif column.filled:
        yield f"a number of {column.distinct:,} values"
    else:
        yield "a number without any value"
