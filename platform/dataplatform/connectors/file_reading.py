"""What every reader of a file is given, and what it gives: records, and what is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dataplatform.connectors.contract import Part, Reject


@dataclass(frozen=True)
class Reading:
    """How a file is read: what describes it, its part, records of a page, and what the entity says.

    `path`: where it lies on this machine, for those that are read in place; empty where it is a stream only.
    """

    about: dict[str, Any]
    part: Part
    size: int
    records: str | None = None
    sheet: str | None = None
    skip_rows: int = 0
    encoding: str | None = None
    timezone: str | None = None
    dates: str | None = None
    profile: str | None = None
    path: str = ""

    @property
    def name(self) -> str:
        return str(self.about.get("member", self.about["file"]))


Found = Iterator[dict[str, Any] | Reject]
