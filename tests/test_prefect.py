"""Prefect as the orchestrator: deployments from metadata, flow and task runs, logs, artifacts, retries."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Databases, MakeWorld, move_of
from dataplatform.events.kinds import GoldBuilt
from dataplatform.events.outbox import deliver, emit
from dataplatform.events.tables import outbox
from dataplatform.orchestration.events import send
from dataplatform.orchestration.rest import Rest
from dataplatform.settings import PrefectApi

pytestmark = pytest.mark.prefect
ROOT = Path(__file__).parents[1]

SOURCE = """source: s
connector: {type: files, path: "{data}"}
triggers:
  - {type: cron, cron: "15 4 1 2 *", timezone: Europe/Amsterdam}
  - {type: cron, cron: "0 3 * * 1"}
entities:
  good: {file: good.jsonl, key: [id]}
  late: {file: late.jsonl, key: [id]}
"""


class Api(Rest):
    """Prefect's REST interface."""

    def wait(self, run_id: str, limit: float = 90) -> dict[str, Any]:
        end = time.monotonic() + limit
        while time.monotonic() < end:
            run = self.call("GET", f"/flow_runs/{run_id}")
            if run["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED"):
                return dict(run)
            time.sleep(0.5)
        raise AssertionError(f"the flow run did not end: {run['state']}")


@pytest.fixture
def env(databases: Databases, tmp_path: Path, prefect_env: dict[str, str]) -> dict[str, str]:
    (tmp_path / "metadata" / "sources").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    text = SOURCE.replace("{data}", str(tmp_path / "data"))
    (tmp_path / "metadata" / "sources" / "s.yaml").write_text(text)
    return {k: v for k, v in os.environ.items() if not k.startswith(("DATAPLATFORM_", "PREFECT_"))} | {
        "DATAPLATFORM_HOME": str(tmp_path / "home"),
        "DATAPLATFORM_METADATA": str(tmp_path / "metadata"),
        "DATAPLATFORM_POSTGRES_URL": databases.postgres,
        "DATAPLATFORM_MONGO_URL": databases.mongo,
        "DATAPLATFORM_WORK_POOL": "test-pool",
        **prefect_env,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_LOGGING_EXTRA_LOGGERS": "dataplatform",
        "DATAPLATFORM_WEB_URL": "https://data.example.org/",
    }


def program(env: dict[str, str], *args: str) -> Any:
    argv = [Path(sys.executable).with_name("dataplatform"), *args, "--json"]
    result = subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def stop(worker: subprocess.Popen[bytes]) -> None:
    """Prefect's worker sometimes stays on after SIGTERM, once its run has ended: what it did has been checked by then."""
    worker.terminate()
    try:
        worker.wait(30)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait(10)


