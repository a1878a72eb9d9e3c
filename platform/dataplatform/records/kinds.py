"""Kinds of values: what a column's values have in common, and how that only ever widens.

A kind is a point in a small lattice; `join` is its least upper bound, so the kind of a set of values
does not depend on their order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Any

NULL, BOOLEAN, INT, BIG, HUGE = "null", "boolean", "int", "big", "huge"
DOUBLE, DECIMAL, DATE, TIMESTAMP, TIMESTAMPTZ, TEXT = (
    "double", "decimal", "date", "timestamp", "timestamptz", "text",
)  # fmt: skip
JSON = "json"
LISTS = "lists"  # only ever lists (and nulls): child tables hold them, no column does

# INT: exact as a double; BIG: fits a bigint; HUGE: needs numeric
POSTGRES = {
    NULL: "text", BOOLEAN: "boolean", INT: "bigint", BIG: "bigint", HUGE: "numeric",
    DOUBLE: "double precision", DECIMAL: "numeric", DATE: "date", TIMESTAMP: "timestamp",
    TIMESTAMPTZ: "timestamptz", TEXT: "text", JSON: "jsonb",
}  # fmt: skip

_NUMBERS = {
    frozenset({INT, BIG}): BIG, frozenset({INT, HUGE}): HUGE, frozenset({BIG, HUGE}): HUGE,
    frozenset({INT, DOUBLE}): DOUBLE, frozenset({BIG, DOUBLE}): DECIMAL,
    frozenset({HUGE, DOUBLE}): DECIMAL,
    frozenset({DATE, TIMESTAMP}): TIMESTAMP, frozenset({DATE, TIMESTAMPTZ}): TIMESTAMPTZ,
    frozenset({TIMESTAMP, TIMESTAMPTZ}): TIMESTAMPTZ,
}  # fmt: skip
_NUMERIC = {INT, BIG, HUGE, DOUBLE, DECIMAL}


def join(left: str, right: str) -> str:
    """The narrowest kind that holds the values of both."""
    if left == right or right == NULL:
        return left
    if left in (NULL, LISTS):
        return right
    if right == LISTS:
        return left
    if DECIMAL in (left, right) and {left, right} <= _NUMERIC:
        return DECIMAL
    return _NUMBERS.get(frozenset({left, right}), TEXT)


def join_all(found: Iterable[str]) -> str:
    result = NULL
    for kind in found:
        result = join(result, kind)
    return result


def kind_of(value: Any, textual: bool) -> str:
    """Kind of one JSON scalar. `textual`: text may mean numbers and booleans (CSV)."""
    if value is None:
        return NULL
    if value is True or value is False:
        return BOOLEAN
    kind = type(value)
    if kind is int:
        return _kind_of_int(value)
    if kind is float:
        return DOUBLE
    if kind is str:
        return _kind_of_text(value, textual)
    if kind is Decimal:
        return DECIMAL
    return JSON


def _kind_of_int(value: int) -> str:
    if -(2**53) <= value <= 2**53:
        return INT
    return BIG if -(2**63) <= value < 2**63 else HUGE


def kind_of_values(values: Iterable[Any], textual: bool) -> str:
    """Kind of many scalars at once: each distinct text is looked at once, numbers by their range."""
    column = list(values)
    result = NULL
    for type_ in set(map(type, column)):
        if type_ is str:
            texts = {v for v in column if type(v) is str}
            found = _kind_of_texts(texts, textual)
        elif type_ is int:
            numbers = [v for v in column if type(v) is int]
            found = join(_kind_of_int(min(numbers)), _kind_of_int(max(numbers)))
        else:
            found = kind_of(next(v for v in column if type(v) is type_), textual)
        result = join(result, found)
    return result


def _kind_of_texts(texts: set[str], textual: bool) -> str:
    if _surely_text(texts, textual):
        return TEXT
    joined = "".join(texts)
    try:
        if len(joined) == 20 * len(texts) and _INSTANTS.fullmatch(joined):
            for text in texts:
                datetime.fromisoformat(text)
            return TIMESTAMPTZ
    except ValueError:
        pass  # the 30th of February: one by one
    return join_all(_kind_of_text(v, textual) for v in texts)


def _surely_text(texts: set[str], textual: bool) -> bool:
    """One that is text settles it: try a few before looking at all."""
    return any(_kind_of_text(v, textual) == TEXT for v in islice(texts, 3))


_INTEGER = re.compile(r"-?(?:0|[1-9]\d*)", re.ASCII)
_FLOAT = re.compile(r"-?(?:0|[1-9]\d*)?(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_INSTANTS = re.compile(r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)+", re.ASCII)  # the usual form, many in a row
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?P<zone>Z|[+-](?:0\d|1[0-5])(?::?\d\d)?)?",
    re.ASCII,
)


@lru_cache(maxsize=50_000)
def _kind_of_text(value: str, textual: bool) -> str:
    if len(value) >= 10 and value[4] == "-" and value[7] == "-":
        return _kind_of_moment(value)
    if not textual or not value or value[0] not in "-.0123456789tTfF":
        return TEXT
    if _INTEGER.fullmatch(value):
        return TEXT if value == "-0" else _kind_of_int(int(value)) if len(value) < 400 else TEXT
    if value in ("true", "false", "True", "False", "TRUE", "FALSE"):
        return BOOLEAN
    if any(c.isdigit() for c in value) and _FLOAT.fullmatch(value):
        return _kind_of_fraction(value)
    return TEXT


def _kind_of_fraction(value: str) -> str:
    """Double where no digit gets lost, else decimal."""
    digits = sum(c.isdigit() for c in value.lower().split("e")[0])
    if digits <= 15:
        return DOUBLE
    return DOUBLE if Decimal(repr(float(value))) == Decimal(value) else DECIMAL


def _kind_of_moment(value: str) -> str:
    try:
        if len(value) == 10:
            date.fromisoformat(value)
            return DATE if value.isascii() and value[:4] != "0000" else TEXT
        match = _MOMENT.fullmatch(value)
        if match is None:
            return TEXT
        datetime.fromisoformat(value)
        return TIMESTAMPTZ if match["zone"] else TIMESTAMP
    except ValueError:
        return TEXT
