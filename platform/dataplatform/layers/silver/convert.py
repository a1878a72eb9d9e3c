"""From JSON values to the text that COPY wants, type by type; what does not fit raises BadValue.

The text is the same for the same value of the type, however the source wrote it: rows are compared by it. No type
rounds or cuts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from ipaddress import ip_interface
from typing import Any
from uuid import UUID

import numpy as np

from dataplatform.records.record import canonical, dump, escape, plain

Convert = Callable[[Any], str]
NULL = "\\N"


class BadValue(ValueError):
    """A value that a column's type cannot hold."""


def converter(type_: str, format_: str = "") -> Convert:
    """The function for a Postgres type, as metadata writes it; `format_` as for strptime."""
    if format_:
        return _formatted(_CONVERTERS[type_], format_)
    if type_ in _CONVERTERS:
        return _CONVERTERS[type_]
    precision, scale = _numeric_limits(type_)
    return lambda value: _numeric(value, precision, scale)


def _text(value: Any) -> str:
    if type(value) is str:
        return escape(value)
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return _jsonb(value)
    return plain(value)


def _integer(low: int, high: int) -> Convert:
    safe = len(str(high))

    def convert(value: Any) -> str:
        if type(value) is str and len(value) < safe and value.isdigit() and value.isascii():
            return value if value[0] != "0" else str(int(value))  # certainly within the bounds
        number = value if type(value) is int else _whole(value)
        if not low <= number <= high:
            raise BadValue(f"{value} is beyond {low}…{high}")
        return str(number)

    return convert


def _whole(value: Any) -> int:
    if isinstance(value, (bool, dict | list)):
        raise BadValue(f"{value!r} is no integer")
    try:
        number = Decimal(value.strip()) if isinstance(value, str) else Decimal(value)
        if number.is_finite() and abs(number) < Decimal(10) ** 30:
            whole = number.to_integral_value()
            if number == whole:
                return int(whole)
    except (InvalidOperation, ValueError):
        pass
    raise BadValue(f"{value!r} is no integer")


_SPECIAL = {"nan", "infinity", "-infinity", "inf", "-inf", "+inf"}


