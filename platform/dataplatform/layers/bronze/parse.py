"""From raw lines to records: what can be a document of bronze, and what goes to quarantine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from dataplatform.layers.bronze.quarantine import Bad
from dataplatform.metadata.paths import MISSING, dig, records_in
from dataplatform.records.record import dump, key_hash, key_hashes

MAX_BYTES = 15_500_000  # of JSON; a BSON document ends at 16 MiB, our own fields included
MAX_DEPTH = 90  # MongoDB's limit is 100
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
_LONG = (b"d0000000000000000", b"s0000000000000000")
_EXPONENT = re.compile(b"0es?000")
NUMBER = "$number"


@dataclass(frozen=True)
class Rule:
    """How records of an entity are read."""

    key: tuple[str, ...]
    null_values: frozenset[str]
    textual: bool

    def identity(self) -> str:
        return json.dumps([self.key, sorted(self.null_values), self.textual, 1])


class Record(NamedTuple):
    """A record that bronze can hold. `exotic`: it has numbers that BSON has no type for."""

    key: bytes
    doc: dict[str, Any]
    exotic: bool


class _Problem(Exception):
    """Why a text is no record."""


def parse_block(lines: list[bytes], rule: Rule) -> list[Record | Bad]:
    """Many JSON texts at once: what is plain for all of them is not asked of each."""
    return _plain(lines, rule) or [parse(line, rule) for line in lines]


def _plain(lines: list[bytes], rule: Rule) -> list[Record | Bad] | None:
    """The records where all lines are ordinary; None where one needs a closer look."""
    joined = b"\n".join(lines)
    if len(joined) > MAX_BYTES or (not rule.textual and _precise_needed(joined)):
        return None
    if b"\\u" in joined and any(code in joined for code in (b"\\u0000", b"\\ud", b"\\uD")):
        return None
    if any(line.count(b"{") + line.count(b"[") > MAX_DEPTH for line in lines):
        return None
    try:
        values = list(map(orjson.loads, lines))
    except orjson.JSONDecodeError:
        return None
    if set(map(type, values)) != {dict}:
        return None
    if rule.null_values:
        values = [_with_nulls(value, rule.null_values) for value in values]
    columns = [[value.get(path) for value in values] for path in rule.key]
    if any(not set(map(type, column)) <= {str, int} for column in columns):
        return None
    return [Record(key, value, False) for key, value in zip(key_hashes(columns), values, strict=True)]


def parse(line: bytes, rule: Rule) -> Record | Bad:
    """One JSON text as a record, or why it is none."""
    try:
        value, exotic = _value(line, rule.textual)
    except _Problem as problem:
        return Bad(str(problem), line)
    return accept(value, rule, line, exotic)


def accept(value: Any, rule: Rule, line: bytes, exotic: bool) -> Record | Bad:
    """A parsed value as a record, or why it is none."""
    if not isinstance(value, dict):
        return Bad(f"not an object but {type(value).__name__}", line, readable=True)
    if rule.null_values:
        value = _with_nulls(value, rule.null_values)
    key, missing = key_of(value, rule)
    if key is None:
        return Bad(f"the key field `{missing}` is missing, null or not a scalar", line, readable=True)
    problem = _unfit(value, line)
    return Bad(problem, line, key=key, readable=True) if problem else Record(key, value, exotic)


def key_of(record: dict[str, Any], rule: Rule) -> tuple[bytes | None, str]:
    """Hash of the key, or the name of the field that is missing."""
    values = []
    for path in rule.key:
        value = record.get(path, MISSING)
        if value is MISSING:
            value = dig(record, path)
        if value is MISSING or value is None or isinstance(value, dict | list):
            return None, path
        values.append(value)
    return key_hash(values), ""


def _value(line: bytes, textual: bool = False) -> tuple[Any, bool]:
    """The JSON value, and whether it has exotic numbers. `textual`: there are no numbers at all."""
    if len(line) > MAX_BYTES:
        raise _Problem(f"too large: {len(line):,} bytes of JSON, MongoDB holds 16 MB")
    if not textual and _precise_needed(line):
        return _precise(line)
    try:
        return orjson.loads(line), False
    except orjson.JSONDecodeError as error:
        return _precise(line) if _lenient(line) else _fail(f"not JSON: {error}")


def _precise_needed(text: bytes) -> bool:
    """Whether the text may hold a number that a double or 64 bits cannot: 16 digits, a big exponent."""
    shape = text.translate(_SHAPE)
    if any(long in shape for long in _LONG):
        return True
    if b"0e000" not in shape and b"0es000" not in shape:
        return False
    return any(_begins_as_number(shape, hit.start()) for hit in _EXPONENT.finditer(shape))


def _begins_as_number(shape: bytes, end: int) -> bool:
    """Whether the digits up to `end` are a number's, not part of an identifier."""
    before = shape[max(0, end - 400) : end + 1].rstrip(b"0")
    return not before or before[-1:] in b"ds"


