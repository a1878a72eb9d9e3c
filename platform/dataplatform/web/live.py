"""The platform as a process that stays up sees it: metadata are read again when their files have changed."""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataplatform.bootstrap import reread
from dataplatform.context import Platform
from dataplatform.embedded import prefect_server
from dataplatform.errors import DataplatformError
from dataplatform.layers.gold.lineage import usable
from dataplatform.reading.expiring import NOTHING, Access, access
from dataplatform.reading.lineage import Lineage, lineage
from dataplatform.settings import PrefectApi, Settings
from dataplatform.web.jobs import Jobs
from dataplatform.web.questions import Questions
from dataplatform.web.security import Trust
from dataplatform.web.typed import Typed

log = logging.getLogger(__name__)
ACCESS_SECONDS = 60.0  # that what is known of tokens and connections is good for
ACCESS_WAIT = 0.5  # seconds that a page waits for it
Seen = frozenset[tuple[str, int, int]]


@dataclass(frozen=True)
class Now:
    """The platform at a moment, and what follows from its metadata alone."""

    platform: Platform
    lineage: Lineage
    model_errors: dict[str, str]
    seen: Seen


@dataclass
class Live:
    """What a request is answered from; one a process. `sign_in` False: nobody need sign in."""

    first: Platform
    trust: Trust
    sign_in: bool = True
    hooks: Any = None  # what the route of webhooks keeps
    provider: Any = None  # who signs people in beside us: OpenID Connect
    streams: Any = None  # how many watch the progress of something
    jobs: Jobs = field(default_factory=Jobs)
    questions: Questions = field(default_factory=Questions, repr=False)
    typed: Typed = field(default_factory=Typed, repr=False)
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _found: dict[str, Any] = field(default_factory=dict)  # auto_dw's last proposal, by schema
    _answered: dict[str, set[str]] = field(default_factory=dict)
    _skipped: dict[str, set[str]] = field(default_factory=dict)
    _now: Now | None = None
    _access: Access = NOTHING
    _access_at: float = -math.inf
    _asking: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def settings(self) -> Settings:
        return self.first.settings

    def now(self) -> Now:
        """Reads metadata again where a file is new, changed or gone."""
        files = seen(self.first.catalog.root)
        found = self._now
        if found is None or found.seen != files:
            with self._lock:
                if self._now is None or self._now.seen != files:
                    self._now = _read(self.first, files)
                    self.forget_access()
                found = self._now
        return found

    @property
    def platform(self) -> Platform:
        return self.now().platform

    def access(self) -> Access:
        """What lets us into sources. Stores of secrets may be far away: they are asked beside, once a minute."""
        if time.monotonic() - self._access_at > ACCESS_SECONDS and self._asking.acquire(blocking=False):
            asked = threading.Thread(target=self._ask_access, name="access", daemon=True)
            asked.start()
            asked.join(ACCESS_WAIT)
        return self._access

    def _ask_access(self) -> None:
        try:
            self._access = access(self.platform)
        except DataplatformError as error:
            log.warning("who lets us into sources is not known: %s", error)
        finally:
            self._access_at = time.monotonic()
            self._asking.release()

    def forget_access(self) -> None:
        """Something of it has changed: it is asked for anew."""
        self._access_at = -math.inf

    def prefect(self) -> PrefectApi | None:
        """The Prefect that runs are asked of: the one of the settings, or HOME's where it is up."""
        return self.settings.prefect or prefect_server.running(self.settings.home_path)

    def seen_of(self, schema: str) -> Any:
        """What auto_dw said of a schema when it was last asked here; None where it was not."""
        return self._found.get(schema)

    def keep_seen(self, schema: str, found: Any) -> None:
        """What was answered before is in it."""
        self._found[schema] = found
        self._answered.pop(schema, None)
        self._skipped.pop(schema, None)

    def answered(self, schema: str) -> set[str]:
        """Questions that were answered, and other changes, since auto_dw was asked."""
        return self._answered.setdefault(schema, set())

    def skipped(self, schema: str) -> set[str]:
        """Questions that somebody wants to answer another time."""
        return self._skipped.setdefault(schema, set())


def _read(platform: Platform, files: Seen) -> Now:
    again = reread(platform)
    errors = {name: str(error) for name, error in usable(again.catalog.models).errors.items()}
    return Now(again, lineage(again.catalog), errors, files)


def seen(root: Path) -> Seen:
    """Time of change and size of every file that people write."""
    found = set()
    for path in (
        *root.glob("sources/*.y*ml"),
        *root.glob("models/*.py"),
        *root.glob("gold/**/*.sql"),
        root / "auto_dw.yaml",
        root / "actions.yaml",
    ):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        found.add((str(path), stat.st_mtime_ns, stat.st_size))
    return frozenset(found)
