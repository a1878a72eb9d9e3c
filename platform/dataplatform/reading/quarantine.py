"""What could not be loaded, for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from dataplatform.context import Platform
from dataplatform.errors import MetadataError
from dataplatform.layers.bronze import upkeep


@dataclass(frozen=True)
class QuarantinedRecord:
    """A record set aside, why, and where its raw line is. Its dict is an entry of `quarantine list --json`.

    `record`: its text, at most a million bytes of it (`truncated`); `version`: its id (hex) where bronze holds it
    and silver could not take it; `created_at` in UTC.
    """

    id: str
    source: str
    entity: str
    batch_id: str
    layer: str
    reason: str
    status: str
    created_at: datetime
    record: str = ""
    truncated: bool = False
    raw_file: str = ""
    raw_line: int = 0
    version: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def quarantine(
    platform: Platform, source: str | None = None, entity: str | None = None
) -> list[QuarantinedRecord]:
    """What waits, newest first."""
    return [_record(document) for document in upkeep.quarantined(platform.bronze, source, entity)]


def quarantined(platform: Platform, id_: str) -> QuarantinedRecord:
    """The one with that id, also where it is settled; raises MetadataError where there is none."""
    document = platform.bronze.db["quarantine"].find_one({"_id": id_})
    if document is None:
        raise MetadataError(f"nothing in quarantine has the id {id_}", "dataplatform quarantine list")
    return _record(document)


def _record(document: dict[str, Any]) -> QuarantinedRecord:
    known = QuarantinedRecord.__dataclass_fields__
    fields = {name: value for name, value in document.items() if name in known}
    return QuarantinedRecord(id=document["_id"], **fields)
