"""What a connector gives and what raw takes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dataplatform.connectors import Records
from dataplatform.errors import SourceError
from dataplatform.layers.raw.landing import Landing, land
from dataplatform.records.refs import BatchRef, EntityRef
from dataplatform.storage import FileStore


@pytest.mark.parametrize("record", [{"id": 1}, '{"id": 1}', None])
def test_records_that_are_no_lines_are_refused_in_words(tmp_path: Path, record: Any) -> None:
    store, batch = FileStore(str(tmp_path)), BatchRef(EntityRef("s", "e"), "20260101T000000Z-aaaa")
    with pytest.raises(SourceError, match="other things than lines of bytes") as told:
        land(store, batch, [Records([b'{"id": 0}', record])], Landing("full"))
    assert "page_of" in told.value.remedy
