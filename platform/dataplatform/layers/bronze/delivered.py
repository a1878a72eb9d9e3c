"""What bronze needs to know of a landed batch and its pages, and which of its lines an earlier batch held."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np

from dataplatform.records import hashes as hs
from dataplatform.records.growing import PASSED, let_go
from dataplatform.records.holdings import Held
from dataplatform.records.refs import BatchRef


class RawBatch(Protocol):
    """What bronze needs to know of a landed batch."""

    @property
    def ref(self) -> BatchRef: ...
    @property
    def load(self) -> Literal["full", "delta"]: ...
    @property
    def state(self) -> Any: ...
    @property
    def records(self) -> int: ...
    def fingerprint(self) -> str: ...


class RawPage(Protocol):
    """A page read back from raw."""

    @property
    def header(self) -> dict[str, Any]: ...
    @property
    def lines(self) -> list[bytes]: ...
    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...


class Lookup:
    """Finds the entry of a raw line that an earlier batch held already."""

    def __init__(self, before: Held) -> None:
        self.before = before
        self.ordering = hs.prepared(before.lines) if len(before) else None
        self._looked = 0
        self.let_go()

    def find(self, lines: list[bytes]) -> hs.Indexes:
        """Its place among the entries, -1 for a line that is new."""
        if self.ordering is None:
            return np.full(len(lines), -1, np.intp)
        if self._looked > PASSED // 4:
            self.let_go()
        self._looked += len(lines)
        return hs.find(hs.hashes(lines), self.before.lines, self.ordering)

    def let_go(self) -> None:
        """What was looked at of the earlier batch leaves this process's memory, where it is on disk."""
        let_go(self.before.keys, self.before.versions, self.before.lines, self.before.masks)
        self._looked = 0
