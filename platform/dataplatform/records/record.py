"""What a record is: its typed key, its flattened form and the hashes that identify both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from hashlib import blake2b
from typing import Any

import orjson
import xxhash

from dataplatform.names import digest

HASH_VERSION = 3  # of row_hash; raise it when the rule changes
ITEM = "[]."  # between the path of a list and the fields of its items

_NESTED = frozenset({dict, list})

_EXACT = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX)  # the usual one keeps 28 digits

Scalars = dict[str, Any]
Lists = dict[str, list[Any]]


def flatten(record: Mapping[str, Any], whole: frozenset[str] = frozenset()) -> tuple[Scalars, Lists]:
    """Scalars by path (`a__b`) and lists by path. Paths in `whole` stay JSON values."""
    if _NESTED.isdisjoint(map(type, record.values())):
        return dict(record), {}
    scalars: Scalars = {}
    lists: Lists = {}
    for name, value in record.items():
        kind = type(value)
        if kind is dict and value and name not in whole:
            _object(name, value, scalars, lists, whole)
        elif kind is list and name not in whole:
            _put(lists, name, value)
        elif kind is dict and not value and name not in whole:
            _put(scalars, name, None)
        else:
            _put(scalars, name, value)
    return scalars, lists


def _object(
    path: str, value: Mapping[str, Any], scalars: Scalars, lists: Lists, whole: frozenset[str]
) -> None:
    """The fields of a nested object; most hold scalars only, and go in one sweep."""
    flat = {f"{path}__{name}": inner for name, inner in value.items()}
    if _NESTED.isdisjoint(map(type, value.values())) and scalars.keys().isdisjoint(flat):
        scalars.update(flat)
        return
    for name, inner in flat.items():
        _nested(name, inner, scalars, lists, whole)


def _nested(path: str, value: Any, scalars: Scalars, lists: Lists, whole: frozenset[str]) -> None:
    if path in whole or not isinstance(value, dict | list):
        _put(scalars, path, value)
    elif isinstance(value, list):
        _put(lists, path, value)
    elif not value:
        _put(scalars, path, None)
    else:
        for name, inner in value.items():
            _nested(f"{path}__{name}", inner, scalars, lists, whole)


def _put(into: dict[str, Any], path: str, value: Any) -> None:
    """`{"a": {"b": 1}, "a__b": 2}` has two values for one path: the second gets a path of its own."""
    while path in into:
        path = f"{path}_{digest(path + '#')}"
    into[path] = value


def item_fields(item: Any) -> Mapping[str, Any]:
    """A list's item as a record; what is no object gets the one field `value`."""
    return item if isinstance(item, dict) else {"value": item}


def within(paths: Iterable[str], prefix: str) -> frozenset[str]:
    """The paths that begin with the prefix, without it."""
    return frozenset(p[len(prefix) :] for p in paths if p.startswith(prefix))


def key_part(value: Any) -> bytes | None:
    """One field of a key: its type and its text; None for what cannot be part of a key."""
    if value is None or isinstance(value, dict | list):
        return None
    if isinstance(value, bool):
        return b"b1" if value else b"b0"
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogatepass")
    if isinstance(value, int):
        return b"i%d" % value
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if number == number.to_integral_value():
        return b"i%d" % int(number)
    return b"n" + str(number.normalize(_EXACT)).encode()


def key_hash(values: Iterable[Any], scope: bytes = b"") -> bytes | None:
    """16 bytes of blake2b over the typed, length-prefixed fields; None where one is missing."""
    hasher = blake2b(scope, digest_size=16)
    for value in values:
        part = key_part(value)
        if part is None:
            return None
        hasher.update(b"%d:" % len(part) + part)
    return hasher.digest()


def key_hashes(columns: Sequence[Sequence[str | int]]) -> list[bytes]:
    """`key_hash` of many keys, of strings and integers; a column for each field."""
    parts = [_sized_parts(column) for column in columns]
    texts = parts[0] if len(parts) == 1 else map(b"".join, zip(*parts, strict=True))
    return [blake2b(text, digest_size=16).digest() for text in texts]


def _sized_parts(column: Sequence[str | int]) -> list[bytes]:
    texts = [
        b"s" + value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b"i%d" % value
        for value in column
    ]
    return [b"%d:%b" % (len(text), text) for text in texts]


def number_text(value: Any) -> Any:
    """orjson's `default`: numbers it does not know keep all their digits."""
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value).encode())
    raise TypeError(type(value).__name__)


def dump(value: Any) -> bytes:
    """JSON with sorted keys; decimals and integers of any size."""
    try:
        return orjson.dumps(value, default=number_text, option=orjson.OPT_SORT_KEYS)
    except (TypeError, orjson.JSONEncodeError):
        return orjson.dumps(_fragments(value), option=orjson.OPT_SORT_KEYS)


def _fragments(value: Any) -> Any:
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        return orjson.Fragment(str(value).encode())
    if isinstance(value, dict):
        return {k: _fragments(v) for k, v in value.items()}
    return [_fragments(v) for v in value] if isinstance(value, list) else value


def content_id(record: Mapping[str, Any]) -> bytes:
    """Identity of a version: 16 bytes over the canonical JSON of its content."""
    return blake2b(dump(record), digest_size=16).digest()


def content_ids(records: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """`content_id` of many records."""
    try:
        texts = [orjson.dumps(record, number_text, orjson.OPT_SORT_KEYS) for record in records]
    except (TypeError, orjson.JSONEncodeError):
        texts = list(map(dump, records))
    return [blake2b(text, digest_size=16).digest() for text in texts]


def row_hash(fields: Mapping[str, str]) -> bytes:
    """Hash of what a row's columns hold: xxh3_128 over `path=text` of each that is not null, in the order of the paths.

    The texts are those of COPY, the same for the same value of a column's type (see `layers.silver.convert`).
    """
    parts = [f"{hash_path(path)}{fields[path]}\t" for path in sorted(fields)]
    return xxhash.xxh3_128_digest("".join(parts).encode())


def hash_path(path: str) -> str:
    """A path as it begins a part of a row's hash."""
    return escape(path).replace("=", "\\=") + "="


def plain(number: int | float | Decimal) -> str:
    """The digits of a number, the same for the same number whatever its type and however it was written.

    >>> plain(3038.0), plain(Decimal("1.10")), plain(1e3), plain(1e22), plain(-0.0)
    ('3038', '1.1', '1000', '10000000000000000000000', '0')
    """
    if isinstance(number, int):
        return str(number)
    text = repr(number) if isinstance(number, float) else format(number, "f")
    if "e" in text:
        text = format(Decimal(text), "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def canonical(value: Any) -> Any:
    """A JSON value whose numbers are written plainly: what is equal becomes the same text."""
    if isinstance(value, float | Decimal):
        return orjson.Fragment(plain(value).encode())
    if isinstance(value, dict):
        return {name: canonical(inner) for name, inner in value.items()}
    return [canonical(inner) for inner in value] if isinstance(value, list) else value


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def escape(text: str) -> str:
    """Text without tabs and line ends: a field of COPY's text format."""
    if "\\" in text or "\t" in text or "\n" in text or "\r" in text:
        return text.translate(_ESCAPES)
    return text  # the usual case: looking is cheaper than translating
