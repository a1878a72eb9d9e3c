"""The contract: `extract(request, since)` yields what a source says: `Records | Schema | State | Deleted`.

An `extract` opens what it needs, yields items as the source delivers them and closes everything when
it is exhausted or closed. It writes nowhere, keeps no state and never interprets: bytes of JSON go in,
what is not JSON (CSV rows, SQL rows) becomes JSON objects with the source's own field names.

A connector that offers `extract` can read its entities one by one; they are read side by side. One whose process
gives all of them at once offers `extract_together(wanted)` instead, and names the entity of each item.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import UUID

import orjson

from dataplatform.metadata.source import Connector, Entity, Source
from dataplatform.secrets.masking import Noted


@dataclass(frozen=True, slots=True)
class Since:
    """Where an earlier run came to.

    `cursor`: lowest value of the cursor field that is still wanted (the overlap is already taken
    off), or None to read from the beginning. `digests`: of parts (files) landed by the batch before;
    a part with the same digest need not be delivered again. `state`: the newest `State` whose data silver
    has, as the connector wrote it; None before the first, and where everything is to be read. `window`: from when to
    when, of a backfill: the cursor is not what it begins at, and stays where it is.
    """

    cursor: str | int | float | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    state: Any = None
    window: tuple[str, str] | None = None


@dataclass(frozen=True)
class Request:
    """What is asked of a connector. `resolve` turns `{secret: name}` into the value; call it late.

    What it resolves is masked wherever it would be written. `noted.note(token)` does the same for what a connector
    learns while it runs, such as a session's token.
    `base_dirs`: where relative paths begin; `variables`: what `${NAME}` in a path stands for.
    `connectors`: the folder of
    a person's own Python; `inbox`: what was pushed for the batch, so many records at a time; `home`: where what is
    rotated is kept (`secrets/kept.py`), None where nothing can be.
    """

    source: Source
    name: str
    entity: Entity
    resolve: Callable[[Any], Any]
    base_dirs: tuple[Path, ...] = (Path(),)
    variables: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 60.0
    noted: Noted = field(default_factory=Noted)
    connectors: Path = Path("connectors")
    home: Path | None = None
    inbox: Callable[[], Iterator[list[bytes]]] = lambda: iter(())


ConnectorT = TypeVar("ConnectorT", bound=Connector)
EntityT = TypeVar("EntityT", bound=Entity)


def of_kind(
    request: Request, connector: type[ConnectorT], entity: type[EntityT]
) -> tuple[ConnectorT, EntityT]:
    """The connector and the entity of a request, as the models of one kind."""
    if isinstance(request.source.connector, connector) and isinstance(request.entity, entity):
        return request.source.connector, request.entity
    raise TypeError(f"{request.source.source} is no source of the kind {connector.__name__}")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the source that is known by name and content, such as a file.

    `digest`: of its content, then `-` and a hash of how it was read, where that is not the usual way. `original`: a
    local file with that content, where what is landed is not all of it; it is kept beside raw.
    """

    name: str
    digest: str
    original: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """Something that is not a record: a CSV row with too many fields, say."""

    text: str
    reason: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Records:
    """One page of records, as the source delivered it.

    kind `records`: each item of `data` is the JSON text of one record, without line ends.
    kind `document`: `data` holds one JSON text, and `records_path` says where in it the records are
    (None: the document itself, or its only list).
    kind `unchanged`: `part` is the same as in the batch before, and `data` is empty.
    `request` describes how the page was asked for; it never holds a secret.
    `columns` are the fields of a tabular source, also those without a value on this page.
    """

    data: tuple[bytes, ...] | list[bytes]
    request: Mapping[str, Any] = field(default_factory=dict)
    kind: Literal["records", "document", "unchanged"] = "records"
    records_path: str | None = None
    columns: tuple[str, ...] | None = None
    rejects: tuple[Reject, ...] = ()
    part: Part | None = None
    textual: bool = False  # values are text that may mean numbers (CSV)


