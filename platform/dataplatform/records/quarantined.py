"""A record that is in quarantine, as bronze gives it to whoever shows it or tries it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


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
