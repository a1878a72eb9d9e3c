"""When a source is late: by each kind of trigger that has a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dataplatform.metadata.source import Entity, Source
from dataplatform.reading.health import due_since

LAST = datetime(2026, 3, 2, 10, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)


def late(trigger: dict[str, Any], after: timedelta) -> str | None:
    entity = {"key": ["id"]}
    source = Source.model_validate(
        {"source": "s", "connector": {"type": "x"}, "triggers": [trigger], "entities": {"e": entity}}
    )
    return due_since(source, Entity.model_validate(entity), LAST, LAST + after)


@pytest.mark.parametrize(
    ("trigger", "well", "over"),
    [
        ({"type": "cron", "cron": "0 3 * * *"}, 17 * DAY / 24, 18 * DAY / 24),
        ({"type": "interval", "every": "6h"}, 8 * DAY / 24, 10 * DAY / 24),
        ({"type": "rrule", "rrule": "FREQ=WEEKLY;BYDAY=FR;BYHOUR=18"}, 4 * DAY, 5 * DAY),
    ],
)
def test_late_after_the_time_that_a_trigger_says_and_some_grace(
    trigger: dict[str, Any], well: timedelta, over: timedelta
) -> None:
    assert late(trigger, well) is None
    assert late(trigger, over)


def test_what_comes_by_no_clock_is_never_late() -> None:
    assert late({"type": "event", "of": ["other"]}, 900 * DAY) is None
    assert late({"type": "notify", "channel": "c"}, 900 * DAY) is None
