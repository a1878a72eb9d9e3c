"""A run whose moves are done by other processes: the same tables, a killed one costs time, one that differs refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform import project
from test_purge import environment

PROGRAM = Path(sys.executable).with_name("dataplatform")
NAMES = [f"e{n}" for n in range(6)]
pytestmark = [pytest.mark.prefect, pytest.mark.timeout(240)]


@pytest.fixture
def world(make_world: MakeWorld, files: str) -> World:
    world = make_world(s=files + "".join(f"  {n}: {{file: {n}.jsonl, key: [id]}}\n" for n in NAMES))
    deliver(world, 0)
    return world


def deliver(world: World, day: int, number: int = 2_000) -> None:
    for name in NAMES:
        lines = (
            json.dumps({"id": n, "name": f"{name} {n}", "day": day if n % 10 == 0 else 0})
            for n in range(number)
        )
        world.write(f"{name}.jsonl", "\n".join(lines) + "\n")


@contextmanager
def process(argv: list[str], env: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One that ends with the block, and all that it started."""
    started = subprocess.Popen(
        argv,
        env=env,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


@contextmanager
def cluster(
    world: World, env: dict[str, str], workers: int = 2
) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler's address, and its workers, each a process of its own."""
    about = world.folder / "scheduler.json"
    with ExitStack() as stack:
        argv = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
        more = ["--no-dashboard", "--scheduler-file", str(about)]
        stack.enter_context(process([*argv, *more], env, world.folder))
        wait_for(about.exists)
        address = json.loads(about.read_text())["address"]
        argv = [
            sys.executable,
            "-m",
            "distributed.cli.dask_worker",
            address,
            "--nthreads",
            "1",
            "--no-dashboard",
        ]
        found = [
            stack.enter_context(process([*argv, "--no-nanny"], env, world.folder)) for _ in range(workers)
        ]
        yield address, found


def wait_for(condition: Any, limit: float = 60) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def started(env: dict[str, str], world: World) -> subprocess.Popen[str]:
    argv = [PROGRAM, "run", "s", "--allow-deletes", "--json"]
    return subprocess.Popen(
        argv, env=env, cwd=world.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def result(run: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = run.communicate(timeout=200)
    assert out, err[-3000:]
    return dict(json.loads(out))


def rows(world: World) -> list[tuple[Any, ...]]:
    union = " union all ".join(
        f"select '{n}', id, name, day, dp_key, dp_current, dp_deleted, dp_hash2 from silver.s__{n}"
        for n in NAMES
    )
    return world.rows(f"{union} order by 1, 2, 6, 4")


@pytest.mark.slow
def test_processes_of_a_cluster_share_the_work_of_a_source(
    world: World, make_world: MakeWorld, files: str, prefect_env: dict[str, str]
) -> None:
    env = environment(world) | prefect_env
    with cluster(world, env) as (address, _):
        env["DATAPLATFORM_TASK_RUNNER"] = address
        for day in (0, 1):
            deliver(world, day)
            assert result(started(env, world))["status"] == "done"
    here = rows(world)
    with world.platform.engine.begin() as conn:
        for name in NAMES:
            conn.exec_driver_sql(f"drop table silver.s__{name} cascade")
        conn.exec_driver_sql(
            "delete from audit.load; delete from audit.entity_rule; delete from audit.entity_column"
        )
    shutil.rmtree(world.folder / "home" / "raw")
    for collection in world.platform.bronze.db.list_collection_names():
        world.platform.bronze.db[collection].delete_many({})
    for day in (0, 1):
        deliver(world, day)
        assert world.run().status == "done"
    assert rows(world) == here


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_time_and_nothing_else(
    world: World, prefect_env: dict[str, str]
) -> None:
    deliver(world, 0, 30_000)
    env = environment(world) | prefect_env
    with cluster(world, env) as (address, workers):
        run = started(env | {"DATAPLATFORM_TASK_RUNNER": address}, world)
        wait_for(lambda: world.rows("select count(*) from audit.load")[0][0] > 2, 90)
        os.kill(workers[0].pid, signal.SIGKILL)
        told = result(run)
    assert told["status"] == "done", told
    assert [one["inserted"] for one in told["entities"].values()] == [30_000] * len(NAMES)
    counted = [world.rows(f"select count(*), count(distinct id) from silver.s__{n}")[0] for n in NAMES]
    assert counted == [(30_000, 30_000)] * len(NAMES)


@pytest.mark.slow
def test_a_worker_with_other_metadata_refuses_in_words(world: World, prefect_env: dict[str, str]) -> None:
    env = environment(world) | prefect_env
    other = world.folder / "other"
    shutil.copytree(env["DATAPLATFORM_METADATA"], other)
    path = other / "sources" / "s.yaml"
    path.write_text(path.read_text().replace("e0.jsonl", "e1.jsonl"))
    with cluster(world, env | {"DATAPLATFORM_METADATA": str(other)}, workers=1) as (address, _):
        told = result(started(env | {"DATAPLATFORM_TASK_RUNNER": address}, world))
        assert told["status"] == "failed"
        assert "other metadata of the source s" in json.dumps(told), told
        path.write_text(Path(env["DATAPLATFORM_METADATA"], "sources", "s.yaml").read_text())
        again = result(started(env | {"DATAPLATFORM_TASK_RUNNER": address}, world))
    assert again["status"] == "done", "the worker did not read its metadata again"


@pytest.mark.slow
def test_a_worker_with_other_code_refuses_in_words(world: World, prefect_env: dict[str, str]) -> None:
    env = environment(world) | prefect_env
    theirs = world.folder / "theirs"
    shutil.copytree(project.PACKAGE, theirs / "dataplatform", ignore=shutil.ignore_patterns("__pycache__"))
    with (theirs / "dataplatform" / "names.py").open("a") as file:
        file.write("# as of another day\n")
    with cluster(world, env | {"PYTHONPATH": str(theirs)}, workers=1) as (address, _):
        told = result(started(env | {"DATAPLATFORM_TASK_RUNNER": address}, world))
    assert told["status"] == "failed"
    said = json.dumps(told)
    assert "has another dataplatform" in said, told
    assert "install the same on every machine" in said, told
    assert world.rows("select count(*) from audit.load where status = 'done'") == [(0,)]


@pytest.mark.slow
def test_processes_of_this_machine(world: World, prefect_env: dict[str, str]) -> None:
    env = environment(world) | prefect_env | {"DATAPLATFORM_TASK_RUNNER": "dask"}
    assert result(started(env, world))["status"] == "done"
    assert len(rows(world)) == 2_000 * len(NAMES)


def test_a_runner_that_is_none_is_told(world: World, prefect_env: dict[str, str]) -> None:
    env = environment(world) | prefect_env | {"DATAPLATFORM_TASK_RUNNER": "ray"}
    told = result(started(env, world))
    assert "legal: dask, threads, or a Dask scheduler's address" in json.dumps(told)
