"""A page of raw as bytes, and what a file's manifest counts of its pages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from dataplatform.layers.raw.holdings import RawPart


def block_of(header: Mapping[str, Any], lines: Sequence[bytes]) -> bytes:
    """The header's line, then the page's."""
    return b"\n".join([orjson.dumps(header), *lines]) + b"\n"


class Tally:
    """Counts the pages of a file while they go by."""

    def __init__(self) -> None:
        self.pages = self.records = self.rejects = self.bytes = self.deleted = 0
        self._hasher = hashlib.sha256()

    def note(self, header: Mapping[str, Any], lines: Sequence[bytes], block: bytes) -> bytes:
        """Counts a page, and returns its block."""
        self._hasher.update(block)
        self.pages += 1
        self.bytes += len(block)
        self.rejects += len(header.get("rejects") or ())
        if header["kind"] == "deleted":
            self.deleted += len(lines)
        else:
            self.records += len(lines)
        return block

    def part(self, file: str, name: str = "", digest: str = "", original: str = "") -> RawPart:
        """What the manifest says of the file."""
        checksum = self._hasher.hexdigest()
        return RawPart(
            file,
            name,
            digest,
            self.pages,
            self.records,
            self.rejects,
            self.bytes,
            checksum,
            self.deleted,
            original,
        )
