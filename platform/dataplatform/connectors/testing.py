"""The contract test: what every connector must keep. Use it for your own in one line:

check_extract(extract, request_for(source, "hours"), secrets=["the-key"])
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson

from dataplatform.connectors.contract import Extract, Page, Request, Since
from dataplatform.metadata.source import Source


class ContractError(AssertionError):
    """A connector does not keep the contract."""


def request_for(source: Source, entity: str, resolve: Callable[[Any], Any] = lambda value: value) -> Request:
    """A request as the platform makes it."""
    return Request(source, entity, source.entities[entity], resolve, (Path.cwd(),))


def check_extract(
    extract: Extract, request: Request, since: Since | None = None, secrets: Iterable[str] = ()
) -> list[Page]:
    """Runs an extraction and raises ContractError where it breaks a rule; returns its pages.

    The rules: nothing happens before the first page is asked for; pages are Pages; a record is one
    line of bytes; what describes a page can be written as JSON and holds no secret; closing half-way is
    fine; asking again gives the same.
    """
    wanted = since or Since()
    stream: Any = extract(request, wanted)
    _must(inspect.isgenerator(stream), "extract is a generator, so that nothing happens before it is read")
    next(stream, None)
    stream.close()
    pages = list(extract(request, wanted))
    for number, page in enumerate(pages, 1):
        _must(isinstance(page, Page), f"page {number} is a {type(page).__name__}, not a Page")
        _check_page(page, number, tuple(secrets))
    again = list(extract(request, wanted))
    _must(
        [p.data for p in again] == [p.data for p in pages],
        "asked again, with nothing changed at the source, it gives something else",
    )
    return pages


def _check_page(page: Page, number: int, secrets: tuple[str, ...]) -> None:
    where = f"page {number}"
    _must(page.kind in ("records", "document", "unchanged"), f"{where}: kind {page.kind!r}")
    _must(page.kind != "document" or len(page.data) == 1, f"{where}: a document page is one text")
    _must(page.kind != "unchanged" or not page.data, f"{where}: an unchanged page has no data")
    _must(page.kind != "unchanged" or page.part is not None, f"{where}: unchanged, but which part?")
    for item in page.data:
        _must(isinstance(item, bytes), f"{where}: a record is bytes, not {type(item).__name__}")
        _must(b"\n" not in item and b"\r" not in item, f"{where}: a record is one line")
    try:
        described = orjson.dumps(dict(page.request)).decode()
    except TypeError as error:
        raise ContractError(f"{where}: its request cannot be written as JSON: {error}") from None
    _must(not any(secret in described for secret in secrets), f"{where}: a secret is in its request")


def _must(condition: bool, rule: str) -> None:
    if not condition:
        raise ContractError(rule)
