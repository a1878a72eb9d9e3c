"""A draft after a look at what its source gives: with keys, columns and lists that the first pages propose."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dataplatform.connectors.contract import Records
from dataplatform.connectors.trying import FirstPage
from dataplatform.drafting.proposals import proposal, records_path
from dataplatform.drafting.sources import Draft
from dataplatform.drafting.text import as_source, as_yaml, of_changes
from dataplatform.layers.bronze.scrub import records_of
from dataplatform.layers.raw.landing import header_of
from dataplatform.metadata.paths import records_in
from dataplatform.metadata.source import Source

TRIED = 20  # entities of which a first page is asked for
Look = Callable[[Source, Sequence[str]], Mapping[str, FirstPage]]


def looked_at(
    made: Draft, file: Path, look: Look, most: int = TRIED
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The document with what the first pages propose, and notes by entity. `look` asks for these pages."""
    parsed, notes = as_source(as_yaml(made.document), file), {"": list(made.notes)} if made.notes else {}
    names = list(parsed.entities)[:most]
    entities = {name: dict(about) for name, about in made.document["entities"].items()}
    for name, first in look(parsed, names).items():
        if first.error is not None or first.page is None:
            notes[name] = [str(first.error) if first.error else "it gave no record"]
            continue
        header = _with_records(first.page, entities[name], header_of(first.page))
        items = records_of(header, list(first.page.data), parsed.entities[name])
        records = [item.doc for item in items if hasattr(item, "doc")]
        known = entities[name]["key"] if isinstance(entities[name]["key"], list) else ()
        known = known or (first.schema.key if first.schema else ())
        if records:
            found = proposal(records, known, name, first.page.textual)
            entities[name] |= found.as_entity()
            notes[name] = [*found.notes, *of_changes(parsed, found), *_of_paging(parsed, len(records))]
    return {**made.document, "entities": entities}, notes


def _with_records(page: Records, entity: dict[str, Any], header: dict[str, Any]) -> dict[str, Any]:
    """The page's header with the path of its records, where a list lies deeper in the answer; the entity gets it."""
    if page.kind != "document" or page.records_path or "request" not in entity:
        return header
    document = json.loads(page.data[0])
    path = records_path(document)
    if "." not in path or records_in(document, None) != [document]:
        return header
    entity["request"] = {**entity["request"], "records": path}
    return {**header, "records_path": path}


_FULL = (10, 15, 20, 25, 30, 50, 100, 200, 250, 500, 1000)  # records of a page, as APIs like them


def _of_paging(parsed: Source, count: int) -> list[str]:
    if parsed.connector.type != "rest" or count not in _FULL:
        return []
    return [
        f"the first page has {count} records; if the API has more, see that `run` reads them all: "
        "`paginator: auto` knows many ways of paging, not all (docs/sources/rest.md)"
    ]
