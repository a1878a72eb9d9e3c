"""What could not be loaded, for people."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from dataplatform.context import Platform
from dataplatform.errors import MetadataError
from dataplatform.layers.bronze import upkeep
from dataplatform.records.quarantined import QuarantinedRecord


@dataclass(frozen=True)
class Reason:
    """Records of an entity that wait for one reason, told without their own values; the example is the newest."""

    entity: str
    reason: str
    count: int
    example: QuarantinedRecord

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"example": self.example.id}


@dataclass(frozen=True)
class Wanted:
    """Which of the waiting records; None: any. `reason`: a part of it, upper or lower case."""

    source: str | None = None
    entity: str | None = None
    id: str | None = None
    reason: str | None = None

    def takes(self, record: QuarantinedRecord) -> bool:
        return (self.id is None or record.id == self.id) and (
            self.reason is None or self.reason.lower() in record.reason.lower()
        )


def quarantine(
    platform: Platform, source: str | None = None, entity: str | None = None, limit: int = 0
) -> list[QuarantinedRecord]:
    """What waits, newest first; `limit`: so many at most, 0: all."""
    return upkeep.quarantined(platform.bronze, source, entity, limit=limit)


def wanted(platform: Platform, which: Wanted) -> list[QuarantinedRecord]:
    """Those of them that are meant; raises MetadataError where none is, so that a slip is noticed."""
    records = [r for r in quarantine(platform, which.source, which.entity) if which.takes(r)]
    if not records:
        raise MetadataError(
            "nothing that waits in quarantine is meant by that",
            "see what waits: dataplatform quarantine list --all",
        )
    return records


def by_reason(records: list[QuarantinedRecord]) -> list[Reason]:
    """Grouped, the commonest first."""
    groups: dict[tuple[str, str], list[QuarantinedRecord]] = {}
    for record in records:
        key = (f"{record.source}.{record.entity}", _without_values(record.reason))
        groups.setdefault(key, []).append(record)
    found = [Reason(entity, reason, len(some), some[0]) for (entity, reason), some in groups.items()]
    return sorted(found, key=lambda group: -group.count)


def _without_values(reason: str) -> str:
    """Reasons that differ in the record's own values only become the same."""
    return re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\b\d[\d.,]*\b", "…", reason)


def quarantined(platform: Platform, id_: str) -> QuarantinedRecord:
    """The one with that id, also where it is settled; raises MetadataError where there is none."""
    found = upkeep.quarantined_as(platform.bronze, id_)
    if found is None:
        raise MetadataError(f"nothing in quarantine has the id {id_}", "dataplatform quarantine list")
    return found


def dismiss(platform: Platform, records: list[QuarantinedRecord]) -> int:
    """Closes records that will not be loaded; they can still be shown. Returns how many waited."""
    return upkeep.settle(platform.bronze, [record.id for record in records], "dismissed")
