"""`check --connect`, `check --contract` and `run --dry`: sources are asked, without a server and without
keeping anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from dataplatform.cli.common import out
from dataplatform.connectors import Request
from dataplatform.connectors.registry import extract_of, extract_together_of, receives
from dataplatform.connectors.testing import ContractError, check_extract, check_extract_together
from dataplatform.connectors.trying import FirstPage, first_pages
from dataplatform.errors import DataplatformError
from dataplatform.metadata import Catalog
from dataplatform.metadata.source import Source
from dataplatform.orchestration.blocks import known_secrets
from dataplatform.reading import first_page
from dataplatform.records.record import dump
from dataplatform.requesting import request_by
from dataplatform.secrets import Secrets
from dataplatform.secrets.masking import Noted, masked_errors
from dataplatform.settings import Settings


def try_source(
    settings: Settings,
    catalog: Catalog,
    source: Source,
    names: Sequence[str] = (),
    typed: Mapping[str, str] | None = None,
) -> dict[str, FirstPage]:
    """The first page of these entities, or of all; `typed`: secrets that are in no store yet."""
    return first_pages(source, _requests(settings, catalog, source, names, typed or {}), settings.connectors)


def _requests(
    settings: Settings, catalog: Catalog, source: Source, names: Sequence[str], typed: Mapping[str, str]
) -> list[Request]:
    known = known_secrets(settings)
    secrets = Secrets((first_page.Typed(typed), *known.stores), known.noted)
    noted = Noted(secrets.noted)
    resolve = partial(secrets.resolve, noted=noted)
    base_dirs = (Path.cwd(), (catalog.root / "sources").absolute())
    return [
        request_by(settings, source, name, resolve, noted, base_dirs) for name in names or source.entities
    ]


def keeps_contract(settings: Settings, catalog: Catalog, source: Source) -> dict[str, str]:
    """What in a source's connector breaks the contract, or fails, by entity; it is read three times over."""
    if receives(source):
        return {}
    requests = _requests(settings, catalog, source, tuple(source.entities), {})
    try:
        extract = extract_of(source, settings.connectors)
        together = extract_together_of(source, settings.connectors) if extract is None else None
    except DataplatformError as error:
        return {requests[0].name: str(error)}
    tries: dict[str, Callable[[], Any]] = {}
    if together is not None:
        tries[", ".join(source.entities)] = partial(check_extract_together, together, requests)
    elif extract is not None:
        tries = {r.name: partial(check_extract, extract, r) for r in requests}
    return {name: said for name, attempt in tries.items() if (said := _broken(attempt))}


def _broken(attempt: Callable[[], Any]) -> str:
    try:
        with masked_errors():
            attempt()
    except (ContractError, DataplatformError) as error:
        return str(error)
    return ""


def as_silver(source: Source, pages: dict[str, FirstPage]) -> dict[str, Any]:
    """The pages as their rows would arrive: flat columns, lists beside, what would be set aside with its reason."""
    return {name: _told(first_page.as_silver(source.entities[name], page)) for name, page in pages.items()}


def _told(one: first_page.Arriving) -> dict[str, Any]:
    if one.error:
        return {"error": one.error}
    return {
        "read": one.read, "columns": list(one.columns), "types": dict(one.types), "rows": [dict(r) for r in one.rows],
        "lists": dict(one.lists), "set_aside": list(one.set_aside),
    }  # fmt: skip


def show_dry(source: str, found: dict[str, Any]) -> None:
    for name, one in found.items():
        if "error" in one:
            out.print(
                f"{source}.{name}: {one['error']}", markup=False, highlight=False, style="red", soft_wrap=True
            )
            continue
        table = Table(title=f"{source}.{name}: {one['read']:,} records on the first page", title_style="bold")
        for column in one["columns"]:
            table.add_column(column, overflow="fold")
        for row in one["rows"]:
            table.add_row(*(_cell(row.get(column)) for column in one["columns"]))
        out.print(table)
        for path, count in one["lists"].items():
            out.print(
                f"  list {path}: {count:,} items, a table {source}__{name}__{path}",
                markup=False,
                highlight=False,
            )
        for reason in one["set_aside"]:
            out.print(f"  would wait in quarantine: {reason}", markup=False, highlight=False, style="yellow")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else dump(value).decode()
