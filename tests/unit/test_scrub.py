"""Pages without the records of a person who is to be forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dataplatform.layers.bronze.parse import Record
from dataplatform.layers.bronze.scrub import records_of, scrubbed
from dataplatform.metadata.catalog import source_of
from dataplatform.records.forgotten import Out

SOURCE = "source: s\nconnector: {type: rest, base_url: 'http://localhost'}\nentities: {e: {request: /e, key: [id]}}\n"


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("items", {"items": [{"id": 1, "who": "Ann"}, {"id": 2, "who": "Bob"}]}),
        ("$.of[*].who", {"of": [{"who": {"id": 1, "who": "Ann"}}, {"who": {"id": 2, "who": "Bob"}}]}),
        ("columns(c)", {"c": {"id": [1, 2], "who": ["Ann", "Bob"]}}),
    ],
)
@pytest.mark.parametrize("ill", [b"{not json", b'{"other": 1}'])
def test_a_document_that_nobody_can_read_hides_no_other(path: str, document: Any, ill: bytes) -> None:
    """Who is to be forgotten goes from the documents beside it, and it stays as it is."""
    source = source_of(SOURCE, Path("sources/s.yaml"), [])
    assert source is not None
    entity = source.entities["e"]
    header = {"kind": "document", "records_path": path}
    lines = [json.dumps(document).encode(), ill]
    ann = next(r.key for r in records_of(header, lines, entity) if isinstance(r, Record) and r.doc["id"] == 1)
    left = scrubbed(entity, header, lines, Out(keys=frozenset({ann})))
    assert left.gone == 1
    assert b"Ann" not in b"".join(left.lines)
    assert b"Bob" in b"".join(left.lines)
    assert ill in left.lines or (path.startswith("$") and ill.endswith(b"}")), (
        "a JSONPath that finds nothing is no mistake"
    )
