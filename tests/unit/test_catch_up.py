"""What was due while nothing ran, and when a thing that ended is started again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from dataplatform.embedded.supervise import BackOff
from dataplatform.orchestration.catch_up import MOST, _unwanted, due_between, policy_of, tag_of

DAY = datetime(2026, 3, 28, tzinfo=UTC)


def times(schedule: dict[str, Any], since: datetime, hours: float) -> list[str]:
    return [f"{at:%d %H:%M}" for at in due_between(schedule, since, since + timedelta(hours=hours))]


@pytest.mark.parametrize(
    ("schedule", "hours", "due"),
    [
        ({"cron": "0 3 * * *"}, 24, ["28 03:00"]),
        ({"cron": "0 3 * * *"}, 2, []),
        ({"cron": "0 * * * *"}, 3, ["28 01:00", "28 02:00", "28 03:00"]),
        # the clock goes forward in that night
        ({"cron": "0 4 * * *", "timezone": "Europe/Amsterdam"}, 48, ["28 03:00", "29 02:00"]),
        ({"interval": 21600.0, "anchor_date": "2026-03-01T01:00:00Z"}, 13, ["28 01:00", "28 07:00", "28 13:00"]),
        ({"interval": 21600.0, "anchor_date": "2026-03-28T07:00:00+00:00"}, 13, ["28 07:00", "28 13:00"]),
        ({"interval": 21600.0, "anchor_date": "2027-01-01T00:00:00Z"}, 24, []),
        ({"rrule": "FREQ=DAILY;BYHOUR=4", "timezone": "Europe/Amsterdam"}, 48, ["28 03:00", "29 02:00"]),
    ],
)  # fmt: skip
def test_due_times(schedule: dict[str, Any], hours: float, due: list[str]) -> None:
    assert times(schedule, DAY, hours) == due


def test_the_moment_of_the_last_run_is_not_due_again() -> None:
    assert times({"interval": 3600.0, "anchor_date": DAY.isoformat()}, DAY, 1) == ["28 01:00"]
    assert times({"cron": "0 * * * *"}, DAY, 1) == ["28 01:00"]


def test_a_year_of_seconds_is_bounded() -> None:
    every_second = {"interval": 1.0, "anchor_date": DAY.isoformat()}
    found = due_between(every_second, DAY, DAY + timedelta(days=365))
    assert len(found) == MOST
    assert found[-1] == DAY + timedelta(days=365)


def test_which_overdue_runs_are_left_out() -> None:
    def runs(*minutes: float) -> list[dict[str, Any]]:
        return [{"expected_start_time": (DAY - timedelta(minutes=m)).isoformat()} for m in minutes]

    three = runs(120, 60, 1)
    assert _unwanted(three, "once", DAY) == three[:2], "the newest makes up for all"
    assert _unwanted(three, "all", DAY) == []
    assert _unwanted(three, "none", DAY) == three[:2], "what was due a minute ago is only waiting"
    assert _unwanted(runs(60), "once", DAY) == []
    assert _unwanted(runs(60), "none", DAY) == runs(60)


def test_the_policy_of_a_deployment_is_that_of_its_triggers() -> None:
    for given, decides in (
        (["none", "once"], "once"),
        (["once", "all"], "all"),
        (["none"], "none"),
        ([], "once"),
    ):
        assert policy_of(["dataplatform", tag_of(given)]) == decides
    assert policy_of(["dataplatform"]) == "once"


def test_what_ends_again_and_again_is_started_later_and_later() -> None:
    clock = [0.0]
    back_off = BackOff(now=lambda: clock[0])
    started = []
    while clock[0] < 300:
        if back_off.due():
            back_off.tried()
            started.append(clock[0])
        clock[0] += 1
    waits = [b - a for a, b in pairwise(started)]
    assert waits[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert set(waits[6:]) == {60}
    clock[0] = started[-1] + 301
    assert back_off.due(), "after a steady time at once"
