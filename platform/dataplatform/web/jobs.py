"""What takes longer than a request: done in a thread of this process, one of a kind at a time, told in words."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from dataplatform.errors import BusyError, DataplatformError
from dataplatform.secrets import redact
from dataplatform.secrets.masking import PROCESS

KEPT = 50
Say = Callable[[str], None]
log = logging.getLogger(__name__)


@dataclass
class Job:
    """One piece of work. `kind` names what no second may do meanwhile; `link`: where its result is seen."""

    kind: str
    title: str
    by: str
    link: str = ""
    id: str = field(default_factory=lambda: uuid4().hex[:12])
    state: Literal["running", "done", "failed"] = "running"
    said: list[str] = field(default_factory=list)
    result: Any = None
    remedy: str = ""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime | None = None

    @property
    def last(self) -> str:
        return self.said[-1] if self.said else ""


@dataclass
class Jobs:
    """The last of them; they do not outlive the process, what they did does."""

    _all: dict[str, Job] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def start(
        self, kind: str, title: str, by: str, work: Callable[[Say], Any], link: str = "", id: str = ""
    ) -> Job:
        """Begins in a thread; raises BusyError where one of the kind goes on."""
        job = Job(kind, title, by, link, id or uuid4().hex[:12])
        with self._lock:
            other = next((j for j in self._all.values() if j.kind == kind and j.state == "running"), None)
            if other is not None:
                raise BusyError(f"{other.title} goes on already", "wait until it has ended")
            self._all[job.id] = job
            for old in [j.id for j in self._all.values() if j.state != "running"][:-KEPT]:
                del self._all[old]
        threading.Thread(target=_do, args=(job, work), name=f"job {kind}", daemon=True).start()
        return job

    def get(self, id_: str) -> Job | None:
        return self._all.get(id_)

    def running(self, kind: str) -> Job | None:
        return next((j for j in self._all.values() if j.kind == kind and j.state == "running"), None)

    def last(self, kind: str) -> Job | None:
        """The newest of the kind, however it is."""
        return next((j for j in reversed(list(self._all.values())) if j.kind == kind), None)

    def newest(self) -> list[Job]:
        return list(reversed(list(self._all.values())))


def _do(job: Job, work: Callable[[Say], Any]) -> None:
    try:
        job.result = work(lambda text: job.said.append(_safe(text)))
        job.state = "done"
    except DataplatformError as error:
        job.said.append(_safe(error.message))
        job.remedy, job.state = _safe(error.remedy), "failed"
    except Exception as error:  # a defect: the log has it whole, the page its kind
        log.exception("%s failed", job.title)
        job.said.append(_safe(f"it failed: {type(error).__name__}"))
        job.remedy, job.state = "the log of this process has it whole", "failed"
    finally:
        job.finished_at = datetime.now(UTC)


def _safe(text: str) -> str:
    return PROCESS.masker.text(redact(text))
