"""Checks of records: which of them must not reach silver, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from dataplatform.errors import LoadError
from dataplatform.metadata.check import Bounds, Check
from dataplatform.metadata.pattern import compiled

Passes = Callable[[Any], bool]
Screen = Callable[[Mapping[str, Sequence[Any]], int], dict[int, str]]


def screening(checks: Iterable[Check], paths: Mapping[str, str], entity: str) -> Screen | None:
    """What tells bad records from good ones; None where no check does.

    `paths`: path in the record of each column that the entity has. The screen takes columns by path
    (a missing one is null) and the number of records; it gives the reason for each bad position.
    Raises LoadError where a check names a column that no record ever had.
    """
    rules = [
        (_path(column, paths, entity), passes, f"check {check.kind}: {column} {reason}")
        for check in checks
        if check.screens
        for column, passes, reason in _rules(check)
    ]

    def screen(columns: Mapping[str, Sequence[Any]], count: int) -> dict[int, str]:
        bad: dict[int, str] = {}
        for path, passes, reason in rules:
            for place, value in enumerate(columns.get(path) or [None] * count):
                if not passes(value):
                    bad.setdefault(place, _said(reason, value))
        return bad

    return screen if rules else None


def _said(reason: str, value: Any) -> str:
    shown = repr(value)
    return f"{reason}, and is {shown if len(shown) <= 80 else shown[:79] + '…'}"


def _path(column: str, paths: Mapping[str, str], entity: str) -> str:
    name = column.replace(".", "__")
    path = paths.get(name) or paths.get(name.lower())
    if path is None:
        raise LoadError(
            f"{entity}: a check names the column {column}, which no record has had",
            f"correct it under `checks:`; its columns: {', '.join(sorted(paths))}",
        )
    return path


def _rules(check: Check) -> list[tuple[str, Passes, str]]:
    """Column, predicate and what is wanted, for each column of the check."""
    if check.not_null is not None:
        return [(column, lambda value: value is not None, "must not be null") for column in check.not_null]
    if check.range is not None:
        return [(c, _inside(bounds), f"must be {_span(bounds)}") for c, bounds in check.range.items()]
    if check.pattern is not None:
        return [(c, _matches(text), f"must match {text!r}") for c, text in check.pattern.items()]
    return [
        (column, _among(values), f"must be one of {', '.join(map(str, values))}")
        for column, values in (check.values or {}).items()
    ]


def _span(bounds: Bounds) -> str:
    low = "" if bounds.min is None else f"at least {bounds.min}"
    high = "" if bounds.max is None else f"at most {bounds.max}"
    return " and ".join(filter(None, (low, high)))


def _matches(text: str) -> Passes:
    search = compiled(text).search
    return lambda value: (
        value is None or search(value if isinstance(value, str) else _text(value)) is not None
    )


def _among(values: Sequence[Any]) -> Passes:
    accepted = {_text(value) for value in values}
    return lambda value: value is None or _text(value) in accepted


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _inside(bounds: Bounds) -> Passes:
    """Numbers are compared as numbers, dates and times as moments in UTC."""
    limits = [bound for bound in (bounds.min, bounds.max) if bound is not None]
    read = _moment if any(isinstance(bound, str) and _number(bound) is None for bound in limits) else _number
    low = read(bounds.min) if bounds.min is not None else None
    high = read(bounds.max) if bounds.max is not None else None

    def passes(value: Any) -> bool:
        if value is None:
            return True
        measured = read(value)
        return (
            measured is not None and (low is None or measured >= low) and (high is None or measured <= high)
        )

    return passes


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        return None
    try:
        number = (
            Decimal(value.strip() if isinstance(value, str) else repr(value)) if value is not None else None
        )
    except (InvalidOperation, AttributeError):
        return value if isinstance(value, Decimal) else None
    return number if number is not None and number.is_finite() else None


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    try:
        moment = datetime.fromisoformat(str(value).strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
