"""Cursors: how two values of a cursor field compare, and how far to step back."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

Value = str | int | float


def later(left: Any, right: Any) -> Value | None:
    """The greater of the two; times are compared as times, numbers as numbers. What is neither counts as nothing.

    A text that is no time and no number is less than any of these: one `"zzz"` among times must not end the reading.
    """
    one, other = _value(left), _value(right)
    if one is None or other is None:
        return other if one is None else one
    return other if _order(other) > _order(one) else one


def _value(value: Any) -> Value | None:
    """What may be a cursor: no booleans, nothing infinite."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _order(value: Value) -> tuple[int, int | float, str]:
    """Other text before numbers before times, so that any two values compare."""
    if isinstance(value, int | float):
        return 1, value, ""
    number = _number(value)
    if number is not None:
        return 1, number, value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return 0, 0, value
    return 2, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), value


_LONGEST = 23  # a hexadecimal id of 24 characters may by chance be all digits among others that are not


def _number(text: str) -> int | float | None:
    """The number that a text is; also `20260131`, which is a date as well: both are in the same order."""
    if len(text) > _LONGEST:
        return None
    for kind in (int, float):
        try:
            number: int | float = kind(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else None
    return None


def _a_second(number: float) -> int:
    """How much of it is a second, if it counts from 1970: these sizes are of 1973 to 2286."""
    return 1_000_000 if 1e14 < number < 1e16 else 1000 if 1e11 < number < 1e13 else 1


def step_back(cursor: Any, overlap: timedelta) -> str | int | float | None:
    """The cursor less the overlap: a time span for times; of numbers, also those written as text, seconds, or the
    milliseconds or microseconds that they are by their size."""
    if not isinstance(cursor, str | int | float):
        return None
    if not overlap:
        return cursor
    if isinstance(cursor, int | float):
        return cursor - type(cursor)(overlap.total_seconds() * _a_second(cursor))
    if cursor.isascii() and cursor.isdigit() and 8 < len(cursor) <= 16:
        return str(step_back(int(cursor), overlap))
    try:
        return (datetime.fromisoformat(cursor) - overlap).isoformat().replace("+00:00", "Z")
    except ValueError:
        return cursor
