"""From raw lines to records: what can be a document of bronze, and what goes to quarantine.

One record never stops a batch: whatever happens while it is read, it ends as a `Record` or as a `Bad`.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from traceback import extract_tb
from typing import Any, NamedTuple

import bson
import orjson

from dataplatform.layers.bronze.numerals import Notation, plain_numbers
from dataplatform.layers.bronze.quarantine import Bad
from dataplatform.layers.bronze.texts import (
    MAX_BYTES,
    Marked,
    Problem,
    Value,
    document_value,
    precise_needed,
    record_value,
    to_bson,
)
from dataplatform.metadata.paths import MISSING, dig, records_in
from dataplatform.records.record import ITEM, dump, key_hash, key_hashes

MAX_DEPTH = 90  # MongoDB's limit is 100
MAX_NAME = 1_000  # bytes of a field's path; Postgres' indexes end at 2,700
MAX_BSON = 16_700_000  # of the 16 MiB that a document may have; the rest is for our own fields
# what is searched for in all lines begins with a byte that few of them have: all else is passed over fast
_ESCAPES = re.compile(rb"\\(?=u0000|u[dD]|u0024|u005)")  # of NUL, surrogates, $ and [
_ITEM = re.compile(rb"\[(?=\]\.)")
_NO_OPENERS = bytes(set(range(256)) - set(b"{[\n"))
_NAME = re.compile(rb'"[^"]{100,}"[ \t\r\n]*:')
SURE = 2_000_000  # bytes of JSON that are less than that in BSON, whatever they are: [1,1,…] takes 6.5 times the room

log = logging.getLogger(__name__)


NO_KEY = bytes(16)  # in place of a key that is made of the content, later


@dataclass(frozen=True)
class Rule:
    """How records of an entity are read. `whole`: paths that stay JSON, and are not paths to others.

    `told`: the places of our own defects that the log has already.
    """

    key: tuple[str, ...]
    null_values: frozenset[str]
    textual: bool
    notation: Notation | None = None
    whole: frozenset[str] = frozenset()
    told: set[str] = field(default_factory=set, compare=False, repr=False)

    def identity(self) -> str:
        """Same identity, same reading. What is not said is not part of it: nothing is read again for it."""
        whole = [sorted(self.whole)] if self.whole else []
        notation = [self.notation.decimal, self.notation.thousands] if self.notation else []
        return json.dumps([self.key, sorted(self.null_values), self.textual, 1, *notation, *whole])


class Record(NamedTuple):
    """A record that bronze can hold. `exotic`: it has what BSON has no type for, or takes for something else."""

    key: bytes
    doc: dict[str, Any]
    exotic: bool


Plain = tuple[list[bytes], list[dict[str, Any]]]


def parse_block(lines: list[bytes], rule: Rule) -> list[Record | Bad]:
    """Many JSON texts at once: what is plain for all of them is not asked of each."""
    plain = plain_block(lines, rule)
    return list(map(Record, *plain, repeat(False))) if plain else [parse(line, rule) for line in lines]


def plain_block(lines: list[bytes], rule: Rule) -> Plain | None:
    """Their keys and what they hold, where all of them are plain; else None."""
    try:
        return _plain(lines, rule)
    except Exception:  # one by one we see whose it is, and say so
        return None


def _plain(lines: list[bytes], rule: Rule) -> Plain | None:
    """None where one needs a closer look."""
    joined = b"\n".join(lines)
    if len(joined) > MAX_BYTES or (not rule.textual and precise_needed(joined)):
        return None
    if len(joined) > SURE and max(map(len, lines)) > SURE:
        return None
    if _ITEM.search(joined) or (b"$" in joined and b"$ref" in joined):
        return None
    if b"\\" in joined and _ESCAPES.search(joined):
        return None
    if max(map(len, joined.translate(None, _NO_OPENERS).split(b"\n"))) > MAX_DEPTH:
        return None
    try:
        values = list(map(orjson.loads, lines))
    except orjson.JSONDecodeError:
        return None
    if set(map(type, values)) != {dict}:
        return None
    if max(map(len, lines)) > MAX_NAME and any(map(_long_name, values, lines)):
        return None
    if rule.null_values or rule.notation:
        values = [_read(value, rule) for value in values]
    if not rule.key:  # `key: row`: known when all of the batch is
        return [NO_KEY] * len(values), values
    columns = [[value.get(path) for value in values] for path in rule.key]
    if any(not set(map(type, column)) <= {str, int} for column in columns):
        return None
    return key_hashes(columns), values


def parse(line: bytes, rule: Rule) -> Record | Bad:
    """One JSON text as a record, or why it is none."""
    try:
        value = record_value(line, rule.textual)
        return accept(value.value, rule, line, value.exotic)
    except Problem as problem:
        return Bad(str(problem), line)
    except Exception as error:
        return _defect(error, line, rule)


def accept(value: Any, rule: Rule, line: bytes, exotic: bool) -> Record | Bad:
    """A parsed value as a record, or why it is none."""
    if not isinstance(value, dict):
        return Bad(f"not an object but {type(value).__name__}", line, readable=True)
    problem = _unfit(value, line)
    if not problem:
        value = _read(value, rule)
    key, missing = key_of(value, rule)
    if key is None:
        return Bad(f"the key field `{missing}` is missing, null or not a scalar", line, readable=True)
    if problem:
        return Bad(problem, line, key=key, readable=True)
    return Record(key, value, exotic or b"$ref" in line or b"\\u0024" in line)


def _defect(error: Exception, text: bytes, rule: Rule) -> Bad:
    """What we failed at. The log has the traceback once for each place of a load."""
    frames = extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno} {type(error).__name__}" if frames else ""
    reason = f"a defect of dataplatform: {type(error).__name__}: {error}"[:1000]
    if place not in rule.told:
        rule.told.add(place)
        log.error("a record goes to quarantine: %s", reason, exc_info=error)
    return Bad(reason.encode("utf-8", "backslashreplace").decode(), text)


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


def _unfit(value: dict[str, Any], line: bytes) -> str:
    """Why a record cannot be stored; empty where it can. Only suspicious lines are walked."""
    if line.count(b"{") + line.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        return f"nested more than {MAX_DEPTH} levels deep"
    if b"\\u0000" in line and any("\0" in text for text in _texts(value)):
        return "a NUL byte in a string: neither MongoDB's keys nor Postgres' text can hold it"
    if b"\\ud" in line.lower() and any("\ud800" <= c <= "\udfff" for text in _texts(value) for c in text):
        return "a lone surrogate in a string: not valid Unicode"
    if _long_name(value, line):
        return f"the name of a field, with those above it, is longer than {MAX_NAME:,} bytes"
    if (b"[]." in line or b"\\u005" in line) and any(ITEM in name for name in _names(value)):
        return f"a field's name holds `{ITEM}`, which stands for the items of a list in silver's paths"
    if len(line) > SURE and (size := len(bson.encode(to_bson(value)))) > MAX_BSON:
        return f"too large: {size:,} bytes in MongoDB, which holds 16 MB"
    return ""


def _long_name(value: dict[str, Any], line: bytes) -> bool:
    """Whether the path of a field is too long for a name; few lines may hold one, and only those are walked."""
    if len(line) <= MAX_NAME:
        return False
    if line.count(b"{") <= 20 and (b"\\" not in line or line.count(b'\\"') <= 200) and not _NAME.search(line):
        return False
    return any(length > MAX_NAME for length in _name_lengths(value))


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _names(inner)


def _name_lengths(value: Any, above: int = 0) -> Iterator[int]:
    """Bytes of the path of each field."""
    if isinstance(value, dict):
        for name, inner in value.items():
            length = above + len(name.encode("utf-8", "surrogatepass"))
            yield length
            yield from _name_lengths(inner, length + 2)
    elif isinstance(value, list):
        for inner in value:
            yield from _name_lengths(inner, above)


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


def _read(value: dict[str, Any], rule: Rule) -> dict[str, Any]:
    """Texts that mean null or a number, by the entity's rule."""
    if rule.null_values:
        value = _with_nulls(value, rule.null_values)
    return plain_numbers(value, rule.notation) if rule.notation else value


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
        document = document_value(line)
        found = records_in(document.value, path)
    except (Problem, ValueError) as problem:
        yield Bad(str(problem).encode("utf-8", "backslashreplace").decode(), line)
        return
    except Exception as error:
        yield _defect(error, line, rule)
        return
    for item in found:
        yield _item(item, document, rule)


def _item(item: Any, document: Value, rule: Rule) -> Record | Bad:
    """One record of a document."""
    text = b""
    try:
        text = _text_of(item)
        marked = next(_marked(item), None) if document.marked else None
        if marked is not None:
            return Bad(marked.reason, text)
        if len(text) > MAX_BYTES:
            key, _ = key_of(item, rule) if isinstance(item, dict) else (None, "")
            return Bad("too large: MongoDB holds 16 MB", text, key=key, readable=key is not None)
        return accept(item, rule, text, document.exotic or precise_needed(text))
    except RecursionError:
        return Bad(f"nested more than {MAX_DEPTH} levels deep", text)
    except Exception as error:
        return _defect(error, text, rule)


def _text_of(item: Any) -> bytes:
    """The JSON text of a record; with escapes and NaN, where it has what is not JSON."""
    try:
        return dump(item)
    except (TypeError, ValueError, RecursionError):
        return json.dumps(item, default=lambda other: getattr(other, "shown", None) or str(other)).encode()


def _marked(value: Any) -> Iterator[Marked]:
    """What stands in a value in place of numbers that are none."""
    if isinstance(value, Marked):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _marked(inner)
