"""`up` looks after itself: what is killed comes back, dead runs are closed, what was missed is made up for."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from conftest import Databases
from dataplatform.audit import record as audit
from dataplatform.embedded.up import alone
from dataplatform.errors import BusyError
from dataplatform.orchestration.catch_up import CATCH_UP, CatchUps
from dataplatform.orchestration.dead import DIED, Dead
from dataplatform.orchestration.rest import Rest
from dataplatform.records.refs import RunRef
from dataplatform.runs.locks import alive, dead_among
from dataplatform.settings import PrefectApi
from dataplatform.storage.postgres import connected, make_engine, transaction
from test_schedules import api_of, env, ids, up, wait_for

pytestmark = pytest.mark.prefect
__all__ = ["env"]  # a fixture


@pytest.fixture
def engine(databases: Databases) -> Iterator[sa.Engine]:
    from dataplatform.audit import migrate

    made = make_engine(databases.postgres)
    migrate.upgrade(made)
    yield made
    made.dispose()


@pytest.fixture
def pool(prefect_api: PrefectApi, request: pytest.FixtureRequest) -> str:
    name = f"pool-{request.node.name[:40]}-{time.time_ns()}"
    Rest(prefect_api).post("/work_pools/", {"name": name, "type": "process"})
    return name


def deployment(rest: Rest, pool: str, policy: str = "once", **more: Any) -> str:
    flow = rest.post("/flows/", {"name": "ingest"})["id"]
    order = {
        "name": pool,
        "flow_id": flow,
        "work_pool_name": pool,
        "tags": ["dataplatform", f"{CATCH_UP}:{policy}"],
        **more,
    }
    return str(rest.post("/deployments/", order)["id"])


def state_of(rest: Rest, run: str) -> tuple[str, str]:
    state = rest.get(f"/flow_runs/{run}")["state"]
    return state["type"], state["name"]


def set_state(rest: Rest, run: str, kind: str) -> None:
    rest.post(f"/flow_runs/{run}/set_state", {"state": {"type": kind, "name": kind.title()}})


def slots(rest: Rest, id_: str) -> int:
    return int(rest.get(f"/deployments/{id_}")["global_concurrency_limit"]["active_slots"])


def holders(conn: sa.Connection) -> set[int]:
    query = (
        "select pid from pg_locks where locktype = 'advisory' and granted"
        " and database = (select oid from pg_database where datname = current_database())"
    )
    return set(conn.scalars(sa.text(query)))


def test_a_run_lives_as_long_as_its_connection(engine: sa.Engine) -> None:
    with alive(engine, RunRef("one")), connected(engine) as conn:
        assert dead_among(conn, ["one", "two"]) == {"two"}
        (first,) = holders(conn)
        conn.execute(sa.text("select pg_terminate_backend(:pid)"), {"pid": first})
        wait_for(lambda: holders(conn) - {first}, 30, "the lock is not taken again")
        assert dead_among(conn, ["one"]) == set()
    with connected(engine) as conn:
        assert dead_among(conn, ["one"]) == {"one"}


def test_a_dead_run_is_closed_and_its_slot_is_free_and_a_living_one_is_left_alone(
    prefect_api: PrefectApi, engine: sa.Engine, pool: str
) -> None:
    rest = Rest(prefect_api)
    id_ = deployment(rest, pool, concurrency_limit=1)
    run = str(rest.post(f"/deployments/{id_}/create_flow_run", {})["id"])
    for kind in ("PENDING", "RUNNING"):
        set_state(rest, run, kind)
    with transaction(engine) as conn:
        audit.start_run(conn, RunRef(run), "s", "b", {})
    assert slots(rest, id_) == 1
    dead = Dead(rest, engine, pool)
    with alive(engine, RunRef(run)):
        assert [dead.look(), dead.look(), dead.settle()] == [[], [], []]
        assert state_of(rest, run)[0] == "RUNNING"
    begun = time.monotonic()
    while not dead.look():
        assert time.monotonic() - begun < 60, "a run without a process stays Running"
        time.sleep(1)
    assert state_of(rest, run) == ("CRASHED", "Crashed")
    assert slots(rest, id_) == 0
    with connected(engine) as conn:
        row = conn.execute(sa.text("select status, error, finished_at is not null from audit.run")).one()
    assert tuple(row) == ("failed", DIED, True)
    assert dead.look() == []


def test_a_slot_that_nobody_holds_is_freed(prefect_api: PrefectApi, engine: sa.Engine, pool: str) -> None:
    rest = Rest(prefect_api)
    id_ = deployment(rest, pool, concurrency_limit=1)
    limit = rest.get(f"/deployments/{id_}")["global_concurrency_limit"]["name"]
    rest.call("PATCH", f"/v2/concurrency_limits/{limit}", {"active_slots": 1})
    dead = Dead(rest, engine, pool)
    dead.look()
    dead.look()
    assert slots(rest, id_) == 0


def planned(rest: Rest, id_: str, *hours: float) -> list[str]:
    """Runs as Prefect's scheduler plans them, due that many hours ago."""
    made = []
    for ago in hours:
        at = (datetime.now(UTC) - timedelta(hours=ago)).isoformat()
        state = {"type": "SCHEDULED", "name": "Scheduled", "state_details": {"scheduled_time": at}}
        made.append(
            str(rest.post(f"/deployments/{id_}/create_flow_run", {"state": state, "tags": [CATCH_UP]})["id"])
        )
    return made


