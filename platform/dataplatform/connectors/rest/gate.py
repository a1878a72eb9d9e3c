"""The gate that all requests of a source pass: its budget, and the pause that its server asked for.

One small file a source under HOME, so that entities, threads, other processes and the next run share it: when the
server may be asked again, and when each of the last requests of the budget was sent (a ring). No window of the budget's
length ever holds more requests than it allows.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from dataplatform.connectors.rest.model import Budget

_HEAD = struct.Struct("<QQd")  # slots, requests so far, not before
_SLOT = struct.Struct("<d")


@dataclass
class Gate:
    """The gate of one source. `most`: requests of this extraction at the same time. `path` None: of this
    extraction alone, in memory."""

    budget: Budget | None
    path: Path | None
    most: int = 1
    _paused: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _handle: int = -1

    def __post_init__(self) -> None:
        self.lanes = threading.BoundedSemaphore(
            self.most
        )  # so many requests are under way, whoever sends them

    def turn(self) -> float:
        """Takes a place in the queue; seconds to wait before sending."""
        with self._lock:
            now = time.time()
            if self.path is None and self.budget is None:
                return max(0.0, self._paused - now)
            return self._locked(now)

    def pause(self, seconds: float) -> None:
        """Nobody asks this source before so many seconds have gone."""
        with self._lock:
            until = time.time() + seconds
            self._paused = max(self._paused, until)
            if self.path is None:
                return
            handle = self._open()
            fcntl.flock(handle, fcntl.LOCK_EX)
            try:
                slots, count, before = self._head(handle)
                os.pwrite(handle, _HEAD.pack(slots, count, max(before, until)), 0)
            finally:
                fcntl.flock(handle, fcntl.LOCK_UN)

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _locked(self, now: float) -> float:
        handle = self._open()
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            slots, count, before = self._head(handle)
            start = max(now, before if before < now + _LONGEST else 0.0)
            if self.budget is not None:
                place = _HEAD.size + count % slots * _SLOT.size
                if count >= slots:
                    (earlier,) = _SLOT.unpack(os.pread(handle, _SLOT.size, place))
                    per = self.budget.per.total_seconds()
                    if earlier <= now + _LONGEST:  # a clock that was set back does not stop us for ever
                        start = max(start, earlier + per)
                os.pwrite(handle, _SLOT.pack(start), place)
                os.pwrite(handle, _HEAD.pack(slots, count + 1, before), 0)
            return max(0.0, start - now)
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)

    def _head(self, handle: int) -> tuple[int, int, float]:
        slots = self.budget.requests if self.budget else 0
        found = os.pread(handle, _HEAD.size, 0)
        if len(found) == _HEAD.size:
            there, count, before = _HEAD.unpack(found)
            if there == slots:
                return there, count, before
            return slots, 0, before  # another budget: counted anew
        return slots, 0, 0.0

    def _open(self) -> int:
        if self._handle < 0:
            if self.path is None:
                self._handle = os.memfd_create("gate") if hasattr(os, "memfd_create") else _temporary()
            else:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        return self._handle


_LONGEST = 86_400.0 * 32


def _temporary() -> int:
    import tempfile

    handle, name = tempfile.mkstemp()
    os.unlink(name)
    return handle
