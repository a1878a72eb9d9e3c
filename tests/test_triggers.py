"""Triggers beside the clock, with `dataplatform up` as a person starts it: dropped files, NOTIFY, another source's load."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from conftest import Databases
from dataplatform.metadata.triggers import rule_between
from dataplatform.orchestration.catch_up import due_between
from dataplatform.orchestration.rest import Rest
from prefect.client.schemas.schedules import RRuleSchedule
from test_schedules import api_of, ids, up, wait_for

pytestmark = [pytest.mark.prefect, pytest.mark.timeout(400)]
SOURCE = """source: NAME
connector: {type: files, path: FOLDER}
triggers: [TRIGGER]
entities:
  e: {file: NAME.jsonl, key: [id]}
"""


@pytest.fixture
def env(databases: Databases, tmp_path: Path) -> dict[str, str]:
    for folder in ("metadata/sources", "data", "drop"):
        (tmp_path / folder).mkdir(parents=True)
    add(tmp_path, "dropped", f"{{type: file, path: '{tmp_path}/drop/*.jsonl', settle: 1s}}", "drop")
    add(tmp_path, "told", "{type: notify, channel: Something new}")
    add(tmp_path, "after", "{type: event, of: [told.e]}")
    add(
        tmp_path,
        "monthly",
        "{type: rrule, rrule: 'FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18', timezone: Europe/Amsterdam}",
    )
    return {k: v for k, v in os.environ.items() if not k.startswith(("DATAPLATFORM_", "PREFECT_"))} | {
        "DATAPLATFORM_HOME": str(tmp_path / "home"),
        "DATAPLATFORM_METADATA": str(tmp_path / "metadata"),
        "DATAPLATFORM_POSTGRES_URL": databases.postgres,
        "DATAPLATFORM_MONGO_URL": databases.mongo,
        "DATAPLATFORM_LINGER": "0",
    }


def add(folder: Path, name: str, trigger: str, data: str = "data") -> None:
    text = SOURCE.replace("NAME", name).replace("TRIGGER", trigger).replace("FOLDER", str(folder / data))
    (folder / "metadata" / "sources" / f"{name}.yaml").write_text(text)
    if data == "data":
        (folder / data / f"{name}.jsonl").write_text('{"id": 1}\n')


@pytest.mark.slow
def test_files_notifications_and_events_run_sources(env: dict[str, str], tmp_path: Path) -> None:
    with up(env):
        wait_for(lambda: ids(env, "told") == [1], 60, "who listens runs once at the start")
        wait_for(lambda: ids(env, "after") == [1], 60, "the load of `told` ran nothing")
        (tmp_path / "drop" / "dropped.jsonl").write_text('{"id": 1}\n')
        wait_for(lambda: ids(env, "dropped") == [1], 60, "a dropped file loaded nothing")
        (tmp_path / "drop" / "dropped.jsonl").write_text('{"id": 1}\n{"id": 2}\n')
        (tmp_path / "data" / "told.jsonl").write_text('{"id": 1}\n{"id": 2}\n')
        (tmp_path / "data" / "after.jsonl").write_text('{"id": 1}\n{"id": 2}\n')
        with psycopg.connect(env["DATAPLATFORM_POSTGRES_URL"]) as conn:
            conn.execute("notify \"Something new\", 'any text'")
        wait_for(lambda: ids(env, "dropped") == [1, 2], 60, "a changed file loaded nothing")
        wait_for(lambda: ids(env, "told") == [1, 2], 60, "NOTIFY loaded nothing")
        wait_for(lambda: ids(env, "after") == [1, 2], 60, "the second load of `told` ran nothing")
        schedule = Rest(api_of(env)).get("/deployments/name/ingest/monthly")["schedules"][0]["schedule"]
        assert schedule["rrule"].endswith("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18")
        assert schedule["timezone"] == "Europe/Amsterdam"
        since = datetime(2026, 2, 1, tzinfo=UTC)
        (due,) = due_between(schedule, since, since + timedelta(days=28))  # for what was missed
        assert f"{due:%m-%d %H:%M}" == "02-27 17:00"
        # a source that is new while it is up is watched, too
        add(tmp_path, "late", f"{{type: file, path: '{tmp_path}/drop/late.jsonl', settle: 1s}}", "drop")
        (tmp_path / "drop" / "late.jsonl").write_text('{"id": 7}\n')
        wait_for(lambda: ids(env, "late") == [7], 90, "a new source's file loaded nothing")
    (tmp_path / "drop" / "dropped.jsonl").write_text('{"id": 1}\n{"id": 2}\n{"id": 3}\n')
    with up(env):
        wait_for(lambda: ids(env, "dropped") == [1, 2, 3], 60, "what changed while nothing ran was not seen")


@pytest.mark.parametrize(
    "rule", ["FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18", "FREQ=WEEKLY;INTERVAL=2;BYHOUR=3;BYMINUTE=30"]
)
def test_a_rule_is_due_when_prefect_thinks_so(rule: str) -> None:
    since = datetime(2026, 2, 1, tzinfo=UTC)
    until = since + timedelta(days=120)
    theirs = RRuleSchedule(rrule=rule, timezone="Europe/Amsterdam").to_rrule().between(since, until)
    assert rule_between(rule, "Europe/Amsterdam", since, until) == [at.astimezone(UTC) for at in theirs]
    assert theirs
