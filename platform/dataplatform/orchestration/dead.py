"""Runs whose process has died: found, set Crashed, their slots freed, their audit rows closed.

A run holds a lock of Postgres for as long as its process lives (runs/locks.py), so that it is dead is known and not
guessed from what has not been heard for a while. What it left half-way the next run of its source finishes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError

from sqlalchemy.engine import Engine

from dataplatform.audit import record as audit
from dataplatform.orchestration.rest import Rest, moment
from dataplatform.records.refs import RunRef
from dataplatform.runs.locks import dead_among
from dataplatform.storage.postgres import connected, transaction

BEGINS = timedelta(seconds=20)  # a run that Prefect calls running opens the platform before it takes its lock
SUBMITTED = timedelta(seconds=75)  # and before that its process starts, which takes a small computer a while
UNDER_WAY = ("RUNNING", "PENDING", "CANCELLING")
DIED = "its process ended before it did; the next run finishes its work"

log = logging.getLogger(__name__)


@dataclass
class Dead:
    """What looked dead at the last look: it is buried at the second, for a lock may be lost for a moment."""

    rest: Rest
    engine: Engine
    pool: str
    suspects: set[str] = field(default_factory=set)
    idle: set[str] = field(default_factory=set)

    def look(self) -> list[str]:
        """Ids of the runs that were closed at this look."""
        now = datetime.now(UTC)
        runs = self._under_way()
        ripe = [run["id"] for run in runs if _is_ripe(run, now)]
        with connected(self.engine) as conn:
            found = dead_among(conn, {*ripe, *audit.running(conn)})
        buried = sorted(found & self.suspects)
        for run in buried:
            self._bury(run)
        self.suspects = found - set(buried)
        self._free({run["deployment_id"] for run in runs if run["id"] not in buried})
        return buried

    def settle(self) -> list[str]:
        """The same at once, for a start at which no worker is there: what only waits for its process is dead, too."""
        runs = [run["id"] for run in self._under_way()]
        with connected(self.engine) as conn:
            found = dead_among(conn, {*runs, *audit.running(conn)})
        for run in sorted(found):
            self._bury(run)
        alive = {run["deployment_id"] for run in self._under_way()}
        self._free(alive)
        self._free(alive)
        return sorted(found)

    def _under_way(self) -> list[dict[str, Any]]:
        asked = {
            "flow_runs": {"state": {"type": {"any_": list(UNDER_WAY)}}},
            "work_pools": {"name": {"any_": [self.pool]}},
        }
        return list(self.rest.pages("/flow_runs/filter", asked))

    def _bury(self, run: str) -> None:
        state = {"type": "CRASHED", "name": "Crashed", "message": DIED}
        try:
            if self.rest.get(f"/flow_runs/{run}")["state"]["type"] in UNDER_WAY:
                self.rest.post(f"/flow_runs/{run}/set_state", {"state": state, "force": True})
        except HTTPError as error:
            if error.code not in (404, 422):  # of another Prefect server, or of none
                raise
        with transaction(self.engine) as conn:
            audit.finish_dead_run(conn, RunRef(run), DIED)
        log.warning("the run %s: %s", run, DIED)

    def _free(self, busy: Iterable[str]) -> None:
        """Slots that are taken though no run of their deployment is under way: Prefect may forget who took them."""
        kept = {f"deployment:{id_}" for id_ in busy}
        limits = self.rest.pages("/v2/concurrency_limits/filter", {})
        idle = {
            limit["name"]
            for limit in limits
            if limit["active_slots"] and limit["name"].startswith("deployment:") and limit["name"] not in kept
        }
        for name in idle & self.idle:
            self.rest.call("PATCH", f"/v2/concurrency_limits/{name}", {"active_slots": 0})
        self.idle = idle - self.idle


def _is_ripe(run: dict[str, Any], now: datetime) -> bool:
    return now - moment(run["state"]["timestamp"]) > (
        SUBMITTED if run["state"]["type"] == "PENDING" else BEGINS
    )