@pytest.mark.parametrize(
    ("policy", "left"), [("once", [False, False, True]), ("all", [True] * 3), ("none", [False] * 3)]
)
def test_runs_that_were_planned_and_missed(
    prefect_api: PrefectApi, pool: str, policy: str, left: list[bool]
) -> None:
    rest = Rest(prefect_api)
    runs = planned(rest, deployment(rest, pool, policy), 3, 2, 1)
    ahead = planned(rest, deployment(rest, pool + "-ahead", policy, work_pool_name=pool), -1)
    found = CatchUps(rest, pool)
    assert found.thin_out() == left.count(False)
    assert found.thin_out() == 0
    assert [state_of(rest, run)[0] == "SCHEDULED" for run in runs] == left
    assert state_of(rest, ahead[0])[0] == "SCHEDULED"
    gone = [run for run, stays in zip(runs, left, strict=True) if not stays]
    assert all("while nothing ran" in rest.get(f"/flow_runs/{run}")["state"]["message"] for run in gone)


def test_a_run_that_is_to_be_run_again_is_nobody_elses_business(prefect_api: PrefectApi, pool: str) -> None:
    rest = Rest(prefect_api)
    (run,) = planned(rest, deployment(rest, pool, "none"), 3)
    for kind in ("PENDING", "RUNNING", "FAILED"):
        set_state(rest, run, kind)
    again = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
    rest.post(f"/flow_runs/{run}/set_state", again)
    assert CatchUps(rest, pool).thin_out() == 0
    assert state_of(rest, run) == ("SCHEDULED", "AwaitingRetry")


def test_a_run_that_waits_for_an_answer_is_neither_dead_nor_left_out_when_it_goes_on(
    prefect_api: PrefectApi, engine: sa.Engine, pool: str
) -> None:
    rest = Rest(prefect_api)
    id_ = deployment(rest, pool, concurrency_limit=1)
    answered, _ = planned(rest, id_, 48, 1)
    for kind in ("PENDING", "RUNNING"):
        set_state(rest, answered, kind)
    paused = {
        "type": "PAUSED",
        "name": "Suspended",
        "state_details": {"pause_reschedule": True, "pause_key": "k"},
    }
    rest.post(f"/flow_runs/{answered}/set_state", {"state": paused})
    assert slots(rest, id_) == 0
    assert Dead(rest, engine, pool).settle() == []
    assert state_of(rest, answered) == ("PAUSED", "Suspended")
    rest.post(f"/flow_runs/{answered}/resume", {})
    # Prefect's worker does so while another run of the deployment has its slot
    waits = {"type": "SCHEDULED", "name": "AwaitingConcurrencySlot"}
    rest.post(f"/flow_runs/{answered}/set_state", {"state": waits, "force": True})
    assert CatchUps(rest, pool).thin_out() == 0
    assert state_of(rest, answered) == ("SCHEDULED", "AwaitingConcurrencySlot")


