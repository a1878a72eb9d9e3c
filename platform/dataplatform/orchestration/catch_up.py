"""What was due while nothing ran: made up for once, run by run, or not at all, as `catch_up` of the triggers says.

Prefect runs, one after another, whatever it had planned before the machine went down (three runs ahead, or an hour's)
and nothing of what it had not come to plan. Here either is put right, from what its REST API tells.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo

from dataplatform.metadata.triggers import CatchUp, rule_between
from dataplatform.orchestration.rest import PAGE, TAG, Rest, moment

CATCH_UP = "catch-up"  # followed by : and the policy, on a deployment; alone, on a run that was made here
MISSED = timedelta(minutes=5)  # later than this, a run was due while nothing ran; a queue is shorter
SURE = timedelta(minutes=1)  # what became due since then Prefect may be about to plan
MOST = 100  # runs of a deployment that are made up for one by one
# and not what is to be run again: that is somebody's wish, or a retry
WAITING = ("Scheduled", "Late", "AwaitingConcurrencySlot")


def tag_of(policies: Iterable[CatchUp]) -> str:
    """The tag of a deployment whose triggers say that: the one that does most decides."""
    return f"{CATCH_UP}:{max(policies, key=['none', 'once', 'all'].index, default='once')}"


def policy_of(tags: Sequence[str]) -> str:
    return next((tag.removeprefix(f"{CATCH_UP}:") for tag in tags if tag.startswith(f"{CATCH_UP}:")), "once")


@dataclass(frozen=True)
class CatchUps:
    """What is overdue in one work pool."""

    rest: Rest
    pool: str

    def thin_out(self) -> int:
        """Sets aside overdue runs that are not wanted, and says so in their state; how many there were."""
        now, late = datetime.now(UTC), defaultdict(list)
        for run in self._overdue(now):
            # one that has run before was asked for again: by a person's answer, for one
            if (run["auto_scheduled"] or CATCH_UP in run["tags"]) and not run["run_count"]:
                late[run["deployment_id"]].append(run)
        tags = self._tags(
            [id_ for id_, runs in late.items() if len(runs) > 1 or _due(runs[0]) < now - MISSED]
        )
        unwanted = [run for id_, found in tags.items() for run in _unwanted(late[id_], policy_of(found), now)]
        for run in unwanted:
            self._set_aside(run)
        return len(unwanted)

    def make_up(self) -> int:
        """Makes the runs that were due and that Prefect never planned; to be called at a start. How many there were."""
        return sum(self._made_up(one) for one in self._scheduled() if policy_of(one["tags"]) != "none")

    def _overdue(self, now: datetime) -> list[dict[str, Any]]:
        runs = {"state": {"name": {"any_": WAITING}}, "expected_start_time": {"before_": now.isoformat()}}
        pool = {"name": {"any_": [self.pool]}}
        asked = {"flow_runs": runs, "work_pools": pool, "sort": "EXPECTED_START_TIME_ASC", "limit": PAGE}
        return [run for run in self.rest.post("/flow_runs/filter", asked) if _due(run) < now]

    def _tags(self, ids: list[str]) -> dict[str, list[str]]:
        if not ids:
            return {}
        found = self.rest.post("/deployments/filter", {"deployments": {"id": {"any_": ids}}, "limit": PAGE})
        return {one["id"]: one["tags"] for one in found if TAG in one["tags"]}

    def _set_aside(self, run: dict[str, Any]) -> None:
        said = f"was due at {_due(run):%Y-%m-%d %H:%M} UTC, while nothing ran; catch_up of its trigger leaves it out"
        state = {"type": "CANCELLED", "name": "Skipped", "message": said}
        self.rest.post(f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})

    def _scheduled(self) -> Iterator[dict[str, Any]]:
        for one in self.rest.pages("/deployments/filter", {"deployments": {"tags": {"all_": [TAG]}}}):
            if not one["paused"] and any(s["active"] for s in one["schedules"]):
                yield one

    def _made_up(self, deployment: dict[str, Any]) -> int:
        now = datetime.now(UTC)
        since = self._last(deployment["id"], now) or moment(deployment["created"])
        schedules = [s["schedule"] for s in deployment["schedules"] if s["active"]]
        due = sorted({at for schedule in schedules for at in due_between(schedule, since, now - SURE)})
        wanted = due[-1:] if policy_of(deployment["tags"]) == "once" else due[-MOST:]
        for at in wanted:
            details = {"scheduled_time": at.isoformat()}
            order = {
                "state": {"type": "SCHEDULED", "name": "Scheduled", "state_details": details},
                "idempotency_key": f"{CATCH_UP} {deployment['id']} {at.isoformat()}",
                "tags": [CATCH_UP],
            }
            self.rest.post(f"/deployments/{deployment['id']}/create_flow_run", order)
        return len(wanted)

    def _last(self, deployment: str, now: datetime) -> datetime | None:
        """When the newest run of that deployment was due, up to now; None where there was none."""
        runs = {"expected_start_time": {"before_": now.isoformat()}}
        asked = {
            "deployments": {"id": {"any_": [deployment]}},
            "flow_runs": runs,
            "sort": "EXPECTED_START_TIME_DESC",
            "limit": 1,
        }
        found = self.rest.post("/flow_runs/filter", asked)
        return _due(found[0]) if found else None


def due_between(schedule: dict[str, Any], since: datetime, until: datetime) -> list[datetime]:
    """Times at which a schedule of Prefect (JSON: cron, rrule, interval) is due after `since`, up to `until`; UTC.

    >>> start = datetime(2026, 1, 1, tzinfo=UTC)
    >>> hourly = {"interval": 3600.0, "anchor_date": "2026-01-01T00:30:00Z"}
    >>> [f"{at:%H:%M}" for at in due_between(hourly, start, start + timedelta(hours=2))]
    ['00:30', '01:30']
    """
    if "cron" in schedule:
        return _cron(schedule["cron"], schedule.get("timezone") or "UTC", since, until)
    if "rrule" in schedule:
        return rule_between(schedule["rrule"], schedule.get("timezone") or "UTC", since, until)[-MOST:]
    if not schedule.get("interval"):
        return []
    every, anchor = timedelta(seconds=schedule["interval"]), moment(schedule["anchor_date"])
    first = max(0, (since - anchor) // every + 1)
    last = (until - anchor) // every
    return [anchor + every * n for n in range(max(first, last - MOST + 1), last + 1)]


def _cron(cron: str, zone: str, since: datetime, until: datetime) -> list[datetime]:
    from cronsim import CronSim

    times = takewhile(lambda at: at <= until, CronSim(cron, since.astimezone(ZoneInfo(zone))))
    return [at.astimezone(UTC) for at in islice(times, 10_000)][-MOST:]


def _unwanted(runs: list[dict[str, Any]], policy: str, now: datetime) -> list[dict[str, Any]]:
    if policy == "all":
        return []
    if policy == "none":
        return [run for run in runs if _due(run) < now - MISSED]
    return runs[:-1]


def _due(run: dict[str, Any]) -> datetime:
    """When it is to begin: as planned, or later where `jitter` has put it off (jitter.py)."""
    planned = moment(run["expected_start_time"])
    put_off = run.get("next_scheduled_start_time")
    waits = run.get("state_name") in ("Scheduled", "Late")
    return max(planned, moment(put_off)) if waits and put_off else planned
