"""A draft after a look at what its source gives: with keys, columns and lists that the first pages propose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dataplatform.connectors.trying import FirstPage
from dataplatform.drafting.proposals import proposal
from dataplatform.drafting.sources import Draft
from dataplatform.drafting.text import as_source, as_yaml, of_changes
from dataplatform.layers.bronze.scrub import records_of
from dataplatform.layers.raw.landing import header_of
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
        items = records_of(header_of(first.page), list(first.page.data), parsed.entities[name])
        records = [item.doc for item in items if hasattr(item, "doc")]
        known = entities[name]["key"] if isinstance(entities[name]["key"], list) else ()
        known = known or (first.schema.key if first.schema else ())
        if records:
            found = proposal(records, known, name, first.page.textual)
            entities[name] |= found.as_entity()
            notes[name] = [*found.notes, *of_changes(parsed, found)]
    return {**made.document, "entities": entities}, notes
