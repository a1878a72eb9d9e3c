"""Lands what a source says: pages of an entity in files, at last the manifest that makes the batch exist."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal

from dataplatform.connectors import Deleted, Item, Part, Records, Schema, State, encode
from dataplatform.errors import SourceError
from dataplatform.layers.raw.holdings import (
    ORIGINALS,
    RawManifest,
    RawPart,
    folder,
    manifest,
    put_manifest,
)
from dataplatform.layers.raw.pages import Tally, block_of
from dataplatform.records.refs import BatchRef
from dataplatform.secrets.masking import Masker, Noted
from dataplatform.storage import FileStore
from dataplatform.storage.packed import compressed_writer

# the header and the lines of a page → those that may be written
Screen = Callable[[Mapping[str, Any], Sequence[bytes]], tuple[Mapping[str, Any], Sequence[bytes]]]


@dataclass(frozen=True)
class Landing:
    """How a batch is read: all of the source or what changed, since when, and what the batch before held.

    `noted`: the secrets it is read with, which are masked in whatever is written. `screen`: keeps records out.
    `stateless`: what the connector says of its state is left out (a backfill moves no cursor).
    """

    load: Literal["full", "delta"]
    since: str | int | float | None = None
    before: RawManifest | None = None
    noted: Noted = field(default_factory=Noted)
    screen: Screen | None = None
    stateless: bool = False


def land(store: FileStore, ref: BatchRef, items: Iterable[Item], landing: Landing) -> RawManifest:
    """Writes all pages, then the manifest. Landing what is landed already only reads it back."""
    landed = manifest(store, ref)
    if landed is not None:
        return landed
    with _Writer(store, ref, landing) as writer:
        for item in items:
            writer.add(item)
    return writer.commit()


def land_together(
    store: FileStore, items: Iterable[tuple[str, Item]], landings: Mapping[BatchRef, Landing]
) -> list[RawManifest]:
    """The same for several entities of a batch whose items come mixed. Where reading fails none exists."""
    with ExitStack() as stack:
        writers = {
            ref.name: stack.enter_context(_Writer(store, ref, landing)) for ref, landing in landings.items()
        }
        for name, item in items:
            if name not in writers:
                raise SourceError(
                    f"the connector gave something of {name!r}, which was not asked for",
                    f"asked for: {', '.join(writers)}",
                )
            writers[name].add(item)
    return [writer.commit() for writer in writers.values()]


def reland(
    store: FileStore, raw: RawManifest, again: Mapping[str, Iterable[Item]], screen: Screen | None = None
) -> RawManifest:
    """The batch with parts that were read again, by name; what was landed before stays beside, of no manifest."""
    landing = Landing(raw.load, raw.since, screen=screen)
    with _Writer(store, raw.ref, landing, first=_next_file(raw)) as writer:
        for items in again.values():
            for item in items:
                writer.add(item)
    fresh = {part.name: part for part in writer.parts}
    corrected = replace(raw, parts=tuple(fresh.get(part.name, part) for part in raw.parts))
    put_manifest(store, corrected)
    return corrected


def _next_file(raw: RawManifest) -> int:
    """Beyond the numbers of the batch's own files."""
    base = f"{folder(raw.source, raw.batch_id)}/{raw.entity}-"
    numbers = [int(p.file[len(base) :].partition(".")[0]) for p in raw.parts if p.file.startswith(base)]
    return max(numbers, default=0)


def _keep(store: FileStore, source: str, part: Part, masker: Masker) -> str:
    """Keeps the original of a part, once for its content; where it is, or empty."""
    if not part.original:
        return ""
    path = f"{source}/{ORIGINALS}/{part.digest.partition('-')[0]}.zst"
    if not store.exists(path):
        with open(part.original, "rb") as original, compressed_writer(store, path) as kept:
            if masker.needles:
                kept.writelines(map(masker.data, original))
            else:
                shutil.copyfileobj(original, kept, 1 << 20)
    return path


@dataclass
class _File:
    """A file of raw pages that is being written."""

    path: str
    part: Part | None
    stream: Any
    noted: Noted
    original: str = ""
    tally: Tally = field(default_factory=Tally)

    def write(self, header: Mapping[str, Any], lines: Sequence[bytes]) -> None:
        block = block_of(header, lines)
        masker = self.noted.masker  # the newest: tokens come while pages do
        if masker.found_in(block):
            block = block_of(_masked(header, masker), masker.lines(list(lines)))
        self.stream.write(self.tally.note(header, lines, block))

    def as_part(self) -> RawPart:
        name, digest = (self.part.name, self.part.digest) if self.part else ("", "")
        return self.tally.part(self.path, name, digest, self.original)


