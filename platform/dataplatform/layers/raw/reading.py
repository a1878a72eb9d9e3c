"""The pages of a batch, as they were landed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from dataplatform.errors import StorageError
from dataplatform.layers.raw.holdings import RawManifest, RawPart
from dataplatform.storage import FileStore
from dataplatform.storage.packed import compressed_lines


@dataclass(frozen=True)
class PageLines:
    """A page read back: its header and its lines, and where it stands."""

    header: dict[str, Any]
    lines: list[bytes]
    file: str
    line: int


def read(store: FileStore, raw: RawManifest) -> Generator[PageLines]:
    """The pages of a batch as they were landed, in their order, in bounded memory."""
    for part in raw.parts:
        yield from read_part(store, part)


def read_part(store: FileStore, part: RawPart) -> Generator[PageLines]:
    """The pages of one of its files."""
    with compressed_lines(store, part.file, part.offset, part.length) as blocks:
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


def checksum_of(store: FileStore, part: RawPart) -> str:
    """SHA-256 of a file's text, as its manifest has it; raises StorageError where the file cannot be read."""
    hasher = sha256()
    with compressed_lines(store, part.file, part.offset, part.length) as blocks:
        for block in blocks:
            hasher.update(b"".join(line + b"\n" for line in block))
    return hasher.hexdigest()
