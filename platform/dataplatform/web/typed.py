"""Secrets that were typed for a source which is not saved yet: in memory, for an hour, and in no page."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

SECONDS = 3600.0
MOST = 100  # drafts


def new_draft() -> str:
    return secrets.token_urlsafe(12)


@dataclass
class Typed:
    """By the person and the draft that they are of."""

    _kept: dict[tuple[str, str], tuple[float, dict[str, str]]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def of(self, who: str, draft: str) -> dict[str, str]:
        with self._lock:
            at, values = self._kept.get((who, draft), (0.0, {}))
            return dict(values) if time.monotonic() - at < SECONDS else {}

    def add(self, who: str, draft: str, values: Mapping[str, str]) -> None:
        """Those that were typed before stay."""
        before = self.of(who, draft)
        with self._lock:
            now = time.monotonic()
            old = [key for key, (at, _) in self._kept.items() if now - at >= SECONDS]
            for key in [*old, *list(self._kept)[:-MOST]]:
                self._kept.pop(key, None)
            if before or values:
                self._kept[(who, draft)] = (now, before | dict(values))

    def drop(self, who: str, draft: str) -> None:
        with self._lock:
            self._kept.pop((who, draft), None)
