"""`jitter` of a trigger, as it acts on the runs that a real Prefect server plans."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dataplatform.metadata.source import CronTrigger, IntervalTrigger
from dataplatform.metadata.triggers import RRuleTrigger
from dataplatform.orchestration.catch_up import CatchUps
from dataplatform.orchestration.jitter import Jitters, put_off_by
from dataplatform.orchestration.rest import Rest, moment
from dataplatform.reading.due import due_after
from dataplatform.settings import PrefectApi
from test_supervised import deployment, pool

__all__ = ["pool"]  # a fixture
HOURLY = {"schedule": {"cron": "0 * * * *", "timezone": "UTC"}, "active": True}


def test_it_is_shorter_than_the_time_between_two_runs() -> None:
    CronTrigger(type="cron", cron="0 * * * *", jitter="30m")
    IntervalTrigger(type="interval", every="1h", jitter="59m")
    for wrong in (
        lambda: CronTrigger(type="cron", cron="0 * * * *", jitter="1h"),
        lambda: IntervalTrigger(type="interval", every="10m", jitter="10m"),
        lambda: RRuleTrigger(type="rrule", rrule="FREQ=HOURLY", jitter="2h"),
        lambda: CronTrigger(type="cron", cron="0 * * * *", jitter="soon"),
    ):
        with pytest.raises(ValueError, match=r"shorter than the time between|not a duration"):
            wrong()


def test_who_waits_for_a_run_waits_for_its_jitter_too() -> None:
    trigger = CronTrigger(type="cron", cron="0 3 * * *", jitter="2h")
    assert due_after(trigger, datetime(2026, 1, 1, 4, tzinfo=UTC)) == datetime(2026, 1, 2, 5, tzinfo=UTC)


def test_it_is_spread_over_its_span_and_always_the_same() -> None:
    span, tick = timedelta(minutes=10), datetime(2026, 1, 1, tzinfo=UTC)
    found = [put_off_by(span, f"s{n}", tick + timedelta(hours=n)) for n in range(2000)]
    assert found == [put_off_by(span, f"s{n}", tick + timedelta(hours=n)) for n in range(2000)]
    assert min(found) < timedelta(seconds=10)
    assert span - timedelta(seconds=10) < max(found) <= span
    assert abs(sum(found, timedelta()) / 2000 - span / 2) < timedelta(seconds=20)


def runs_of(rest: Rest, id_: str) -> list[dict[str, Any]]:
    asked = {"deployments": {"id": {"any_": [id_]}}, "sort": "EXPECTED_START_TIME_ASC", "limit": 200}
    return list(rest.post("/flow_runs/filter", asked))


def planned_by_prefect(rest: Rest, id_: str) -> list[dict[str, Any]]:
    end = time.monotonic() + 90
    while not (found := runs_of(rest, id_)):
        assert time.monotonic() < end, "Prefect plans nothing"
        time.sleep(1)
    return found


def offered(rest: Rest, pool: str, at: datetime) -> set[str]:
    """What a worker would take at that time."""
    found = rest.post(f"/work_pools/{pool}/get_scheduled_flow_runs", {"scheduled_before": at.isoformat()})
    return {one["flow_run"]["id"] for one in found}


@pytest.mark.prefect
def test_planned_runs_are_put_off_once_and_the_worker_takes_them_then(
    prefect_api: PrefectApi, pool: str
) -> None:
    rest = Rest(prefect_api)
    tags = ["dataplatform", "catch-up:none", "jitter:1800"]
    one = deployment(rest, pool, schedules=[HOURLY], tags=tags)
    other = deployment(rest, pool, name=f"{pool}-other", schedules=[HOURLY], tags=tags)
    plain = deployment(rest, pool, name=f"{pool}-plain", schedules=[HOURLY])
    before = {id_: planned_by_prefect(rest, id_) for id_ in (one, other, plain)}
    jitters = Jitters(rest, pool)
    assert jitters.spread() >= 2
    assert jitters.spread() == 0
    after = {id_: {run["id"]: run for run in runs_of(rest, id_)} for id_ in (one, other, plain)}
    for id_, name in ((one, pool), (other, f"{pool}-other")):
        for run in before[id_]:
            tick, now = moment(run["expected_start_time"]), after[id_][run["id"]]
            target = tick + put_off_by(timedelta(minutes=30), name, tick)
            assert moment(now["next_scheduled_start_time"]) == target
            assert moment(now["expected_start_time"]) == tick, "by that it is known what was planned"
            if target > tick:
                assert "put off by" in now["state"]["message"]
                assert run["id"] not in offered(rest, pool, target - timedelta(seconds=1))
            assert run["id"] in offered(rest, pool, target + timedelta(seconds=1))
    assert all(
        run["next_scheduled_start_time"] == run["expected_start_time"] for run in after[plain].values()
    )
    assert CatchUps(rest, pool).thin_out() == 0
    time.sleep(8)  # the scheduler has looked again
    ticks = [run["expected_start_time"] for run in runs_of(rest, one)]
    assert len(ticks) == len(set(ticks)), "it does not plan again what was put off"


@pytest.mark.prefect
def test_a_run_that_was_put_off_is_not_overdue_before_its_own_time(
    prefect_api: PrefectApi, pool: str
) -> None:
    rest = Rest(prefect_api)
    id_ = deployment(rest, pool, policy="none")
    now = datetime.now(UTC)

    def made(tick: datetime, target: datetime) -> str:
        state = {
            "type": "SCHEDULED",
            "name": "Scheduled",
            "state_details": {"scheduled_time": tick.isoformat()},
        }
        order = {"state": state, "tags": ["catch-up"]}
        run = str(rest.post(f"/deployments/{id_}/create_flow_run", order)["id"])
        later = {**state, "state_details": {"scheduled_time": target.isoformat()}}
        rest.post(f"/flow_runs/{run}/set_state", {"state": later, "force": True})
        return run

    waits = made(now - timedelta(minutes=20), now + timedelta(minutes=5))
    due = made(now - timedelta(minutes=20), now - timedelta(minutes=1))
    missed = made(now - timedelta(hours=2), now - timedelta(hours=1))
    assert CatchUps(rest, pool).thin_out() == 1
    names = {run["id"]: run["state"]["name"] for run in runs_of(rest, id_)}
    assert names[missed] == "Skipped"
    assert names[waits] == "Scheduled"
    assert names[due] in ("Scheduled", "Late")
