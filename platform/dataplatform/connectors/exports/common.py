"""What the readers of exports share: identities, numbers, times, text, and libraries that may be missing."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from importlib import import_module
from typing import IO, Any
from zoneinfo import ZoneInfo

from dataplatform.connectors import encodings
from dataplatform.connectors.file_reading import Reading
from dataplatform.errors import SourceError


def library(module: str, what: str, reading: Reading) -> Any:
    """A library of the extra `exports`; raises SourceError where it is not installed."""
    try:
        return import_module(module)
    except ImportError:
        raise SourceError(
            f"{reading.name}: {what} needs the library {module.partition('.')[0]}",
            "pip install 'dataplatform[exports]'",
        ) from None


def identity(*values: Any) -> str:
    """The same for the same values, another for others: for records without a number of their own."""
    text = "\0".join("" if value is None else f"{len(str(value))}:{value}" for value in values)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


class Equals:
    """Numbers records that are equal: an export holds all of one day, so the second today is the second tomorrow."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def identity(self, *values: Any) -> str:
        one = identity(*values)
        self._seen[one] += 1
        return one if self._seen[one] == 1 else f"{one}-{self._seen[one]}"


def number(text: str | None, decimal: str = ".") -> Decimal | None:
    """A number as it is written, no digit lost; None for nothing. Raises ValueError.

    >>> number("-1.234,50", ","), number("1 234.5"), number("+3")
    (Decimal('-1234.50'), Decimal('1234.5'), Decimal('3'))
    """
    plain = "".join((text or "").replace("\u2212", "-").split()).strip("€$£")
    if not plain:
        return None
    group = "." if decimal == "," else ","
    plain = plain.replace(group, "").replace("'", "").replace("’", "").replace(decimal, ".")
    if plain.endswith("-"):
        plain = f"-{plain[:-1]}"
    try:
        found = Decimal(plain)
    except InvalidOperation:
        raise ValueError(f"{text!r} is no number") from None
    if not found.is_finite():
        raise ValueError(f"{text!r} is no number")
    return found


def exact(text: str | None) -> Decimal | None:
    """A number as data formats write it, where a comma is a mistake and no group. Raises ValueError."""
    if text and "," in text:
        raise ValueError(f"{text!r} is no number: it has a comma")
    return number(text)


def beside(found: Mapping[str, Any], more: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """What is known, and what else a file says; where both are called the same, the latter with a prefix."""
    return {**{f"{prefix}_{n}" if n in found else n: value for n, value in more.items()}, **found}


def day(text: str | None, *formats: str) -> str | None:
    """A date in ISO form; None for nothing. Raises ValueError."""
    if not (plain := (text or "").strip()):
        return None
    for form in formats:
        try:
            return datetime.strptime(plain, form).date().isoformat()
        except ValueError:
            continue
    raise ValueError(f"{text!r} is no date as `{formats[0]}`")


def moment(value: float, per_second: int = 1) -> str:
    """A time from the number of (milli-, micro-)seconds since 1970, in UTC. Raises ValueError."""
    try:
        whole, rest = divmod(int(value), per_second)
        found = datetime.fromtimestamp(whole, UTC).replace(microsecond=rest * 1_000_000 // per_second)
    except (OverflowError, OSError, ValueError) as error:
        raise ValueError(f"{value!r} is no time: {error}") from None
    return found.isoformat()


def iso(text: str) -> str:
    """A time that is ISO already, with its zone kept. Raises ValueError."""
    return datetime.fromisoformat(text).isoformat()


def zone(reading: Reading) -> tzinfo | None:
    """The zone of times that are written without one, where a person says it."""
    return ZoneInfo(reading.timezone) if reading.timezone else None


def text_of(stream: IO[bytes], reading: Reading) -> io.TextIOWrapper:
    """The text of a file in the encoding that is said or found; raw says which."""
    head, whole = encodings.peeked(stream)
    found = encodings.declared(reading.encoding, head) if reading.encoding else encodings.found(head)
    reading.about["encoding"] = found.name
    return encodings.text_of(whole, found)


def filled(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Without what is empty."""
    return {name: value for name, value in pairs if value not in (None, "", [], {})}
