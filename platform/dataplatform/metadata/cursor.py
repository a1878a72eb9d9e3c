"""Cursors: how two values of a cursor field compare, and how far to step back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

Value = str | int | float


def later(left: Any, right: Any) -> Value | None:
    """The greater of the two; times are compared as times, numbers as numbers. What is neither counts as nothing."""
    if not isinstance(right, str | int | float) or isinstance(right, bool):
        return left if isinstance(left, str | int | float) else None
    if not isinstance(left, str | int | float) or _order(right) > _order(left):
        return right
    return left


def _order(value: Value) -> tuple[int, float, str]:
    """Numbers before times before other text, so that any two values compare."""
    if isinstance(value, int | float):
        return 0, float(value), ""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return _number(value)
    return 1, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), value


def _number(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), text
    except ValueError:
        return 2, 0.0, text


def step_back(cursor: Any, overlap: timedelta) -> str | int | float | None:
    """The cursor less the overlap: seconds for numbers, a time span for times."""
    if not isinstance(cursor, str | int | float):
        return None
    if not overlap:
        return cursor
    if isinstance(cursor, int | float):
        return cursor - type(cursor)(overlap.total_seconds())
    try:
        return (datetime.fromisoformat(cursor) - overlap).isoformat().replace("+00:00", "Z")
    except ValueError:
        return cursor
