"""The contract test: what every connector must keep. Use it for your own in one line:

check_extract(extract, request_for(source, "hours"), secrets=["the-key"])
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from dataplatform.connectors.contract import (
    Deleted,
    Extract,
    ExtractTogether,
    Item,
    Records,
    Request,
    Schema,
    Since,
    State,
    Wanted,
)
from dataplatform.metadata.base import SecretRef
from dataplatform.metadata.paths import MISSING, dig
from dataplatform.metadata.source import Source, check_type
from dataplatform.secrets.masking import Noted


class ContractError(AssertionError):
    """A connector does not keep the contract."""


def request_for(source: Source, entity: str, resolve: Callable[[Any], Any] = lambda value: value) -> Request:
    """A request as the platform makes it: what `resolve` gives for a secret is noted."""
    noted = Noted()

    def resolved(value: Any) -> Any:
        if isinstance(value, Mapping) and set(value) == {"secret"}:  # within `config`, which has no model
            value = SecretRef(secret=str(value["secret"]))
        if isinstance(value, SecretRef):
            return noted.note(str(resolve(value)))
        if isinstance(value, Mapping):
            return {key: resolved(item) for key, item in value.items()}
        return resolve(value)

    return Request(source, entity, source.entities[entity], resolved, (Path.cwd(),), noted=noted)


def check_extract(
    extract: Extract, request: Request, since: Since | None = None, secrets: Iterable[str] = ()
) -> list[Item]:
    """Runs an extraction and raises ContractError where it breaks a rule; returns its items.

    The rules: nothing happens before the first item is asked for; items are those of the contract; a record, and
    a deleted key, is one line of bytes; a deleted key has all the fields of the entity's key; types of a schema are
    those that metadata know; what describes a page, and a state, can be written as JSON and holds no secret;
    closing half-way is fine; asking again gives the same; a state that was given is taken back.
    """
    wanted = since or Since()

    def ask(state: Any) -> Iterator[tuple[str, Item]]:
        asked = wanted if state is None else replace(wanted, state=state)
        items = extract(request, asked)
        if not isinstance(items, Generator):
            raise ContractError("extract is a generator, so that nothing happens before it is read")
        next(items, None)
        items.close()
        return ((request.name, item) for item in extract(request, asked))

    return [item for _, item in _checked(ask, {request.name: request}, tuple(secrets))]


def check_extract_together(
    extract: ExtractTogether, requests: Sequence[Request], secrets: Iterable[str] = ()
) -> list[tuple[str, Item]]:
    """The same for a connector whose entities come out of one process; every item names one that was asked for."""

    def ask(state: Any) -> Iterator[tuple[str, Item]]:
        states = state or {}
        wanted = [Wanted(request, Since(state=states.get(request.name))) for request in requests]
        items = extract(wanted)
        _must(isinstance(items, Generator), "extract_together is a generator")
        return items

    return _checked(ask, {request.name: request for request in requests}, tuple(secrets))


Ask = Callable[[Any], Iterator[tuple[str, Item]]]


def _checked(ask: Ask, requests: dict[str, Request], secrets: tuple[str, ...]) -> list[tuple[str, Item]]:
    items = list(ask(None))
    states: dict[str, Any] = {}
    for number, (name, item) in enumerate(items, 1):
        _must(name in requests, f"item {number} is of {name!r}, which was not asked for")
        _check_item(item, requests[name], f"item {number}", secrets)
        if isinstance(item, State):
            states[name] = orjson.loads(orjson.dumps(item.value))
    again = list(ask(None))
    _must(
        [_told(item) for _, item in again] == [_told(item) for _, item in items],
        "asked again, with nothing changed at the source, it gives something else",
    )
    if states:
        state = states if len(requests) > 1 else next(iter(states.values()))
        for number, (name, item) in enumerate(ask(state), 1):
            _check_item(item, requests[name], f"item {number} after the state", secrets)
    return items


def _told(item: Item) -> Any:
    """What two extractions must have in common."""
    match item:
        case Records() | Deleted():
            return list(item.data)
        case Schema():
            return dict(item.fields), item.key
        case State():
            return item.value


def _check_item(item: Item, request: Request, where: str, secrets: tuple[str, ...]) -> None:
    match item:
        case Records():
            _check_page(item, where)
            _check_lines(item.data, where)
            _check_json(dict(item.request), f"{where}: its request", secrets)
        case Deleted():
            _check_lines(item.data, where)
            for line in item.data:
                _check_key(line, request.entity.key, where)
            _check_json(dict(item.request), f"{where}: its request", secrets)
        case Schema():
            _check_schema(item, where)
        case State():
            _check_json(item.value, f"{where}: the state", secrets)
        case _:
            _must(False, f"{where} is a {type(item).__name__}, not Records, Schema, State or Deleted")


def _check_page(page: Records, where: str) -> None:
    _must(page.kind in ("records", "document", "unchanged"), f"{where}: kind {page.kind!r}")
    _must(page.kind != "document" or len(page.data) == 1, f"{where}: a document page is one text")
    _must(page.kind != "unchanged" or not page.data, f"{where}: an unchanged page has no data")
    _must(page.kind != "unchanged" or page.part is not None, f"{where}: unchanged, but which part?")


def _check_lines(lines: Iterable[bytes], where: str) -> None:
    for line in lines:
        _must(isinstance(line, bytes), f"{where}: a record is bytes, not {type(line).__name__}")
        _must(b"\n" not in line and b"\r" not in line, f"{where}: a record is one line")


def _check_key(line: bytes, key: Sequence[str], where: str) -> None:
    document = orjson.loads(line)
    missing = [path for path in key if dig(document, path) in (MISSING, None)]
    _must(not missing, f"{where}: a deleted key lacks {', '.join(missing)}")


def _check_schema(schema: Schema, where: str) -> None:
    for field, type_ in schema.fields.items():
        _must(isinstance(field, str), f"{where}: a field's name is text")
        try:
            check_type(type_) if type_ else None
        except ValueError as error:
            raise ContractError(f"{where}: {field}: {error}") from None
    _must(set(schema.key) <= set(schema.fields), f"{where}: the key's fields are among the fields")


def _check_json(value: Any, what: str, secrets: tuple[str, ...]) -> None:
    try:
        text = orjson.dumps(value).decode()
    except TypeError as error:
        raise ContractError(f"{what} cannot be written as JSON: {error}") from None
    _must(not any(secret in text for secret in secrets), f"{what} holds a secret")


def _must(condition: bool, rule: str) -> None:
    if not condition:
        raise ContractError(rule)
