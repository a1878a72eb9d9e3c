"""What could not be loaded: kept with its reason and the place of its raw line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Literal

from pymongo import ReplaceOne
from pymongo.database import Database

from dataplatform.layers.bronze.documents import Quarantined, checked, collection_of
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
    """Stores them; the same record of the same batch is stored once. Returns how many there were.

    What was dismissed stays so when a later batch holds it again.
    """
    documents = [checked(_document(batch, layer, item)) for item in bad]
    if documents:
        dismissed = _dismissed(db, batch, [d["content"] for d in documents])
        for document in documents:
            document["status"] = "dismissed" if document["content"] in dismissed else document["status"]
        operations = [ReplaceOne({"_id": d["_id"]}, d, upsert=True) for d in documents]
        collection_of(db, Quarantined).bulk_write(operations, ordered=False)
    return len(documents)


def _dismissed(db: Database[Any], batch: BatchRef, contents: list[str]) -> set[str]:
    wanted = {
        "source": batch.source,
        "entity": batch.name,
        "status": "dismissed",
        "content": {"$in": contents},
    }
    return {found["content"] for found in collection_of(db, Quarantined).find(wanted, {"content": 1})}


def _document(batch: BatchRef, layer: str, bad: Bad) -> Quarantined:
    parts = (batch.source, batch.name, batch.batch_id, layer, bad.raw_file, str(bad.raw_line), bad.reason)
    place = "\0".join(parts)
    return Quarantined(
        id=blake2b(place.encode("utf-8", "replace") + bad.record, digest_size=12).hexdigest(),
        source=batch.source,
        entity=batch.name,
        batch_id=batch.batch_id,
        layer=layer,
        reason=bad.reason,
        record=bad.record[:LONGEST].decode("utf-8", "backslashreplace"),
        truncated=len(bad.record) > LONGEST,
        raw_file=bad.raw_file,
        raw_line=bad.raw_line,
        version=bad.version,
        key=bad.key.hex() if bad.key else "",
        content=blake2b(bad.record, digest_size=16).hexdigest(),
        created_at=datetime.now(UTC),
    )
