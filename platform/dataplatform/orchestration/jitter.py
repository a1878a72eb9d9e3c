"""Runs that are due at the same time begin one after another: `jitter` of their triggers.

Prefect's schedules know no jitter. Its planned runs can be put off, so here each is, once, by what follows from its
deployment and the time that it was planned for: whoever looks again finds it where it belongs. Where nobody looks, runs
come in time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dataplatform.orchestration.rest import TAG, Rest, moment

JITTER = "jitter"  # followed by : and seconds, on a deployment
TOO_LATE = timedelta(seconds=20)  # before a run is due a worker may have taken it already


def tag_of(jitters: Iterable[timedelta]) -> tuple[str, ...]:
    """The tag of a deployment with such triggers, the longest counts; none where there is no jitter."""
    longest = max(jitters, default=timedelta(0))
    return (f"{JITTER}:{longest.total_seconds():.0f}",) if longest else ()


def jitter_of(tags: Sequence[str]) -> timedelta:
    found = next((tag.removeprefix(f"{JITTER}:") for tag in tags if tag.startswith(f"{JITTER}:")), "0")
    return timedelta(seconds=int(found)) if found.isdecimal() else timedelta(0)


def put_off_by(jitter: timedelta, deployment: str, tick: datetime) -> timedelta:
    """How much later a run comes, in whole seconds from nothing to `jitter`: always the same for the same run.

    >>> tick = datetime(2026, 1, 1, 3, tzinfo=UTC)
    >>> str(put_off_by(timedelta(minutes=5), "github", tick)), str(put_off_by(timedelta(0), "github", tick))
    ('0:01:46', '0:00:00')
    """
    text = f"{deployment} {tick.astimezone(UTC).isoformat()}".encode()
    share = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) / 2**64
    return timedelta(seconds=int(share * (jitter.total_seconds() + 1)))


@dataclass(frozen=True)
class Jitters:
    """The planned runs of one work pool."""

    rest: Rest
    pool: str

    def spread(self) -> int:
        """Puts off what is planned and stands at its time still; how many that were."""
        put_off, known = 0, self._deployments()
        for run in self._planned(list(known)) if known else ():
            name, jitter = known[run["deployment_id"]]
            tick = moment(run["expected_start_time"])
            target = tick + put_off_by(jitter, name, tick)
            if target > tick and moment(run["next_scheduled_start_time"]) == tick:
                self._put_off(run, tick, target)
                put_off += 1
        return put_off

    def _deployments(self) -> dict[str, tuple[str, timedelta]]:
        ours = self.rest.pages("/deployments/filter", {"deployments": {"tags": {"all_": [TAG]}}})
        found = {one["id"]: (one["name"], jitter_of(one["tags"])) for one in ours}
        return {id_: about for id_, about in found.items() if about[1]}

    def _planned(self, deployments: list[str]) -> list[dict[str, Any]]:
        """By Prefect itself: what a person or an event has asked for comes when it was asked for."""
        runs = {
            "state": {"name": {"any_": ["Scheduled"]}},
            "next_scheduled_start_time": {"after_": (datetime.now(UTC) + TOO_LATE).isoformat()},
        }
        asked = {
            "flow_runs": runs, "deployments": {"id": {"any_": deployments}}, "sort": "EXPECTED_START_TIME_ASC",
            "work_pools": {"name": {"any_": [self.pool]}},
        }  # fmt: skip
        return [run for run in self.rest.pages("/flow_runs/filter", asked) if run["auto_scheduled"]]

    def _put_off(self, run: dict[str, Any], tick: datetime, target: datetime) -> None:
        said = (
            f"planned for {tick:%Y-%m-%d %H:%M:%S} UTC, and put off by {target - tick}: jitter of its trigger"
        )
        state = {
            "type": "SCHEDULED", "name": "Scheduled", "message": said,
            "state_details": {"scheduled_time": target.isoformat()},
        }  # fmt: skip
        self.rest.post(f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
