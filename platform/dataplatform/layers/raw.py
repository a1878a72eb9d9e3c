"""Raw: pages as the source delivered them, in compressed JSON lines, append-only.

    <source>/<date>/<batch>/<entity>-0001.jsonl.zst    pages: a header line, then its lines
    <source>/<date>/<batch>/<entity>.manifest.json     written last: without it nothing exists

A part (file) that is the same as in the batch before is not copied: the manifest points at it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from dataplatform.connectors import Page
from dataplatform.errors import StorageError
from dataplatform.names import batch_date
from dataplatform.records.refs import BatchRef, EntityRef
from dataplatform.storage import FileStore

SUFFIX = ".manifest.json"


@dataclass(frozen=True)
class RawPart:
    """One file of raw pages. `file` is relative to the raw store; `checksum` is its SHA-256."""

    file: str
    name: str = ""
    digest: str = ""
    pages: int = 0
    records: int = 0
    rejects: int = 0
    bytes: int = 0
    checksum: str = ""


@dataclass(frozen=True)
class RawManifest:
    """What one batch holds of one entity. Times are UTC, ISO 8601."""

    source: str
    entity: str
    batch_id: str
    load: Literal["full", "delta"]
    since: str | int | float | None
    landed_at: str
    parts: tuple[RawPart, ...] = ()
    version: int = 1

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


@dataclass(frozen=True)
class PageLines:
    """A page read back: its header and its lines, and where it stands."""

    header: dict[str, Any]
    lines: list[bytes]
    file: str
    line: int


@dataclass
class _Counts:
    pages: int = 0
    records: int = 0
    rejects: int = 0
    bytes: int = 0
    hasher: Any = field(default_factory=hashlib.sha256)


def folder(source: str, batch_id: str) -> str:
    return f"{source}/{batch_date(batch_id)}/{batch_id}"


@dataclass(frozen=True)
class Landing:
    """How a batch is read: all of the source or what changed, since when, and what the batch before held."""

    load: Literal["full", "delta"]
    since: str | int | float | None = None
    before: RawManifest | None = None


def land(store: FileStore, ref: BatchRef, pages: Iterable[Page], landing: Landing) -> RawManifest:
    """Writes all pages, then the manifest. Landing what is landed already only reads it back."""
    landed = manifest(store, ref)
    if landed is not None:
        return landed
    base = f"{folder(ref.source, ref.batch_id)}/{ref.name}"
    parts = tuple(_write_parts(store, base, pages, landing.before))
    now = datetime.now(UTC).isoformat()
    result = RawManifest(ref.source, ref.name, ref.batch_id, landing.load, landing.since, now, parts)
    document = asdict(result) | {"records": result.records, "rejects": result.rejects}
    store.write_bytes(base + SUFFIX, orjson.dumps(document, option=orjson.OPT_INDENT_2))
    return result


def _write_parts(
    store: FileStore, base: str, pages: Iterable[Page], before: RawManifest | None
) -> Iterator[RawPart]:
    """One file a part; pages without a part share one."""
    known = {p.name: p for p in before.parts} if before else {}
    stream = iter(pages)
    page = next(stream, None)
    number = 0
    while page is not None:
        if page.kind == "unchanged":
            assert page.part is not None
            yield known[page.part.name]
            page = next(stream, None)
            continue
        number += 1
        part, page = _write_part(store, f"{base}-{number:04d}.jsonl.zst", page, stream)
        yield part


def _write_part(
    store: FileStore, path: str, first: Page, stream: Iterator[Page]
) -> tuple[RawPart, Page | None]:
    """Writes pages as long as they belong to the same part; gives the page after them too."""
    counts = _Counts()
    page: Page | None = first
    with store.compressed_writer(path) as file:
        while page is not None and page.part == first.part and page.kind != "unchanged":
            header = _header(page)
            block = b"\n".join([orjson.dumps(header), *page.data]) + b"\n"
            file.write(block)
            counts.hasher.update(block)
            counts.pages += 1
            counts.bytes += len(block)
            counts.records += len(page.data)
            counts.rejects += len(page.rejects)
            page = next(stream, None)
    name, digest = (first.part.name, first.part.digest) if first.part else ("", "")
    part = RawPart(
        path,
        name,
        digest,
        counts.pages,
        counts.records,
        counts.rejects,
        counts.bytes,
        counts.hasher.hexdigest(),
    )
    return part, page


def _header(page: Page) -> dict[str, Any]:
    header: dict[str, Any] = {
        "lines": len(page.data),
        "kind": page.kind,
        "request": dict(page.request),
        "fetched_at": datetime.now(UTC).isoformat(),
    }
    if page.records_path is not None:
        header["records_path"] = page.records_path
    if page.columns is not None:
        header["columns"] = page.columns
    if page.textual:
        header["textual"] = True
    if page.rejects:
        header["rejects"] = [asdict(reject) for reject in page.rejects]
    return header


def manifest(store: FileStore, ref: BatchRef) -> RawManifest | None:
    """The manifest of an entity in a batch; None where that batch does not exist."""
    path = f"{folder(ref.source, ref.batch_id)}/{ref.name}{SUFFIX}"
    if not store.exists(path):
        return None
    try:
        document = orjson.loads(store.read_bytes(path))
        parts = tuple(RawPart(**part) for part in document.pop("parts"))
        for derived in ("records", "rejects"):
            document.pop(derived, None)
        return RawManifest(parts=parts, **document)
    except (orjson.JSONDecodeError, TypeError, KeyError):
        raise StorageError(f"{store.location(path)} is damaged", "restore it from a backup") from None


def batches(store: FileStore, source: str) -> list[str]:
    """Ids of all batches of a source, oldest first."""
    found = (store.names(f"{source}/{date}") for date in store.names(source))
    return sorted(batch for ids in found for batch in ids)


def entities(store: FileStore, source: str, batch_id: str) -> list[str]:
    """Entities that a batch holds."""
    names = store.names(folder(source, batch_id))
    return [n.removesuffix(SUFFIX) for n in names if n.endswith(SUFFIX)]


def read(store: FileStore, raw: RawManifest) -> Generator[PageLines]:
    """The pages of a batch as they were landed, in their order, in bounded memory."""
    for part in raw.parts:
        with store.compressed_lines(part.file) as blocks:
            yield from _read_pages(part.file, blocks)


def _read_pages(file: str, blocks: Iterator[list[bytes]]) -> Iterator[PageLines]:
    number = 0
    buffer: list[bytes] = []
    for block in blocks:
        buffer.extend(block)
        while buffer:
            header = orjson.loads(buffer[0])
            end = int(header["lines"]) + 1
            if len(buffer) < end:
                break
            yield PageLines(header, buffer[1:end], file, number + 2)
            number += end
            buffer = buffer[end:]
    if buffer:
        raise StorageError(f"{file} is cut off", "restore it from a backup")
