"""Questions that providers ask a person meanwhile (OAuth2): for ten minutes, of the person who began them."""

from __future__ import annotations

import hmac
import threading
import time
from dataclasses import dataclass, field

from dataplatform.connectors.connecting import Asking

SECONDS = 600.0


@dataclass
class Questions:
    """One a person and source: a newer one takes its place."""

    _open: dict[tuple[str, str], tuple[float, Asking]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def keep(self, who: str, source: str, asking: Asking) -> None:
        with self._lock:
            self._open = {k: v for k, v in self._open.items() if time.monotonic() - v[0] < SECONDS}
            self._open[(who, source)] = (time.monotonic(), asking)

    def of(self, who: str, source: str) -> Asking | None:
        with self._lock:
            at, asking = self._open.get((who, source), (0.0, None))
        return asking if asking is not None and time.monotonic() - at < SECONDS else None

    def take(self, who: str, source: str) -> Asking | None:
        """It is closed with that."""
        found = self.of(who, source)
        with self._lock:
            self._open.pop((who, source), None)
        return found

    def with_state(self, who: str, state: str) -> str:
        """The source whose question has that state; empty where there is none."""
        with self._lock:
            found = list(self._open.items())
        fits = [
            s
            for (w, s), (_, a) in found
            if w == who and hmac.compare_digest(a.state.encode(), state.encode())
        ]
        return fits[0] if fits else ""