Page = Records  # its name before a source could say more than records


@dataclass(frozen=True, slots=True)
class Schema:
    """What the source itself knows of its records: its fields in their order, each with its type.

    A type is a column's type as metadata writes it (`numeric(10,2)`, `timestamptz`…), or None where the source
    does not say. `key`: the fields of its primary key, if it has one.
    """

    fields: Mapping[str, str | None]
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """Where the source stands after what has been yielded so far: any JSON, the connector's own business.

    It is kept with the batch and becomes `Since.state` when, and only when, silver has the batch's data. Of
    several the last one counts. Of an entity with `cursor:` it is the greatest value of that field.
    """

    value: Any


@dataclass(frozen=True, slots=True)
class Deleted:
    """Records that the source says are gone: of each the JSON object of its key's fields, without line ends.

    May come in any load, full or delta. A key counts as ended from this place in the stream on; with
    `effective_at` and that field in the object, from that time.
    """

    data: tuple[bytes, ...] | list[bytes]
    request: Mapping[str, Any] = field(default_factory=dict)


Item = Records | Schema | State | Deleted
Extract = Callable[[Request, Since], Iterator[Item]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One entity among those that are read together."""

    request: Request
    since: Since


ExtractTogether = Callable[[Sequence[Wanted]], Iterator[tuple[str, Item]]]
"""Items of all the entities wanted, in any order, each with its entity's name."""


def deleted(keys: Iterable[Mapping[str, Any]], **more: Any) -> Deleted:
    """Keys that ended, from Python mappings.

    >>> deleted([{"id": 7}]).data
    [b'{"id":7}']
    """
    return Deleted([encode(key) for key in keys], **more)


def page_of(records: Iterable[Mapping[str, Any]], **more: Any) -> Records:
    """A page of Python mappings; dates, decimals, UUIDs and bytes become text.

    What JSON cannot hold (an object that holds itself, a value with no text) goes to quarantine alone.
    """
    lines: list[bytes] = []
    rejects: list[Reject] = list(more.pop("rejects", ()))
    for record in records:
        try:
            lines.append(encode(record))
        except Exception as error:  # a value's own __str__ may raise anything
            rejects.append(_rejected(record, error))
    return Records(lines, rejects=tuple(rejects), **more)


def _rejected(record: Any, error: Exception) -> Reject:
    """The record as Python shows it, its first thousand characters."""
    try:
        text = repr(record)
    except Exception:  # as above
        text = f"a {type(record).__name__} that cannot be shown"
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Reject(text[:1000], f"cannot be written as JSON: {said}"[:1000])


def encode(record: Any) -> bytes:
    """JSON of a value. Decimals keep their digits, big integers too, NaN and infinity become text."""
    try:
        text = orjson.dumps(record, default=_default, option=_OPTIONS)
        return text if b"null" not in text else _careful(record)
    except (orjson.JSONEncodeError, TypeError):
        return _careful(record)


_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z


def _careful(record: Any) -> bytes:
    return orjson.dumps(_portable(record), default=_default, option=_OPTIONS)


def _portable(value: Any) -> Any:
    """What orjson would lose: NaN becomes null there, integers beyond 64 bits raise."""
    if isinstance(value, float) and not math.isfinite(value):
        return orjson.Fragment(b'"' + str(value).encode() + b'"')
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return orjson.Fragment(str(value).encode())
    if isinstance(value, str) and "\ud800" <= max(value, default="") <= "\udfff":
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {str(k): _portable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(v) for v in value]
    return value


def _default(value: Any) -> Any:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        if not value.is_finite():
            return str(value)
        return orjson.Fragment(format(value, "f").encode())
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, UUID | Path):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, int):
        return orjson.Fragment(str(value).encode())
    if hasattr(value, "__dict__") or hasattr(value, "__slots__"):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__} cannot be written as JSON")
