"""Whether Prefect's own services do their work, judged by what they leave behind.

Only Prefect's REST API is asked, so it holds for an embedded server and for one in a container alike, and
Prefect's library (a second of import) is not needed. A scheduler that fails at every pass answers requests as if
all were well; that it plans no runs shows it.
"""

from __future__ import annotations

import urllib.error
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from dataplatform.errors import ServerError
from dataplatform.orchestration.rest import PAGE, TAG, Rest, moment, translated
from dataplatform.settings import PrefectApi

PATIENCE = timedelta(seconds=90)  # the scheduler passes every minute, new deployments every five seconds
LATE = timedelta(minutes=2)  # the late-runs service marks a run after fifteen seconds
RECENT = timedelta(days=1)  # events older than this say nothing of today's server
_OURS = {"tags": {"all_": [TAG]}}


@dataclass(frozen=True)
class Trouble:
    """A service of Prefect that does not do its work: `scheduler`, `late runs`, `events`, `worker` or `api`."""

    service: str
    text: str


@dataclass(frozen=True)
class Health:
    """What was found at the API; no API, no troubles: nothing has been deployed that could fail."""

    api: str | None
    troubles: list[Trouble] = field(default_factory=list)


def look(where: PrefectApi | None, events_delivered_at: datetime | None = None) -> Health:
    """Asks the API there; `events_delivered_at` is when an event was last handed to Prefect (UTC)."""
    if where is None:
        return Health(None)
    api = Rest(where)
    try:
        now = datetime.now(UTC)
        with translated(where):
            troubles = _unplanned(api, now) + _overdue(api, now) + _lost_events(api, now, events_delivered_at)
    except ServerError as error:
        return Health(where.url, [Trouble("api", f"{error.message}; {error.remedy}")])
    return Health(where.url, troubles)


def _unplanned(api: Rest, now: datetime) -> list[Trouble]:
    """Deployments with a schedule for which no run lies ahead."""
    settled = [
        d
        for d in api.pages("/deployments/filter", {"deployments": _OURS})
        if not d.get("paused")
        and any(s["active"] for s in d["schedules"])
        and moment(d["updated"]) < now - PATIENCE
    ]
    names = [d["name"] for d in settled if not _ahead(api, d["id"], now)]
    if not names:
        return []
    return [
        Trouble(
            "scheduler",
            f"Prefect's scheduler has planned no run of {_list(names)}: its schedules do not fire. "
            "See HOME/prefect/server.log (compose: docker compose logs prefect), then restart the server",
        )
    ]


def _ahead(api: Rest, deployment: str, now: datetime) -> bool:
    runs = {
        "deployment_id": {"any_": [deployment]},
        "state": {"type": {"any_": ["SCHEDULED"]}},
        "expected_start_time": {"after_": now.isoformat()},
    }
    return bool(api.post("/flow_runs/count", {"flow_runs": runs}))


def _overdue(api: Rest, now: datetime) -> list[Trouble]:
    """Runs that should have begun: not marked late (the service fails), or late because nobody takes them."""
    runs = api.post(
        "/flow_runs/filter",
        {
            "deployments": _OURS,
            "limit": PAGE,
            "sort": "EXPECTED_START_TIME_ASC",
            "flow_runs": {
                "state": {"type": {"any_": ["SCHEDULED"]}},
                "expected_start_time": {"before_": (now - LATE).isoformat()},
            },
        },
    )
    troubles = []
    unmarked = [r["name"] for r in runs if r["state"]["name"] == "Scheduled"]
    if unmarked:
        troubles.append(
            Trouble(
                "late runs",
                f"{len(unmarked)} runs are overdue and Prefect has not marked them late, {unmarked[0]} first: "
                "its service for late runs fails. See HOME/prefect/server.log, then restart the server",
            )
        )
    if runs and not any(_alive(api, pool) for pool in {r["work_pool_name"] for r in runs}):
        troubles.append(
            Trouble(
                "worker",
                f"{len(runs)} runs wait since {runs[0]['expected_start_time'][:16]} and no worker is online: "
                "run `dataplatform up`, or start the worker's container",
            )
        )
    return troubles


def _alive(api: Rest, pool: str | None) -> bool:
    if not pool:
        return False
    try:
        workers = api.post(f"/work_pools/{pool}/workers/filter", {"limit": PAGE})
    except urllib.error.HTTPError:
        return False
    return any(w["status"] == "ONLINE" for w in workers)


def _lost_events(api: Rest, now: datetime, delivered: datetime | None) -> list[Trouble]:
    """Events that were handed over and never came out: the service that stores them fails."""
    if delivered is None or not now - RECENT < delivered < now - LATE:
        return []
    span = {"since": (delivered - LATE).isoformat(), "until": now.isoformat()}
    asked = {"filter": {"event": {"prefix": ["dataplatform."]}, "occurred": span}, "limit": 1}
    if api.post("/events/filter", asked)["events"]:
        return []
    return [
        Trouble(
            "events",
            f"Prefect took an event at {delivered:%Y-%m-%d %H:%M} UTC and has not stored it: gold does not "
            "follow silver. See HOME/prefect/server.log, then restart the server",
        )
    ]


def _list(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} others" if len(names) > most else "")
