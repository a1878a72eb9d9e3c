"""What a source would deliver first, as it would arrive in silver: asked of it, shown, and kept nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from dataplatform.connectors import Records, Request
from dataplatform.connectors.registry import extract_of, receives
from dataplatform.connectors.trying import FirstPage, first_pages
from dataplatform.context import Platform
from dataplatform.errors import DataplatformError
from dataplatform.layers.bronze.scrub import records_of
from dataplatform.layers.raw.landing import header_of
from dataplatform.layers.silver.plan import whole_paths
from dataplatform.metadata.source import Entity, Source
from dataplatform.records.kinds import LISTS, POSTGRES, decided, kinds_of_values
from dataplatform.records.record import flatten
from dataplatform.requesting import request_by
from dataplatform.secrets import Secrets
from dataplatform.secrets.masking import Noted

SHOWN = 10  # rows
SECONDS = 15.0  # that a request may take
MOST = 8  # entities that are asked


@dataclass(frozen=True)
class Arriving:
    """The first page of an entity as silver would have it. `lists`: items of nested lists, by path, tables of
    their own; `set_aside`: why records would wait in quarantine; `error`: why there is no page; `note`:
    why none was asked."""

    read: int = 0
    columns: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[Mapping[str, Any], ...] = ()
    lists: Mapping[str, int] = field(default_factory=dict)
    set_aside: tuple[str, ...] = ()
    error: str = ""
    note: str = ""


def arriving(platform: Platform, source: Source, typed: Mapping[str, str]) -> dict[str, Arriving]:
    """Of a source that need not be in the catalog; `typed`: secrets that are in no store yet. Secrets are masked."""
    if receives(source):
        return {name: Arriving(note="it is sent, not asked for") for name in source.entities}
    try:
        if extract_of(source, platform.settings.connectors) is None:
            note = "all its entities come out of one process: run it to see what it gives"
            return {name: Arriving(note=note) for name in source.entities}
    except DataplatformError as error:
        return {name: Arriving(error=str(error)) for name in source.entities}
    requests = requests_of(platform, source, typed, list(source.entities)[:MOST])
    pages = first_pages(source, requests, platform.settings.connectors)
    return {r.name: as_silver(source.entities[r.name], pages[r.name], r.noted) for r in requests}


def requests_of(
    platform: Platform, source: Source, typed: Mapping[str, str], names: Sequence[str]
) -> list[Request]:
    """What is asked of a source that is tried: no longer than a person waits for a page."""
    known = platform.secrets
    secrets = Secrets((Typed(typed), *known.stores), known.noted)
    noted = Noted(known.noted)
    resolve = partial(secrets.resolve, noted=noted)
    dirs = platform.base_dirs
    found = [request_by(platform.settings, source, name, resolve, noted, dirs) for name in names]
    return [replace(request, timeout=SECONDS) for request in found]


@dataclass(frozen=True)
class Typed:
    """Secrets that a person has typed a moment ago, as a store."""

    values: Mapping[str, str] = field(repr=False)
    name: str = "typed"

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    def names(self) -> list[str]:
        return sorted(self.values)

    def remedy(self, name: str) -> str:
        return "type it on this page"


def as_silver(entity: Entity, first: FirstPage, noted: Noted | None = None) -> Arriving:
    """The page as its rows would arrive: flat columns, lists beside, what would be set aside with its reason."""
    if first.error is not None:
        return Arriving(error=str(first.error))
    if first.page is None:
        return Arriving(note="it delivered nothing")
    rows: list[Mapping[str, Any]] = []
    lists: dict[str, int] = {}
    aside = [reject.reason for reject in first.page.rejects]
    for item in records_of(header_of(first.page), _lines(first.page, noted), entity):
        if not hasattr(item, "doc"):
            aside.append(item.reason)
            continue
        scalars, own = flatten(item.doc, whole_paths(entity))
        rows.append(scalars)
        for path, values in own.items():
            lists[path] = lists.get(path, 0) + len(values)
    read = len(rows) + len(aside) - len(first.page.rejects)
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    return Arriving(
        read, names, _types(entity, first, names, rows), tuple(rows[:SHOWN]), lists, tuple(aside[:SHOWN])
    )


def _lines(page: Records, noted: Noted | None) -> list[bytes]:
    lines = [bytes(line) for line in page.data]
    return noted.masker.lines(lines) if noted is not None else lines


def _types(
    entity: Entity, first: FirstPage, names: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Declared, known by the source, or what these values have in common: more of them may widen it."""
    known = {n: t for n, t in (first.schema.fields.items() if first.schema else ()) if t}
    textual = first.page is not None and first.page.textual
    found: dict[str, str] = {}
    for name in names:
        declared = entity.columns[name].type if name in entity.columns else None
        kind = decided(kinds_of_values([row.get(name) for row in rows], textual), entity.max_misfits)
        found[name] = declared or known.get(name) or ("" if kind == LISTS else POSTGRES[kind])
    return found
