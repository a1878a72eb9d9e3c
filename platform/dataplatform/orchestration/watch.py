"""Looks after runs for as long as the platform is up: those whose process has died, and those that are overdue."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from sqlalchemy.engine import Engine

from dataplatform.errors import DataplatformError
from dataplatform.orchestration.catch_up import CatchUps
from dataplatform.orchestration.dead import Dead
from dataplatform.orchestration.jitter import Jitters
from dataplatform.orchestration.rest import Rest
from dataplatform.settings import PrefectApi

EVERY = 5.0  # seconds between two looks; a dead run is closed at the second
SELDOM = 6  # looks between two at planned runs: they are planned long before

log = logging.getLogger(__name__)


def settle(api: PrefectApi, engine: Engine, pool: str) -> int:
    """Closes the runs that nobody runs any more; to be called while no worker is there. How many there were."""
    return len(Dead(Rest(api), engine, pool).settle())


@dataclass
class Watch:
    """Looks again and again. `done` is called after each look that went well."""

    api: PrefectApi
    engine: Engine
    pool: str
    done: Callable[[], None] = lambda: None

    def run(self, stop: Event, every: float = EVERY) -> None:
        """Until `stop`. Servers that do not answer are told once, and asked again at the next look."""
        dead, overdue = Dead(Rest(self.api), self.engine, self.pool), CatchUps(Rest(self.api), self.pool)
        jitters = Jitters(Rest(self.api), self.pool)
        started = silent = False
        looks = itertools.count()
        while not stop.is_set():
            try:
                if not started:
                    overdue.make_up()
                    started = True
                overdue.thin_out()
                if next(looks) % SELDOM == 0:
                    jitters.spread()
                dead.look()
                self.done()
                silent = False
            except (OSError, ValueError, DataplatformError) as error:
                if not silent:
                    log.warning("runs cannot be looked after now: %s", error)
                silent = True
            except (
                Exception
            ):  # a defect, or an answer of Prefect's that we do not know: the next look may go well
                log.exception("runs cannot be looked after now")
            stop.wait(every)