@pytest.mark.parametrize(("policy", "made"), [("once", 1), ("all", 4), ("none", 0)])
def test_runs_that_were_never_planned(prefect_api: PrefectApi, pool: str, policy: str, made: int) -> None:
    rest = Rest(prefect_api)
    anchor = (datetime.now(UTC) - timedelta(days=3, minutes=30)).isoformat()
    every = {"interval": 3600, "anchor_date": anchor, "timezone": "UTC"}
    id_ = deployment(rest, pool, policy, schedules=[{"schedule": every, "active": True}])
    (last,) = planned(rest, id_, 4)
    for kind in ("PENDING", "RUNNING", "COMPLETED"):
        set_state(rest, last, kind)
    found = CatchUps(rest, pool)
    before = overdue(rest, id_)
    found.make_up()
    assert len(overdue(rest, id_)) - len(before) == made
    found.make_up()
    assert len(overdue(rest, id_)) - len(before) == made, "made up for twice"


def overdue(rest: Rest, id_: str) -> list[Any]:
    runs = {
        "state": {"type": {"any_": ["SCHEDULED"]}},
        "expected_start_time": {"before_": datetime.now(UTC).isoformat()},
    }
    return list(rest.post("/flow_runs/filter", {"deployments": {"id": {"any_": [id_]}}, "flow_runs": runs}))


def test_one_up_a_home(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(BusyError, match="is running already"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def children(pid: int) -> dict[str, int]:
    """Our processes under that one: a word of their command, and their id."""
    words = {"guard.py": "guard", "prefect\0worker": "worker"}
    found = {}
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            line = (folder / "cmdline").read_text()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            name = next((n for sign, n in words.items() if sign in line), None)
            if name and (parent == pid or parent in found.values()):
                found[name] = int(folder.name)
    return found


def died(pid: int) -> bool:
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True


def has_loaded(env: dict[str, str], expected: list[int]) -> bool:
    return ids(env, "often") == expected


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_what_is_killed_comes_back_and_nothing_outlives_up(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "metadata" / "sources" / "minutely.yaml").unlink()
    data = tmp_path / "data" / "often.jsonl"
    with up(env):
        home = Path(env["DATAPLATFORM_HOME"])
        pid = json.loads((home / "up.json").read_text())["pid"]
        wait_for(lambda: ids(env, "often") == [1], 60, "the first run loaded nothing")
        prefect = json.loads((home / "prefect" / "state.json").read_text())
        for number, victim in enumerate((children(pid)["guard"], prefect["pid"]), 2):
            os.kill(victim, signal.SIGKILL)
            data.write_text(data.read_text() + f'{{"id": {number}}}\n')
            expected = list(range(1, number + 1))
            loaded = partial(has_loaded, env, expected)
            wait_for(loaded, 120, f"no schedule fired after kill {number}")
        assert api_of(env).url, "Prefect's server is there again"
        below = list(children(pid).values())
        assert len(below) == 2
        servers = [json.loads((home / "prefect" / "state.json").read_text())["pid"]]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: all(map(died, below + servers)), 90, "children of a killed `up` live on")
        with psycopg.connect(env["DATAPLATFORM_POSTGRES_URL"]) as conn:
            assert conn.execute("select count(*) from silver.often__e").fetchone() == (3,)
