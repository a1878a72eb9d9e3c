"""What could not be loaded: kept with its reason and the place of its raw line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Literal

from pymongo import ReplaceOne
from pymongo.database import Database

from dataplatform.records.refs import BatchRef

LONGEST = 1_000_000  # bytes of a record kept here; the raw line always has all of it


@dataclass(frozen=True)
class Bad:
    """A record that cannot be loaded. `key`: its key's hash where that could be read."""

    reason: str
    record: bytes
    raw_file: str = ""
    raw_line: int = 0
    key: bytes | None = None
    readable: bool = False  # whether we know which key it is about, or that it is about none
    version: str = ""  # of a record that bronze holds and silver cannot


def store(db: Database[Any], batch: BatchRef, layer: Literal["bronze", "silver"], bad: Iterable[Bad]) -> int:
    """Stores them; the same record of the same batch is stored once. Returns how many there were."""
    documents = [_document(batch, layer, item) for item in bad]
    if documents:
        operations = [ReplaceOne({"_id": d["_id"]}, d, upsert=True) for d in documents]
        db["quarantine"].bulk_write(operations, ordered=False)
    return len(documents)


def _document(batch: BatchRef, layer: str, bad: Bad) -> dict[str, Any]:
    parts = (batch.source, batch.name, batch.batch_id, layer, bad.raw_file, str(bad.raw_line), bad.reason)
    place = "\0".join(parts)
    identity = blake2b(place.encode("utf-8", "replace") + bad.record, digest_size=12).hexdigest()
    text = bad.record[:LONGEST].decode("utf-8", "backslashreplace")
    return {
        "_id": identity,
        "source": batch.source,
        "entity": batch.name,
        "batch_id": batch.batch_id,
        "layer": layer,
        "reason": bad.reason,
        "record": text,
        "truncated": len(bad.record) > LONGEST,
        "raw_file": bad.raw_file,
        "raw_line": bad.raw_line,
        "version": bad.version,
        "status": "open",
        "created_at": datetime.now(UTC),
    }
