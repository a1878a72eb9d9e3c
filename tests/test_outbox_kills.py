"""Kills between every two steps from a written event to Prefect and to actions: all is processed in the end, once.

Each kill is a SIGKILL of a process of its own, at the statement or the call that its name says; what it leaves behind is
taken up by another. The table in docs/operations.md is this test.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Databases, MakeWorld, World, execute
from dataplatform.bootstrap import reread
from dataplatform.orchestration.rest import Rest
from dataplatform.settings import PrefectApi
from test_actions import Inbox, inbox

pytestmark = [pytest.mark.slow, pytest.mark.prefect]
__all__ = ["inbox"]  # a fixture

DRIVER = """
import os, re, signal, sys
from pathlib import Path
import sqlalchemy as sa
from dataplatform.bootstrap import open_platform
from dataplatform.events.kinds import GoldBuilt
from dataplatform.events.outbox import deliver, emit
from dataplatform.metadata import load_catalog
from dataplatform.orchestration import events
from dataplatform.settings import Settings
from dataplatform.storage.postgres import transaction
from dataplatform.triggers import actions, steps

part, kill, model, metadata, home, postgres, mongo = sys.argv[1:]
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
settings = Settings(home=Path(home), metadata_path=Path(metadata), postgres_url=postgres, mongo_url=mongo,
                    connectors=Path(metadata).with_name("connectors"))
with open_platform(settings, load_catalog(settings.metadata_path)) as platform:
    if kill.startswith("sql:"):
        @sa.event.listens_for(platform.engine, "after_cursor_execute")
        def seen(conn, cursor, statement, *_):
            if re.search(kill[4:], " ".join(statement.split()), re.I):
                die()
    def sent(*args):
        events.send(*args)
        if kill == "sent":
            die()
    perform = steps._perform
    def performed(*args):
        perform(*args)
        if kill == "performed":
            die()
    steps._perform = performed
    if part == "write":
        with transaction(platform.engine) as conn:
            conn.execute(sa.text("insert into gold.data values (1)"))
            emit(conn, GoldBuilt(model, 7))
    elif part == "deliver":
        deliver(platform.engine, sent)
    else:
        actions.act(platform)
    if kill == "end":
        die()
print("not killed")
"""
ACTIONS = """  told:
    on: [gold.built]
    of: ["*"]
    do:
      - call: {url: "http://ADDRESS/hook"}
      - python: mine.told
"""
MINE = """
from pathlib import Path

def told(happened):
    done = Path(__file__).with_name("done")
    done.mkdir(exist_ok=True)
    (done / happened["key"].replace(" ", "_")).write_text(str(happened["rows"]))  # by its key: again is the same
"""
# the step before the kill → what the process does, where it is killed, and whether the event is there at all
KILLS: dict[str, tuple[str, str, bool]] = {
    "written, not committed": ("write", "sql:insert into audit.outbox", False),
    "committed": ("write", "end", True),
    "chosen for Prefect": ("deliver", "sql:from audit.outbox .* for update", True),
    "sent to Prefect": ("deliver", "sent", True),
    "marked as delivered, not committed": ("deliver", "sql:update audit.outbox set delivered_at", True),
    "delivered": ("deliver", "end", True),
    "seen by actions": ("act", "sql:from audit.outbox where audit.outbox.acted_at", True),
    "steps noted, not committed": ("act", "sql:insert into audit.action_step", True),
    "marked as seen, not committed": ("act", "sql:update audit.outbox set acted_at", True),
    "steps noted": (
        "act",
        "sql:from audit.action_step where audit.action_step.done_at is null and .*due_at",
        True,
    ),
    "a step chosen": ("act", "sql:from audit.action_step .* for update", True),
    "a step done, not marked": ("act", "performed", True),
    "a step marked, not committed": ("act", "sql:update audit.action_step", True),
    "all done": ("act", "end", True),
}


@pytest.fixture
def world(make_world: MakeWorld, inbox: Inbox, files: str) -> World:
    world = make_world(s=files + "  a: {file: a.csv, key: [id]}\n")
    (world.folder / "connectors").mkdir()
    (world.folder / "connectors" / "mine.py").write_text(MINE)
    text = "channels: {}\nactions:\n" + ACTIONS.replace("ADDRESS", inbox.address)
    (world.folder / "metadata" / "actions.yaml").write_text(text)
    execute(world, "create schema if not exists gold; create table gold.data (n int)")
    return replace(world, platform=reread(world.platform))


def once(world: World, databases: Databases, env: dict[str, str], part: str, kill: str, model: str) -> int:
    folder = world.folder
    argv = [sys.executable, "-c", DRIVER, part, kill, model, str(folder / "metadata"), str(folder / "home"),
            databases.postgres, databases.mongo]  # fmt: skip
    done = subprocess.run(
        argv, env={**os.environ, **env}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def at_prefect(api: Rest, resource: str) -> list[dict[str, Any]]:
    asked = {"filter": {"resource": {"id": [resource]}, "order": "ASC"}, "limit": 50}
    return list(api.post("/events/filter", asked)["events"])


@pytest.mark.parametrize("where", KILLS)
def test_an_event_is_processed_once_wherever_its_process_is_killed(
    world: World, databases: Databases, inbox: Inbox, prefect_api: PrefectApi, prefect_env: dict[str, str],
    tmp_path: Path, where: str,
) -> None:  # fmt: skip
    part, kill, is_there = KILLS[where]
    model = f"m{time.time_ns()}"
    env = {**prefect_env, "PREFECT_HOME": str(tmp_path / "prefect")}

    def run(what: str, stop: str = "never") -> int:
        return once(world, databases, env, what, stop, model)

    if part != "write":
        assert run("write") == 0
    if part == "act":
        assert run("deliver") == 0
    assert run(part, kill) == -signal.SIGKILL, "it was killed there"
    for what in ("deliver", "act", "deliver", "act"):
        assert run(what) == 0

    assert world.rows("select count(*) from gold.data") == [(int(is_there),)], (
        "the event is there with its data"
    )
    waiting = "select count(*) from audit.outbox where delivered_at is null or acted_at is null"
    assert world.rows(waiting) == [(0,)]
    assert world.rows(
        "select count(*) from audit.action_step where done_at is null or error is not null"
    ) == [(0,)]
    keys = [headers["Idempotency-Key"] for _, headers, _ in inbox.came]
    assert len(set(keys)) == int(is_there), "a receiver that minds the key sees it once"
    again = where in ("a step done, not marked", "a step marked, not committed")
    assert len(keys) == int(is_there) + int(again), "and it comes twice only where it was done and not noted"
    done = tmp_path / "connectors" / "done"
    assert len(list(done.iterdir()) if done.exists() else []) == int(is_there)
    _is_at_prefect(Rest(prefect_api), f"dataplatform.gold.{model}", is_there)


def _is_at_prefect(api: Rest, resource: str, is_there: bool) -> None:
    end = time.monotonic() + (40 if is_there else 8)  # it writes events some seconds later
    while not (found := at_prefect(api, resource)) and time.monotonic() < end:
        time.sleep(0.5)
    time.sleep(1)
    found = at_prefect(api, resource)
    assert len(found) == int(is_there), found
    if is_there:
        assert found[0]["event"] == "dataplatform.gold.built"
        assert found[0]["payload"]["rows"] == 7


def test_the_table_in_the_docs_has_every_kill() -> None:
    text = (Path(__file__).parents[1] / "docs" / "operations.md").read_text()
    table = text.partition("<!-- kills -->")[2].partition("\n\n")[0]
    assert re.findall(r"^\| (.+?) \|", table, re.M)[1:] == list(KILLS)