class _Writer:
    """Writes what is said of one entity: one file a part; what has no part shares one."""

    def __init__(self, store: FileStore, ref: BatchRef, landing: Landing, first: int = 0) -> None:
        self.store, self.ref, self.landing = store, ref, landing
        self.known = {part.name: part for part in landing.before.parts} if landing.before else {}
        self.parts: list[RawPart] = []
        self.files = first
        self.state: Any = None
        self.file: _File | None = None
        self.stack = ExitStack()

    def __enter__(self) -> _Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end()
        self.stack.__exit__(kind, error, trace)

    def add(self, item: Item) -> None:
        """Raises SourceError for what is no item of the contract."""
        match item:
            case Records(kind="unchanged", part=Part(name=name)) if name in self.known:
                self._end()
                self.parts.append(self.known[name])
                if self.state is None and self.landing.before:  # it may be in no other batch that silver gets
                    self.state = self.landing.before.state
            case Records(kind="records" | "document"):
                if not all(isinstance(line, bytes) for line in item.data):
                    raise SourceError(
                        f"{self.ref.entity}: the connector gave Records that hold other things than lines of bytes",
                        "page_of([{…}, …]) makes Records of mappings",
                    )
                self._write(item.part, header_of(item), item.data)
            case Schema():
                self._in_any().write(_schema_header(item), ())
            case Deleted():
                part = self.file.part if self.file else None  # what is said beside records belongs to no part
                self._write(part, _page("deleted", len(item.data), item.request), item.data)
            case State():
                self.state = None if self.landing.stateless else self._as_json(item.value)
            case _:
                raise SourceError(
                    f"{self.ref.entity}: the connector gave {item!r:.80}, which is no item of the contract",
                    "an extract yields Records (page_of makes them of mappings), Schema, State or Deleted",
                )

    def _write(self, part: Part | None, header: Mapping[str, Any], lines: Sequence[bytes]) -> None:
        if self.landing.screen is not None:
            header, lines = self.landing.screen(header, lines)
            header = {**header, "lines": len(lines)}
        self._in(part).write(header, lines)

    def commit(self) -> RawManifest:
        """Writes the manifest; all files are closed."""
        ref, landing = self.ref, self.landing
        now, parts = datetime.now(UTC).isoformat(), tuple(self.parts)
        raw = RawManifest(
            ref.source, ref.name, ref.batch_id, landing.load, landing.since, now, parts, state=self.state
        )
        put_manifest(self.store, raw)
        return raw

    def _as_json(self, state: Any) -> Any:
        try:
            masked = self.landing.noted.masker.value(json.loads(encode(state)))  # keeps integers of any size
        except TypeError as error:
            raise SourceError(
                f"{self.ref.entity}: the connector's State cannot be written as JSON: {error}",
                "a state holds text, numbers, true, false, null, lists and objects of these",
            ) from None
        return masked

    def _in(self, part: Part | None) -> _File:
        """The file of that part."""
        if self.file is not None and self.file.part == part:
            return self.file
        self._end()
        self.files += 1
        path = f"{folder(self.ref.source, self.ref.batch_id)}/{self.ref.name}-{self.files:04d}.jsonl.zst"
        noted = self.landing.noted
        keeps = part is not None and self.landing.screen is None  # an original is whole
        original = _keep(self.store, self.ref.source, part, noted.masker) if part and keeps else ""
        stream = self.stack.enter_context(compressed_writer(self.store, path))
        self.file = _File(path, part, stream, noted, original)
        return self.file

    def _in_any(self) -> _File:
        """The file that is open; what is said beside records belongs to no part."""
        return self.file or self._in(None)

    def _end(self) -> None:
        self.stack.close()
        if self.file is not None:
            self.parts.append(self.file.as_part())
            self.file = None


_OURS = frozenset({"lines", "kind", "fetched_at", "textual"})  # of a header: never the source's words


def _masked(header: Mapping[str, Any], masker: Masker) -> dict[str, Any]:
    return {name: value if name in _OURS else masker.value(value) for name, value in header.items()}


def _page(kind: str, lines: int, request: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "lines": lines,
        "kind": kind,
        "request": dict(request),
        "fetched_at": datetime.now(UTC).isoformat(),
    }


def _schema_header(schema: Schema) -> dict[str, Any]:
    said = {"columns": list(schema.fields), "types": {f: t for f, t in schema.fields.items() if t}}
    return {**_page("schema", 0, {}), **said, **({"key": list(schema.key)} if schema.key else {})}


def header_of(page: Records) -> dict[str, Any]:
    """What raw keeps of a page beside its lines."""
    header = _page(page.kind, len(page.data), page.request)
    if page.records_path is not None:
        header["records_path"] = page.records_path
    if page.columns is not None:
        header["columns"] = page.columns
    if page.textual:
        header["textual"] = True
    if page.rejects:
        header["rejects"] = [asdict(reject) for reject in page.rejects]
    return header