def _fail(reason: str) -> tuple[Any, bool]:
    raise _Problem(reason)


def _lenient(line: bytes) -> bool:
    """Whether Python's parser takes it: lone surrogates, NaN, deep nesting."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _precise(line: bytes) -> tuple[Any, bool]:
    """Parses without losing a digit; slower."""
    exotic: list[bool] = []

    def number(text: str) -> float | Decimal:
        value, exact = float(text), Decimal(text)
        if Decimal(repr(value)) == exact:
            return value
        exotic.append(True)
        return exact

    def integer(text: str) -> int:
        if len(text) > 4000:
            raise _Problem(f"a number of {len(text):,} digits")
        value = int(text)
        if not -(2**63) <= value < 2**63:
            exotic.append(True)
        return value

    def constant(text: str) -> Any:
        raise _Problem(f"{text} is not a JSON number")

    try:
        value = json.loads(line, parse_float=number, parse_int=integer, parse_constant=constant)
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise _Problem(f"not JSON: {error}") from None
    return value, bool(exotic)


def _unfit(value: dict[str, Any], line: bytes) -> str:
    """Why a record cannot be stored; empty where it can. Only suspicious lines are walked."""
    if b"\\u0000" in line and any("\0" in text for text in _texts(value)):
        return "a NUL byte in a string: neither MongoDB's keys nor Postgres' text can hold it"
    if b"\\ud" in line.lower():
        for text in _texts(value):
            if any("\ud800" <= c <= "\udfff" for c in text):
                return "a lone surrogate in a string: not valid Unicode"
    if line.count(b"{") + line.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        return f"nested more than {MAX_DEPTH} levels deep"
    return ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _depth(value: Any) -> int:
    """Nesting, counted without recursion."""
    deepest, todo = 0, [(value, 1)]
    while todo:
        item, level = todo.pop()
        deepest = max(deepest, level)
        if isinstance(item, dict | list):
            inner = item.values() if isinstance(item, dict) else item
            todo.extend((i, level + 1) for i in inner if isinstance(i, dict | list))
    return deepest


def _with_nulls(value: dict[str, Any], nulls: frozenset[str]) -> dict[str, Any]:
    """Strings that mean null become null, on the top level and below."""
    try:
        if nulls.isdisjoint(value.values()):
            return value
    except TypeError:
        pass  # nested: its values cannot be members of a set
    return {
        name: (None if inner in nulls else inner)
        if isinstance(inner, str)
        else _with_nulls(inner, nulls)
        if isinstance(inner, dict)
        else inner
        for name, inner in value.items()
    }


def items_of(line: bytes, path: str | None, rule: Rule) -> Iterator[Record | Bad]:
    """The records of a document page."""
    try:
        document, exotic = _value(line) if len(line) <= MAX_BYTES else _document(line)
        found = records_in(document, path)
    except _Problem as problem:
        found, exotic = _salvaged(line, path, problem), False
        if isinstance(found, Bad):
            yield found
            return
    except ValueError as error:
        yield Bad(str(error), line)
        return
    for item in found:
        text = dump(item) if not isinstance(item, _Broken) else item.text
        if isinstance(item, _Broken):
            yield Bad(item.reason, text)
        elif len(text) > MAX_BYTES:
            key, _ = key_of(item, rule) if isinstance(item, dict) else (None, "")
            yield Bad("too large: MongoDB holds 16 MB", text, key=key, readable=key is not None)
        else:
            yield accept(item, rule, text, exotic or _precise_needed(text))


@dataclass(frozen=True)
class _Broken:
    text: bytes
    reason: str


def _document(line: bytes) -> tuple[Any, bool]:
    """A document longer than a record may be; its records are measured one by one."""
    if _precise_needed(line):
        return _precise(line)
    return orjson.loads(line), False


def _salvaged(line: bytes, path: str | None, problem: _Problem) -> Any:
    """NaN in one record must not spoil the others: parse leniently and test each record alone."""
    try:
        found = records_in(json.loads(line), path)
    except (ValueError, RecursionError):
        return Bad(str(problem), line)
    result: list[Any] = []
    for item in found:
        text = json.dumps(item).encode()
        try:
            result.append(_value(text)[0])
        except _Problem as reason:
            result.append(_Broken(text, str(reason)))
    return result


def to_bson(value: Any) -> Any:
    """Numbers that BSON has no type for become {"$number": digits}."""
    if isinstance(value, dict):
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
        if set(value) == {NUMBER}:
            text = value[NUMBER]
            return int(text) if text.lstrip("-").isdigit() else Decimal(text)
        return {name: from_bson(inner) for name, inner in value.items()}
    return [from_bson(inner) for inner in value] if isinstance(value, list) else value
