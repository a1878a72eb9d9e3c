"""What could not be loaded, for people."""

from __future__ import annotations

from dataplatform.context import Platform
from dataplatform.errors import MetadataError
from dataplatform.layers.bronze import upkeep
from dataplatform.records.quarantined import QuarantinedRecord


def quarantine(
    platform: Platform, source: str | None = None, entity: str | None = None
) -> list[QuarantinedRecord]:
    """What waits, newest first."""
    return upkeep.quarantined(platform.bronze, source, entity)


def quarantined(platform: Platform, id_: str) -> QuarantinedRecord:
    """The one with that id, also where it is settled; raises MetadataError where there is none."""
    found = upkeep.quarantined_as(platform.bronze, id_)
    if found is None:
        raise MetadataError(f"nothing in quarantine has the id {id_}", "dataplatform quarantine list")
    return found
