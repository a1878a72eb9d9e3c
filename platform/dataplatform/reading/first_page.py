"""What a source would deliver first: asked of it, shown, and landed nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from dataplatform.connectors import Records, Since
from dataplatform.connectors.registry import extract_of
from dataplatform.context import Platform
from dataplatform.errors import DataplatformError
from dataplatform.metadata.source import Source
from dataplatform.records.refs import EntityRef
from dataplatform.requesting import request_of

LINES, LONGEST = 3, 1_500  # that are shown of a page; characters of a line
SECONDS = 15.0  # that a request may take
MOST = 8  # entities that are asked


@dataclass(frozen=True)
class FirstPage:
    """The first page of an entity: how many records, some of them as they came; or why there is none."""

    entity: str
    records: int
    lines: tuple[str, ...] = ()
    note: str = ""
    error: str = ""


def first_pages(platform: Platform, source: Source) -> list[FirstPage]:
    """Of a source that need not be in the catalog; secrets are masked, nothing is written."""
    catalog = replace(platform.catalog, sources={**platform.catalog.sources, source.source: source})
    own = replace(platform, catalog=catalog)
    return [_tried(own, source, name) for name in list(source.entities)[:MOST]]


def _tried(platform: Platform, source: Source, name: str) -> FirstPage:
    try:
        return _first(platform, source, name)
    except DataplatformError as error:
        return FirstPage(name, 0, error=str(error))


def _first(platform: Platform, source: Source, name: str) -> FirstPage:
    extract: Any = extract_of(source, platform.settings.connectors)
    if extract is None:
        return FirstPage(
            name, 0, note="all its entities come out of one process: run it to see what it gives"
        )
    request = replace(request_of(platform, EntityRef(source.source, name)), timeout=SECONDS)
    items: Iterator[Any] = extract(request, Since())
    with closing(items):  # type: ignore[type-var]  # a generator, as the contract says
        page = next((item for item in items if isinstance(item, Records)), None)
    if page is None:
        return FirstPage(name, 0, note="it delivered nothing")
    lines = [request.noted.masker.data(bytes(line)) for line in list(page.data)[:LINES]]
    shown = tuple(line.decode("utf-8", "replace")[:LONGEST] for line in lines)
    what = "a document: its records are taken out of it when it is loaded" if page.kind == "document" else ""
    rejects = f"{len(page.rejects)} lines are no records: {page.rejects[0].reason}" if page.rejects else ""
    note = "; ".join(part for part in (what, rejects) if part)
    return FirstPage(name, len(page.data), shown, note)