def _double(value: Any) -> str:
    if type(value) is float:
        return plain(value)
    if isinstance(value, bool | dict | list):
        raise BadValue(f"{value!r} is no number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise BadValue(f"{value!r} is no number") from None
    if not math.isfinite(number):
        if str(value).strip().lower() not in _SPECIAL:
            raise BadValue(f"{value!r} is beyond double precision")
    elif Decimal(repr(number)) != Decimal(value.strip() if isinstance(value, str) else value):
        raise BadValue(f"{value!r} has more digits than double precision holds; numeric holds them")
    return plain(number)


def _real(value: Any) -> str:
    text = _double(value)
    number = float(text)
    if 3.4028235e38 < abs(number) < float("inf"):
        raise BadValue(f"{value!r} is beyond real")
    if math.isfinite(number) and Decimal(str(np.float32(number))) != Decimal(text):
        raise BadValue(f"{value!r} has more digits than real holds; double precision holds them")
    return text


def _numeric_limits(type_: str) -> tuple[int | None, int]:
    numbers = [int(n) for n in re.findall(r"\d+", type_)]
    return (numbers[0], numbers[1] if len(numbers) > 1 else 0) if numbers else (None, 0)


def _numeric(value: Any, precision: int | None = None, scale: int = 0) -> str:
    if isinstance(value, bool | dict | list):
        raise BadValue(f"{value!r} is no number")
    try:
        number = (
            Decimal(value.strip() if isinstance(value, str) else repr(value))
            if not isinstance(value, Decimal)
            else value
        )
    except InvalidOperation:
        raise BadValue(f"{value!r} is no number") from None
    if number.is_nan():
        return "NaN"  # Postgres' numeric has it
    if not number.is_finite():
        if precision is None:
            return "Infinity" if number > 0 else "-Infinity"
        raise BadValue(f"{value!r} is no finite number")
    if number and not -16_000 < number.adjusted() < 130_000:
        raise BadValue(f"{value!r} is beyond numeric")
    text = plain(number)
    if precision is not None:
        whole, _, fraction = text.lstrip("-").partition(".")
        if len(fraction) > scale:
            raise BadValue(f"{value!r} has more decimals than numeric({precision},{scale}) holds")
        if len(whole.lstrip("0")) > precision - scale:
            raise BadValue(f"{value!r} is beyond numeric({precision},{scale})")
    return text


_TRUE = {"true", "t", "yes", "y", "on", "1"}
_FALSE = {"false", "f", "no", "n", "off", "0"}


def _boolean(value: Any) -> str:
    if value is True or value is False:
        return "t" if value else "f"
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    if word in _TRUE:
        return "t"
    if word in _FALSE:
        return "f"
    raise BadValue(f"{value!r} is neither true nor false")


def _formatted(convert: Convert, format_: str) -> Convert:
    """Text is read by the format first; without a zone it is UTC."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            return convert(value)
        try:
            found = datetime.strptime(value.strip(), format_)
        except ValueError:
            raise BadValue(f"{value!r} is not written as {format_}") from None
        return convert(found.isoformat())

    return read


# day and month by number only where a convention tells them apart: 1/2/2026 is read by `format:` alone
_WRITTEN = ("%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y")
_HOURS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p")


def _written(text: str) -> datetime | None:
    """A date or time in one of the common ways to write it beside ISO 8601; naive without a zone."""
    for date_ in _WRITTEN:
        for hours in _HOURS:
            try:
                return datetime.strptime(text, date_ + hours)
            except ValueError:
                continue
    try:
        return parsedate_to_datetime(text)  # RFC 2822, as in mails and HTTP headers
    except ValueError:
        return None


def _date(value: Any) -> str:
    if isinstance(value, str):
        text = value.strip()
        try:
            if len(text) == 10:
                if text[4] == "-" == text[7] and text.isascii():
                    date.fromisoformat(text)
                    return text
                return date.fromisoformat(text).isoformat()
            found: datetime | None = datetime.fromisoformat(text)
        except ValueError:
            found = _written(text)
        if found is not None and found.time() == time():
            return found.date().isoformat()
    raise BadValue(f"{value!r} is no date; write 2026-01-31, or give the column a `format:`")


def moment(value: Any) -> datetime:
    """A point in time: ISO 8601 or another common text (naive: UTC), or an epoch in s (ms beyond 1e11)."""
    try:
        if isinstance(value, str):
            return _aware(value.strip())
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            seconds = float(value) / 1000 if abs(float(value)) > 1e11 else float(value)
            return datetime.fromtimestamp(seconds, UTC)
    except BadValue:
        raise
    except (ValueError, OverflowError, OSError):
        pass
    raise BadValue(f"{value!r} is no time; write 2026-01-31T12:00:00Z, or give the column a `format:`")


def _aware(text: str) -> datetime:
    if _beyond_micros(text):
        raise BadValue(f"{text!r} is finer than microseconds; text holds it")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        written = _written(text)
        if written is None:
            raise
        found = written
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _timestamptz(value: Any) -> str:
    """In UTC, in one form only."""
    if type(value) is str and len(value) == 20 and value[10] == "T" and value[-1] == "Z":
        try:
            datetime.fromisoformat(value)
            return value
        except ValueError:
            pass
    try:
        return moment(value).astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        raise BadValue(f"{value!r} is beyond the years 1 to 9999 in UTC") from None


def _timestamp(value: Any) -> str:
    try:
        return moment(value).astimezone(UTC).replace(tzinfo=None).isoformat()
    except OverflowError:
        raise BadValue(f"{value!r} is beyond the years 1 to 9999 in UTC") from None


def _time(value: Any) -> str:
    try:
        found = time.fromisoformat(value.strip())
    except (ValueError, AttributeError):
        raise BadValue(f"{value!r} is no time of day; write 12:30:00") from None
    if found.tzinfo is not None:
        raise BadValue(f"{value!r} has a zone, which a time of day has not; use timestamptz, or text")
    if _beyond_micros(value):
        raise BadValue(f"{value!r} is finer than microseconds; text holds it")
    return found.isoformat()


_FINE = re.compile(r"[.,]\d{6}\d*[1-9]")


def _beyond_micros(text: str) -> bool:
    """Whether a time has digits that neither Python nor Postgres keeps."""
    return len(text) > 14 and _FINE.search(text) is not None


def _uuid(value: Any) -> str:
    try:
        return str(UUID(value.strip()))
    except (ValueError, AttributeError):
        raise BadValue(f"{value!r} is no UUID") from None


def _inet(value: Any) -> str:
    try:
        found = ip_interface(value.strip())
    except (ValueError, AttributeError):
        raise BadValue(f"{value!r} is no IP address") from None
    alone = found.network.prefixlen == found.max_prefixlen  # Postgres shows no mask then
    return str(found.ip) if alone else found.with_prefixlen


def _jsonb(value: Any) -> str:
    return escape(dump(canonical(value)).decode())


INTEGERS = {
    "smallint": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}
_CONVERTERS: dict[str, Convert] = {
    "text": _text,
    **{name: _integer(*bounds) for name, bounds in INTEGERS.items()},
    "numeric": _numeric,
    "double precision": _double,
    "real": _real,
    "boolean": _boolean,
    "date": _date,
    "timestamptz": _timestamptz,
    "timestamp": _timestamp,
    "time": _time,
    "uuid": _uuid,
    "inet": _inet,
    "jsonb": _jsonb,
}