@pytest.mark.slow
def test_a_failed_run_is_finished_by_running_it_again(env: dict[str, str], tmp_path: Path) -> None:
    api = Api(PrefectApi(env["PREFECT_API_URL"], env["PREFECT_API_AUTH_STRING"]))
    found = program(env, "deploy")
    assert set(found["deployments"]) == {
        "ingest/s",
        "gold/gold",
        "sweep/sweep",
        "retention/retention",
        "backup/backup",
        "auto_dw/silver",
    }
    deployment = api.call("GET", "/deployments/name/ingest/s")
    schedules = [s["schedule"] for s in deployment["schedules"]]
    assert {(s["cron"], s["timezone"]) for s in schedules} == {
        ("15 4 1 2 *", "Europe/Amsterdam"), ("0 3 * * 1", "UTC"),
    }  # fmt: skip
    assert deployment["global_concurrency_limit"]["limit"] == 1

    (tmp_path / "data" / "good.jsonl").write_text('{"id": 1}\n')
    worker = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", "test-pool", "--type", "process"],
        env=env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        run = api.call("POST", f"/deployments/{deployment['id']}/create_flow_run", {})
        assert api.wait(run["id"])["state"]["type"] == "FAILED"
        before = audit(env)
        assert before == {"good": ("done", 1), "late": None}

        (tmp_path / "data" / "late.jsonl").write_text('{"id": 2}\n')
        state = {"type": "SCHEDULED", "name": "AwaitingRetry"}
        api.call("POST", f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
        assert api.wait(run["id"])["state"]["type"] == "COMPLETED"
        assert audit(env) == {"good": ("done", 1), "late": ("done", 1)}
    finally:
        stop(worker)

    filters = {"flow_run_id": {"any_": [run["id"]]}}
    tasks = {t["name"] for t in api.call("POST", "/task_runs/filter", {"task_runs": filters})}
    assert {
        "good: source → raw",
        "good: raw → bronze",
        "good: bronze → silver",
        "late: bronze → silver",
    } <= tasks
    artifacts = {a["key"]: a for a in api.call("POST", "/artifacts/filter", {"artifacts": filters})}
    assert {"s-counts", "s-run"} <= set(artifacts)
    assert f"(https://data.example.org/runs/{run['id']})" in artifacts["s-page"]["data"]
    assert "(https://data.example.org/sources/s)" in deployment["description"]
    assert {"dataplatform", "source:s"} <= set(deployment["tags"])
    assert api.call("GET", f"/flow_runs/{run['id']}")["name"].startswith("s 2")
    logs = api.call("POST", "/logs/filter", {"logs": filters})
    assert any("no file matches" in entry["message"] for entry in logs)
    assert not any("Traceback" in entry["message"] for entry in logs)
    batches = program(env, "status")["sources"]["s"]["batches"]
    assert batches == 1


def worker_of(env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", env["DATAPLATFORM_WORK_POOL"], "--type", "process"],
        env=env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_gold_is_built_once_after_a_run_and_runs_have_names_people_know(
    env: dict[str, str], tmp_path: Path
) -> None:
    env |= {"DATAPLATFORM_WORK_POOL": "gold-pool"}
    api = Api(PrefectApi(env["PREFECT_API_URL"], env["PREFECT_API_AUTH_STRING"]))
    (tmp_path / "metadata" / "gold").mkdir()
    (tmp_path / "metadata" / "gold" / "m.sql").write_text(
        "select (select count(*) from silver_current.s__good) + (select count(*) from silver_current.s__late) as n"
    )
    program(env, "deploy")
    gold = api.call("GET", "/deployments/name/gold/gold")
    assert api.call("GET", f"/automations/related-to/prefect.deployment.{gold['id']}") == []

    def gold_runs() -> list[dict[str, Any]]:
        wanted = {"deployments": {"id": {"any_": [gold["id"]]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found = api.call("POST", "/flow_runs/filter", wanted)
        return [run for run in found if run["work_pool_name"] == "gold-pool"]

    # the pool was another one before: what waits there no worker finds, and it keeps nobody from asking
    program(env | {"DATAPLATFORM_WORK_POOL": "left-behind"}, "deploy")
    api.call("POST", f"/deployments/{gold['id']}/create_flow_run", {})
    program(env, "deploy")
    # two runs of two entities while no worker is there: one build waits for all of them
    for number in (1, 2):
        for name in ("good", "late"):
            (tmp_path / "data" / f"{name}.jsonl").write_text(
                "".join(f'{{"id": {i}}}\n' for i in range(number))
            )
        run = program(env, "run", "s")
        assert [r["state"]["type"] for r in gold_runs()] == ["SCHEDULED"]
    named = api.call("GET", f"/flow_runs/{run['run_id']}")["name"]
    assert re.fullmatch(r"s 20\d\d-\d\d-\d\d \d\d:\d\d", named)

    worker = worker_of(env)
    try:
        assert api.wait(gold_runs()[0]["id"])["state"]["type"] == "COMPLETED"
        assert program(env, "sql", "select n from gold.m")["rows"] == [{"n": 4}]
        program(env, "run", "s")  # nothing has changed
        [built] = gold_runs()
        assert re.fullmatch(r"gold 20\d\d-\d\d-\d\d \d\d:\d\d", built["name"])

        program(env, "replay", "s")  # silver is new, and no run has asked for gold: the sweep does
        sweep = api.call("GET", "/deployments/name/sweep/sweep")
        swept = api.call("POST", f"/deployments/{sweep['id']}/create_flow_run", {})
        assert api.wait(swept["id"])["name"].startswith("sweep 20")
        assert len(gold_runs()) == 2
        assert api.wait(gold_runs()[-1]["id"])["state"]["type"] == "COMPLETED"
    finally:
        stop(worker)


def audit(env: dict[str, str]) -> dict[str, Any]:
    entities = program(env, "status")["sources"]["s"]["entities"]
    return {
        n: (e["last_load"]["status"], e["silver_rows"])
        if (e["last_load"] or {}).get("status") == "done"
        else None
        for n, e in entities.items()
    }


def test_deployments_of_removed_sources_go_away(env: dict[str, str], tmp_path: Path) -> None:
    program(env, "deploy")
    (tmp_path / "metadata" / "sources" / "s.yaml").unlink()
    assert program(env, "deploy")["removed"] == ["ingest/s"]
    assert program(env, "deploy")["removed"] == []


def test_moves_are_done_by_the_task_runner_of_the_settings(
    prefect_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataplatform.orchestration.runners import RUNNERS
    from dataplatform.orchestration.tasks import as_tasks, flush
    from dataplatform.records.counts import Counts
    from dataplatform.settings import Settings
    from prefect import flow
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, PREFECT_HOME, temporary_settings
    from prefect.task_runners import ThreadPoolTaskRunner

    titles = []

    class Listing(ThreadPoolTaskRunner[Any]):
        def submit(self, task: Any, parameters: Any, *more: Any, **options: Any) -> Any:
            titles.append(parameters["move"].title)
            return super().submit(task, parameters, *more, **options)

    monkeypatch.setitem(RUNNERS, "listing", lambda parallel: Listing())

    @flow(persist_result=False)
    def one_move() -> int:
        with as_tasks(lambda move, stamp: Counts(read=7), Settings(task_runner="listing")) as submit:
            return submit(move_of("raw", "e", "b")).result().read

    api = {
        PREFECT_API_URL: prefect_env["PREFECT_API_URL"],
        PREFECT_API_AUTH_STRING: prefect_env["PREFECT_API_AUTH_STRING"],
    }
    with temporary_settings({**api, PREFECT_HOME: tmp_path}):
        assert one_move() == 7
        flush()
    assert titles == ["e: source → raw"]


def test_events_are_delivered_once_from_the_outbox(env: dict[str, str], tmp_path: Path) -> None:
    for name in ("good", "late"):
        (tmp_path / "data" / f"{name}.jsonl").write_text('{"id": 1}\n')
    program(env, "run", "s")
    assert program(env, "status")["events_waiting"] == 0


def test_an_event_that_prefect_refuses_holds_up_no_other(
    make_world: MakeWorld, files: str, prefect_env: dict[str, str], prefect_api: PrefectApi, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, PREFECT_HOME, temporary_settings

    engine = make_world(s=files + "  a: {file: a.csv, key: [id]}\n").platform.engine
    model = f"m{time.time_ns()}"
    with engine.begin() as conn:
        emit(conn, GoldBuilt(model="n" * 20, rows=1))
        conn.execute(outbox.update().values(event="n" * 2_000))  # longer than Prefect's limit of 1,024
        emit(conn, GoldBuilt(model=model, rows=7))
    away = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_HOME: tmp_path}
    with temporary_settings(away):
        assert deliver(engine, send) == 0, "a server that is away refuses nothing"
    here = {
        PREFECT_API_URL: prefect_env["PREFECT_API_URL"],
        PREFECT_API_AUTH_STRING: prefect_env["PREFECT_API_AUTH_STRING"],
        PREFECT_HOME: tmp_path,
    }
    with temporary_settings(here):
        assert deliver(engine, send) == 1
    assert "is refused: Prefect at" in caplog.text
    with engine.begin() as conn:
        waits = conn.execute(sa.select(outbox.c.event).where(outbox.c.delivered_at.is_(None))).scalars().all()
    assert waits == ["n" * 2_000], "it stays, for a person to see"
    asked = {"filter": {"resource": {"id": [f"dataplatform.gold.{model}"]}, "order": "ASC"}, "limit": 50}
    end = time.monotonic() + 40
    while not Rest(prefect_api).post("/events/filter", asked)["events"]:
        assert time.monotonic() < end, "the other is not at Prefect"
        time.sleep(0.5)
