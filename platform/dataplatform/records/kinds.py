"""Kinds of values: what a column's values have in common, and how that only ever widens.

A kind is a point in a small lattice; `join` is its least upper bound, so the kind of a set of values
does not depend on their order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
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


def kinds_of_values(
    column: Sequence[Any], textual: bool, types: frozenset[type] | None = None
) -> dict[str, int]:
    """How many of the scalars are of which kind, nulls left out. Integers count as the narrowest kind of them all.

    `types`: those of the values, where they are known already.

    >>> kinds_of_values([1, 2**60, None, "x", "2026-01-31"], False)
    {'big': 2, 'text': 1, 'date': 1}
    """
    types = frozenset(map(type, column)) if types is None else types
    alone = len(types) == 1
    counts: dict[str, int] = {}
    for type_ in sorted(types - {type(None)}, key=str):
        values: Sequence[Any] = column if alone else [v for v in column if type(v) is type_]
        if type_ is str:
            more = _kinds_of_texts(values, textual)
        elif type_ is int:
            more = {join(_kind_of_int(min(values)), _kind_of_int(max(values))): len(values)}
        else:
            more = {kind_of(values[0], textual): len(values)}
        for kind, number in more.items():
            counts[kind] = counts.get(kind, 0) + number
    return counts


def _kinds_of_texts(texts: Sequence[str], textual: bool) -> dict[str, int]:
    """What may be something else than text is told by its looks; only that is looked at closely."""
    if textual:
        maybe = [t for t in texts if t[:1] in _STARTS or t[4:5] == "-"]
    else:
        dashes = "-" in "".join(texts)  # looked for once: most columns have none
        maybe = [t for t in texts if t[4:5] == "-" and t[7:8] == "-"] if dashes else []
    counts = {TEXT: len(texts) - len(maybe)} if len(maybe) < len(texts) else {}
    if not maybe:
        return counts
    if _are_instants(maybe):
        return counts | {TIMESTAMPTZ: len(maybe)}
    for text, number in Counter(maybe).items():
        kind = _kind_of_text(text, textual)
        counts[kind] = counts.get(kind, 0) + number
    return counts


_STARTS = frozenset("-.0123456789tTfF")


def _are_instants(texts: list[str]) -> bool:
    """Whether all are times in the usual form, such as 2026-01-31T10:00:00Z."""
    joined = "".join(texts)
    if len(joined) != 20 * len(texts) or not _INSTANTS.fullmatch(joined):
        return False
    try:
        for text in texts:
            datetime.fromisoformat(text)
    except ValueError:
        return False  # the 30th of February
    return True


_FAMILY = (
    frozenset({BOOLEAN}),
    frozenset(_NUMERIC),
    frozenset({DATE, TIMESTAMP, TIMESTAMPTZ}),
    frozenset({JSON}),
)


def decided(counts: Mapping[str, int], max_misfits: float) -> str:
    """The kind of a column with so many values of each kind: the narrowest that fits all but a small share.

    Numbers are never misfits among numbers, nor times among times: a wider kind of the family holds them all. Text
    among these is one, up to the share `max_misfits` of all values; but from twenty values on, one always may be.

    >>> decided({INT: 990, DOUBLE: 3, TEXT: 9}, 0.01), decided({INT: 10, TEXT: 1}, 0.01)
    ('double', 'text')
    """
    total = sum(counts.values())
    allowed = max(int(total * max_misfits), 1 if total >= 20 and max_misfits > 0 else 0)
    for family in _FAMILY:
        fitting = [kind for kind in counts if kind in family and counts[kind]]
        if fitting and total - sum(counts[kind] for kind in fitting) <= allowed:
            return join_all(fitting)
    return TEXT if total else NULL


_WIDTHS = ("smallint", "integer", "bigint")
_PRECISION = re.compile(r"numeric\((\d+)(?:,\s*(\d+))?\)")


def canonical_type(type_: str) -> str:
    """A column's type as Postgres names it, however it was written.

    >>> canonical_type("numeric(20)"), canonical_type("numeric(12, 2)"), canonical_type("text")
    ('numeric(20,0)', 'numeric(12,2)', 'text')
    """
    found = _PRECISION.fullmatch(type_)
    return f"numeric({found[1]},{found[2] or 0})" if found else type_


def join_types(left: str | None, right: str | None) -> str | None:
    """The narrowest column type that holds the values of both; None: nothing is said.

    >>> join_types("integer", "bigint"), join_types("numeric(10,2)", "numeric(8,4)"), join_types("date", "boolean")
    ('bigint', 'numeric(12,4)', 'text')
    """
    if left is None or right is None or left == right:
        return left or right
    if left in _WIDTHS and right in _WIDTHS:
        return max(left, right, key=_WIDTHS.index)
    shapes = [_digits(type_) for type_ in (left, right)]
    if all(shape is not None for shape in shapes):
        whole, fraction = max(s[0] for s in shapes if s), max(s[1] for s in shapes if s)
        return f"numeric({whole + fraction},{fraction})"
    if "numeric" in (left, right) and all(t == "numeric" or _digits(t) for t in (left, right)):
        return "numeric"
    if {left, right} <= {"date", "timestamp", "timestamptz"}:
        return "timestamptz" if "timestamptz" in (left, right) else "timestamp"
    if {left, right} == {"real", "double precision"}:
        return "double precision"
    return "text"


def _digits(type_: str) -> tuple[int, int] | None:
    """Digits before and after the point that an integer type or a numeric(p,s) holds."""
    if type_ in _WIDTHS:
        return (5, 10, 19)[_WIDTHS.index(type_)], 0
    match = _PRECISION.fullmatch(type_)
    return (int(match[1]) - int(match[2] or 0), int(match[2] or 0)) if match else None


_INTEGER = re.compile(r"-?(?:0|[1-9]\d*)", re.ASCII)
_FLOAT = re.compile(r"-?(?:0|[1-9]\d*)?(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_INSTANTS = re.compile(r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)+", re.ASCII)  # the usual form, many in a row
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,6}(?P<fine>\d{1,3})?)?)?"
    r"(?P<zone>Z|[+-](?:0\d|1[0-5])(?::?\d\d)?)?",
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
        if match is None or (match["fine"] or "").strip("0"):
            return TEXT  # also where it is finer than microseconds, which no type keeps
        datetime.fromisoformat(value)
        return TIMESTAMPTZ if match["zone"] else TIMESTAMP
    except ValueError:
        return TEXT
