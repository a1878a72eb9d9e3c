"""Tries sources: asks each entity for its first page, and keeps nothing. For `check --connect` and `run --dry`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataplatform.connectors.contract import Item, Records, Request, Schema, Since, Wanted
from dataplatform.connectors.registry import extract_of, extract_together_of, receives
from dataplatform.errors import DataplatformError
from dataplatform.metadata.source import Source
from dataplatform.secrets.masking import masked_errors


@dataclass
class FirstPage:
    """What an entity gave first: a page of records, perhaps what it says of its columns; or why it gave nothing."""

    page: Records | None = None
    schema: Schema | None = None
    error: DataplatformError | None = None
    said: list[str] = field(default_factory=list)


def first_pages(source: Source, requests: Sequence[Request], folder: Path) -> dict[str, FirstPage]:
    """Of each entity its first page. An error of one is its own; of a process that gives all, everybody's."""
    found = {request.name: FirstPage() for request in requests}
    if receives(source):
        return found
    try:
        extract = extract_of(source, folder)
        together = extract_together_of(source, folder) if extract is None else None
    except DataplatformError as error:
        return {name: FirstPage(error=error) for name in found}
    if together is not None:
        _take(together([Wanted(request, Since()) for request in requests]), found)
    else:
        for request in requests:
            assert extract is not None
            items: Any = extract(request, Since())
            one = {request.name: found[request.name]}
            _take(((request.name, item) for item in items), one, items)
    return found


def _take(items: Iterator[tuple[str, Item]], found: dict[str, FirstPage], inner: Any = None) -> None:
    """Reads until each has a page."""
    try:
        with masked_errors(), closing(inner if inner is not None else items):  # type: ignore[type-var]  # generators
            for name, item in items:
                one = found[name]
                if isinstance(item, Schema):
                    one.schema = item
                elif isinstance(item, Records) and one.page is None:
                    one.page = item
                if all(other.page is not None for other in found.values()):
                    return
    except DataplatformError as error:
        for one in found.values():
            one.error = error if one.page is None else None
