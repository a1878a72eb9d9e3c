"""Keeps servers and a worker going for as long as `up` runs: what ends is started again, later and later."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from dataplatform.embedded.process import keeper_alive
from dataplatform.embedded.servers import Servers, start_servers
from dataplatform.errors import DataplatformError
from dataplatform.settings import Settings

LONGEST = 60.0  # seconds between two tries at most
STEADY = 300.0  # seconds; what has lived that long is started again at once
LOOK = 1.0

log = logging.getLogger(__name__)


@dataclass
class BackOff:
    """When the next try is due: after 0, 1, 2, 4 … seconds, a minute at most; as at first after a steady time."""

    now: Callable[[], float] = time.monotonic
    tries: int = 0
    started: float = float("-inf")

    def due(self) -> bool:
        if self.now() - self.started > STEADY:
            self.tries = 0
        wait = min(LONGEST, 2.0 ** (self.tries - 1)) if self.tries else 0.0
        return self.now() - self.started >= wait

    def tried(self) -> None:
        self.tries += 1
        self.started = self.now()


@dataclass
class Supervised:
    """The servers of a HOME and the worker. `start_worker` starts one."""

    settings: Settings
    servers: Servers
    start_worker: Callable[[], subprocess.Popen[bytes]]
    worker: subprocess.Popen[bytes]
    back_off: dict[str, BackOff] = field(default_factory=dict)

    def look(self) -> None:
        """Starts again what has ended, where that is due."""
        ended = [lease.name for lease in self.servers.leases if not keeper_alive(lease.folder)]
        if ended and self._due(" and ".join(ended), "ended; it is started again"):
            try:
                self._servers_again()
            except (DataplatformError, OSError) as error:  # a full disk, say: `up` goes on
                log.error("%s", error)
        code = self.worker.poll()
        if code is not None and self._due("the worker", f"ended with {code}; it is started again"):
            self.worker = self.start_worker()

    def _servers_again(self) -> None:
        """Joins those that run, starts the others; a new address of Prefect is for a new worker."""
        before = self.servers
        self.servers = start_servers(self.settings, prefect=True)
        for lease in before.leases:
            lease.release()
        if self.servers.prefect != before.prefect:
            self.worker.terminate()

    def _due(self, name: str, what: str) -> bool:
        back_off = self.back_off.setdefault(name, BackOff())
        if not back_off.due():
            return False
        back_off.tried()
        log.warning("%s %s", name, what)
        return True


def supervise(supervised: Supervised, stop: Event) -> None:
    """Until `stop`."""
    while not stop.wait(LOOK):
        supervised.look()
