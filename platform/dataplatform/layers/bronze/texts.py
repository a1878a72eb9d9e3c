"""JSON texts as values without losing a digit, and numbers that BSON has no type for."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

MAX_BYTES = 15_500_000  # of JSON; a BSON document ends at 16 MiB, our own fields included
MAX_DIGITS = 4_000  # of a number, those that its exponent stands for included
# each byte as what it is to a number: digit or point, exponent, sign, what may stand before one, else
_SHAPE = bytes(
    ord("0")
    if chr(b) in "0123456789."
    else ord("e")
    if chr(b) in "eE"
    else ord("s")
    if chr(b) in "+-"
    else ord("d")
    if chr(b) in " :,[\t\n\r"
    else ord("x")
    for b in range(256)
)
_DIGITS = b"0" * 16
_LONG = (b"d" + _DIGITS, b"s" + _DIGITS)
_EXPONENT = re.compile(b"0es?000")
NUMBER = "$number"


class Problem(Exception):
    """Why a text is no record."""


class Marked:
    """Stands in a value where the text has a number that is none. `shown`: as JSON's writer shows it."""

    def __init__(self, reason: str, shown: Any) -> None:
        self.reason, self.shown = reason, shown


@dataclass(frozen=True)
class Value:
    """A parsed text. `exotic`: it has numbers that BSON has no type for; `marked`: what is no number."""

    value: Any
    exotic: bool = False
    marked: tuple[Marked, ...] = ()


def record_value(line: bytes, textual: bool = False) -> Value:
    """The value of a record's text. `textual`: there are no numbers at all. Raises Problem."""
    if len(line) > MAX_BYTES:
        raise Problem(f"too large: {len(line):,} bytes of JSON, MongoDB holds 16 MB")
    value = _value(line, textual)
    if value.marked:
        raise Problem(value.marked[0].reason)
    return value


def document_value(line: bytes) -> Value:
    """The value of a document of many records: those are measured one by one. Raises Problem."""
    return _value(line, False)


def _value(line: bytes, textual: bool) -> Value:
    if not textual and precise_needed(line):
        return _precise(line)
    try:
        return Value(orjson.loads(line))
    except orjson.JSONDecodeError as error:
        if not _lenient(line):
            raise Problem(f"not JSON: {error}") from None
        return _precise(line)


def precise_needed(text: bytes) -> bool:
    """Whether the text may hold a number that a double or 64 bits cannot: 16 digits, a big exponent."""
    shape = text.translate(_SHAPE)
    if _DIGITS in shape and any(long in shape for long in _LONG):  # one search is all that most texts take
        return True
    return any(_begins_as_number(shape, hit.start()) for hit in _EXPONENT.finditer(shape))


def _begins_as_number(shape: bytes, end: int) -> bool:
    """Whether the digits up to `end` are a number's, not part of an identifier."""
    before = shape[max(0, end - 400) : end + 1].rstrip(b"0")
    return not before or before[-1:] in b"ds"


def _lenient(line: bytes) -> bool:
    """Whether Python's parser takes it: lone surrogates, NaN, deep nesting.

    As text: of bytes it would guess the encoding, and let surrogates pass.
    """
    try:
        json.loads(line.decode())
    except (ValueError, RecursionError):
        return False
    return True


def _precise(line: bytes) -> Value:
    """Parses without losing a digit; slower."""
    exotic: list[bool] = []
    marked: list[Marked] = []

    def mark(reason: str, shown: Any) -> Marked:
        marked.append(Marked(reason, shown))
        return marked[-1]

    def fraction(text: str) -> float | Decimal | Marked:
        exact = _decimal(text)
        if exact is None:
            return mark(f"a number beyond {MAX_DIGITS:,} digits: {text:.40}", text)
        value = float(text)
        if Decimal(repr(value)) == exact:
            return value
        exotic.append(True)
        return exact

    def integer(text: str) -> int | Marked:
        if len(text) > MAX_DIGITS:
            return mark(f"a number of {len(text):,} digits", text)
        value = int(text)
        if not -(2**63) <= value < 2**63:
            exotic.append(True)
        return value

    def constant(text: str) -> Marked:
        return mark(f"{text} is not a JSON number", float(text))

    try:
        value = json.loads(line.decode(), parse_float=fraction, parse_int=integer, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise Problem(f"not JSON: {error}") from None
    return Value(value, bool(exotic), tuple(marked))


def _decimal(text: str) -> Decimal | None:
    """None for what no database holds: writing 1e999999999 out would take all memory there is."""
    if len(text) > MAX_DIGITS:
        return None
    try:
        exact = Decimal(text)
    except InvalidOperation:  # its exponent has more digits than Decimal's
        return None
    return exact if not exact or abs(exact.adjusted()) < MAX_DIGITS else None


def to_bson(value: Any) -> Any:
    """Numbers that BSON has no type for become {"$number": digits}; objects that look so, or that MongoDB's driver
    takes for references, {"$number": [[name, value], …]}."""
    if isinstance(value, dict):
        if value.keys() == {NUMBER} or {"$ref", "$id"} <= value.keys():
            return {NUMBER: [[name, to_bson(inner)] for name, inner in value.items()]}
        return {name: to_bson(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [to_bson(inner) for inner in value]
    if isinstance(value, Decimal):
        return {NUMBER: str(value)}
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return {NUMBER: str(value)}
    return value


def from_bson(value: Any) -> Any:
    """The inverse of `to_bson`."""
    if isinstance(value, dict):
        if value.keys() == {NUMBER}:
            return _unpacked(value[NUMBER])
        return {name: from_bson(inner) for name, inner in value.items()}
    return [from_bson(inner) for inner in value] if isinstance(value, list) else value


def _unpacked(stored: Any) -> Any:
    try:
        if isinstance(stored, list):
            return {name: from_bson(inner) for name, inner in stored}
        return int(stored) if stored.lstrip("-").isdigit() else Decimal(stored)
    except (
        AttributeError,
        ArithmeticError,
        TypeError,
        ValueError,
    ):  # somebody's own field, of before we told it apart
        return {NUMBER: stored}
