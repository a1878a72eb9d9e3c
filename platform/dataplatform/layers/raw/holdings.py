"""What raw holds: of each entity in a batch a manifest, which names its files.

    <source>/<date>/<batch>/<entity>-0001.jsonl.zst    pages: a header line, then its lines
    <source>/<date>/<batch>/<entity>.manifest.json     written last: without it nothing exists

    <source>/originals/<digest>.zst                    a file as it came, where the pages do not hold all of it

    <source>/baselines/<entity>.json                   what retention left of older batches: their manifests, which
    <source>/baselines/<entity>-0001.pack              point into a pack, a zstd frame of pages for each batch

A part (file) that is the same as in the batch before is not copied: the manifest points at it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

from dataplatform.errors import StorageError
from dataplatform.names import batch_date
from dataplatform.records.refs import BatchRef, EntityRef
from dataplatform.storage import FileStore

SUFFIX = ".manifest.json"
ORIGINALS = "originals"
BASELINES = "baselines"


@dataclass(frozen=True)
class RawPart:
    """One file of raw pages. `file` is relative to the raw store; `checksum` is its SHA-256.

    `original`: where the content that it was read from is kept, zstd-compressed; empty where the pages hold it all.
    `offset`, `length`: which bytes of the file are the zstd frame of these pages; no length: all of it.
    """

    file: str
    name: str = ""
    digest: str = ""
    pages: int = 0
    records: int = 0
    rejects: int = 0
    bytes: int = 0
    checksum: str = ""
    deleted: int = 0
    original: str = ""
    offset: int = 0
    length: int = 0


@dataclass(frozen=True)
class RawManifest:
    """What one batch holds of one entity. Times are UTC, ISO 8601; `state` is the connector's, any JSON."""

    source: str
    entity: str
    batch_id: str
    load: Literal["full", "delta"]
    since: str | int | float | None
    landed_at: str
    parts: tuple[RawPart, ...] = ()
    version: int = 1
    state: Any = None

    @property
    def ref(self) -> BatchRef:
        return BatchRef(EntityRef(self.source, self.entity), self.batch_id)

    @property
    def records(self) -> int:
        return sum(part.records for part in self.parts)

    @property
    def rejects(self) -> int:
        return sum(part.rejects for part in self.parts)

    def digests(self) -> dict[str, str]:
        return {part.name: part.digest for part in self.parts if part.digest}

    def fingerprint(self) -> str:
        """Same fingerprint, same content; empty where a part has no digest."""
        if not self.parts or not all(part.digest for part in self.parts):
            return ""
        return " ".join(sorted(f"{part.name}={part.digest}" for part in self.parts))


def folder(source: str, batch_id: str) -> str:
    return f"{source}/{batch_date(batch_id)}/{batch_id}"


def put_manifest(store: FileStore, raw: RawManifest) -> None:
    """Makes the batch exist."""
    document = asdict(raw) | {"records": raw.records, "rejects": raw.rejects}
    path = f"{folder(raw.source, raw.batch_id)}/{raw.entity}{SUFFIX}"
    store.write_bytes(path, json.dumps(document, indent=2, ensure_ascii=False).encode())


def manifest(store: FileStore, ref: BatchRef) -> RawManifest | None:
    """The manifest of an entity in a batch; None where that batch does not exist."""
    path = f"{folder(ref.source, ref.batch_id)}/{ref.name}{SUFFIX}"
    if not store.exists(path):
        return baseline(store, ref.entity).get(ref.batch_id)
    try:
        return _read_back(json.loads(store.read_bytes(path)))
    except (ValueError, TypeError, KeyError):
        raise StorageError(f"{store.location(path)} is damaged", "restore it from a backup") from None


def _read_back(document: dict[str, Any]) -> RawManifest:
    parts = tuple(RawPart(**part) for part in document.pop("parts"))
    for derived in ("records", "rejects"):
        document.pop(derived, None)
    return RawManifest(parts=parts, **document)


def baseline(store: FileStore, ref: EntityRef) -> Mapping[str, RawManifest]:
    """What retention left of an entity's older batches, by id, oldest first; empty where it took none."""
    path = index_path(ref)
    if not store.exists(path):
        return {}
    try:
        return _parsed(store.read_bytes(path))
    except (ValueError, TypeError, KeyError):
        raise StorageError(f"{store.location(path)} is damaged", "restore it from a backup") from None


@lru_cache(maxsize=16)
def _parsed(index: bytes) -> Mapping[str, RawManifest]:
    """Asked for batch by batch, when all of them are replayed."""
    return {found["batch_id"]: _read_back(found) for found in json.loads(index)["batches"]}


def index_path(ref: EntityRef) -> str:
    return f"{ref.source}/{BASELINES}/{ref.name}.json"


def batches(store: FileStore, source: str, entity: str = "") -> list[str]:
    """Ids of all batches of a source, oldest first; of those in baselines, only one entity's where it is named."""
    dates = (name for name in store.names(source) if name not in (ORIGINALS, BASELINES))
    loose = {batch for date in dates for batch in store.names(f"{source}/{date}")}
    names = [entity] if entity else with_baseline(store, source)
    packed = {batch for name in names for batch in baseline(store, EntityRef(source, name))}
    return sorted(loose | packed)


def with_baseline(store: FileStore, source: str) -> list[str]:
    """Entities of which retention took batches."""
    names = store.names(f"{source}/{BASELINES}")
    return [name.removesuffix(".json") for name in names if name.endswith(".json")]


def entities(store: FileStore, source: str, batch_id: str) -> list[str]:
    """Entities that a batch holds."""
    loose = {n.removesuffix(SUFFIX) for n in store.names(folder(source, batch_id)) if n.endswith(SUFFIX)}
    packed = {n for n in with_baseline(store, source) if batch_id in baseline(store, EntityRef(source, n))}
    return sorted(loose | packed)
