"""A clock that runs: `up` loads what its schedules say, keeps counting over a restart, and says when Prefect fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Databases
from dataplatform.embedded import prefect_server
from dataplatform.embedded.sockets import free_port
from dataplatform.orchestration import health
from dataplatform.orchestration.rest import Rest
from dataplatform.settings import PrefectApi

pytestmark = pytest.mark.prefect
ROOT = Path(__file__).parents[1]
PROGRAM = Path(sys.executable).with_name("dataplatform")

SOURCE = """source: NAME
connector: {type: files, path: "DATA"}
triggers: [TRIGGER]
entities:
  e: {file: NAME.jsonl, key: [id]}
"""
TRIGGERS = {"often": "{type: interval, every: 20s}", "minutely": '{type: cron, cron: "* * * * *"}'}


@pytest.fixture
def env(databases: Databases, tmp_path: Path) -> dict[str, str]:
    for folder in ("metadata/sources", "data"):
        (tmp_path / folder).mkdir(parents=True)
    for name, trigger in TRIGGERS.items():
        text = (
            SOURCE.replace("NAME", name).replace("DATA", str(tmp_path / "data")).replace("TRIGGER", trigger)
        )
        (tmp_path / "metadata" / "sources" / f"{name}.yaml").write_text(text)
        (tmp_path / "data" / f"{name}.jsonl").write_text('{"id": 1}\n')
    return {k: v for k, v in os.environ.items() if not k.startswith(("DATAPLATFORM_", "PREFECT_"))} | {
        "DATAPLATFORM_HOME": str(tmp_path / "home"),
        "DATAPLATFORM_METADATA": str(tmp_path / "metadata"),
        "DATAPLATFORM_POSTGRES_URL": databases.postgres,
        "DATAPLATFORM_MONGO_URL": databases.mongo,
        "DATAPLATFORM_LINGER": "0",
    }


@contextmanager
def up(env: dict[str, str]) -> Iterator[dict[str, Any]]:
    """`dataplatform up` for the block; what it said. Ctrl-C ends it, and all that it started."""
    log = Path(env["DATAPLATFORM_HOME"]).with_suffix(".log")
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [PROGRAM, "up", "--json"], env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    assert process.stdout is not None
    text = ""
    while not text.rstrip().endswith("}\n}") and not (text.startswith("{") and text.endswith("\n}\n")):
        line = process.stdout.readline()
        assert line, log.read_text()[-3000:]
        text += line
    try:
        yield dict(json.loads(text))
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(90)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            process.stdout.close()


def ids(env: dict[str, str], source: str) -> list[int]:
    """Keys that silver holds of a source."""
    with psycopg.connect(env["DATAPLATFORM_POSTGRES_URL"]) as conn:
        try:
            return [i for (i,) in conn.execute(f'select id from silver_current."{source}__e" order by id')]
        except psycopg.errors.UndefinedTable:
            return []


def wait_for(condition: Callable[[], bool], limit: float, what: str) -> float:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < limit, what
        time.sleep(0.5)
    return time.monotonic() - started


def api_of(env: dict[str, str]) -> PrefectApi:
    """The Prefect server of an `up`."""
    found = prefect_server.running(Path(env["DATAPLATFORM_HOME"]))
    assert found is not None
    return found


def schedules(env: dict[str, str], name: str) -> list[dict[str, Any]]:
    found = Rest(api_of(env)).get(f"/deployments/name/ingest/{name}")
    return [s["schedule"] for s in found["schedules"]]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_schedules_load_rows_and_go_on_counting_after_a_restart(env: dict[str, str], tmp_path: Path) -> None:
    with up(env) as about:
        assert urllib.request.urlopen(f"{about['web']}/healthz").read() == b"ok\n"
        begun = time.monotonic()
        wait_for(lambda: ids(env, "often") == [1], 60, "the interval's first run loaded nothing")
        (tmp_path / "data" / "often.jsonl").write_text('{"id": 1}\n{"id": 2}\n')
        wait_for(
            lambda: ids(env, "often") == [1, 2],
            60 - (time.monotonic() - begun),
            "no second load within a minute",
        )
        wait_for(lambda: ids(env, "minutely") == [1], 90, "the cron's run loaded nothing")
        assert health.look(api_of(env)).troubles == []
        before = schedules(env, "often")
        assert [s["interval"] for s in before] == [20]

    (tmp_path / "data" / "often.jsonl").write_text('{"id": 1}\n{"id": 2}\n{"id": 3}\n')
    (tmp_path / "metadata" / "sources" / "often.yaml").write_text(
        (tmp_path / "metadata" / "sources" / "often.yaml").read_text() + "description: Changed meanwhile\n"
    )
    with up(env) as again:
        assert again["prefect"] == about["prefect"], "the address of Prefect's pages has changed"
        assert schedules(env, "often") == before, "the interval counts from another moment"
        for command in ("up", "stop"):
            assert_is_told_who_is_up(env, command, again["prefect"])
        wait_for(lambda: ids(env, "often") == [1, 2, 3], 60, "no load after the restart")
    assert not (tmp_path / "home" / "up.json").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_files_that_change_while_it_is_up_reach_their_deployments(
    env: dict[str, str], tmp_path: Path
) -> None:
    sources, log = tmp_path / "metadata" / "sources", tmp_path / "home.log"
    text = (sources / "often.yaml").read_text().replace("20s", "6h")
    (sources / "often.yaml").write_text(text)
    with up(env):

        def every(name: str) -> list[Any]:
            try:
                return [s.get("interval") for s in schedules(env, name)]
            except urllib.error.HTTPError:
                return ["no deployment"]

        (sources / "new.yaml").write_text(text.replace("often", "new"))
        wait_for(lambda: every("new") == [21600], 10, "a new file has no deployment")
        (sources / "new.yaml").write_text(text.replace("often", "new").replace("6h", "3h"))
        wait_for(lambda: every("new") == [10800], 10, "a change has not reached its deployment")
        (sources / "new.yaml").write_text("source: new\nentities: [\n")
        wait_for(lambda: "new.yaml:3: not YAML" in log.read_text(), 10, "the log says nothing of it")
        (sources / "often.yaml").write_text(text.replace("6h", "2h"))
        wait_for(lambda: every("often") == [7200], 10, "a broken file keeps others from being deployed")
        assert every("new") == [10800], "a broken file has lost its deployment"
        (sources / "new.yaml").unlink()
        wait_for(lambda: every("new") == ["no deployment"], 10, "a removed file keeps its deployment")
    assert log.read_text().count("metadata have changed: removed ingest/new") == 1


def assert_is_told_who_is_up(env: dict[str, str], command: str, pages: str) -> None:
    done = subprocess.run(
        [PROGRAM, command, "--json"], env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    home, told = Path(env["DATAPLATFORM_HOME"]), json.loads(done.stdout)
    pid = json.loads((home / "up.json").read_text())["pid"]
    for words in (str(home), f"process {pid}, since 20", f"Prefect's pages at {pages}"):
        assert words in told["error"]
    assert "Ctrl-C there" in told["remedy"]


@pytest.fixture
def broken_prefect(tmp_path: Path) -> Iterator[str]:
    """A real Prefect server whose scheduler, late-runs service and event storage do nothing."""
    port = free_port()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DATAPLATFORM_", "PREFECT_"))} | {
        "PREFECT_HOME": str(tmp_path / "broken"),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{tmp_path}/broken.db",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    }
    argv = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    api = f"http://127.0.0.1:{port}/api"

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"{api}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        wait_for(answers, 90, "the server did not start")
        yield api
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()


def program(env: dict[str, str], *args: str) -> Any:
    done = subprocess.run(
        [PROGRAM, *args, "--json"], env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_status_says_which_of_prefects_services_fails(
    env: dict[str, str], broken_prefect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    env |= {"PREFECT_API_URL": broken_prefect}
    program(env, "deploy")
    deployment = Rest(PrefectApi(broken_prefect)).call("GET", "/deployments/name/ingest/often")["id"]
    Rest(PrefectApi(broken_prefect)).call("POST", f"/deployments/{deployment}/create_flow_run", {"state": {
        "type": "SCHEDULED", "state_details": {"scheduled_time": "2026-01-01T00:00:00Z"},
    }})  # fmt: skip
    program(env, "run", "often")  # hands events over, which this server does not store
    assert program(env, "status")["prefect"]["api"] == broken_prefect
    # the same after two minutes, without the wait
    for name in ("PATIENCE", "LATE"):
        monkeypatch.setattr(health, name, health.timedelta(seconds=1))
    with psycopg.connect(env["DATAPLATFORM_POSTGRES_URL"]) as conn:
        (delivered,) = conn.execute("select max(delivered_at) from audit.outbox").fetchone() or (None,)
    time.sleep(2)
    troubles = {t.service: t.text for t in health.look(PrefectApi(broken_prefect), delivered).troubles}
    assert set(troubles) == {"scheduler", "late runs", "worker", "events"}
    assert "often" in troubles["scheduler"]
    assert health.look(PrefectApi("http://127.0.0.1:1/api")).troubles[0].service == "api"


@pytest.mark.slow
def test_more_deployments_than_a_page_are_handled_and_what_has_not_changed_is_left_alone(
    env: dict[str, str], prefect_api: PrefectApi, prefect_env: dict[str, str], tmp_path: Path
) -> None:
    text = (tmp_path / "metadata" / "sources" / "often.yaml").read_text().replace("20s", "6h")
    for number in range(205):  # more than Prefect gives at once
        (tmp_path / "metadata" / "sources" / f"s{number}.yaml").write_text(
            text.replace("often", f"s{number}")
        )
    env |= {**prefect_env, "DATAPLATFORM_WORK_POOL": "many"}
    ours = {"gold/gold", "sweep/sweep", "retention/retention", "backup/backup"}
    named = set(program(env, "deploy")["changed"])
    assert ours < named
    assert len([name for name in named if name.startswith("ingest/")]) == 205 + 2
    path = tmp_path / "metadata" / "sources" / "s7.yaml"
    path.write_text(path.read_text().replace("triggers: [{type: interval, every: 6h}]\n", ""))
    (tmp_path / "metadata" / "sources" / "s8.yaml").unlink()
    found = program(env, "deploy")
    assert (found["changed"], found["removed"]) == (["ingest/s7"], ["ingest/s8"])
    seven = Rest(prefect_api).call("GET", "/deployments/name/ingest/s7")
    assert seven["schedules"] == [], "a trigger that was removed still fires"
