"""Processes and servers that die: after the next run everything is as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import LINES, Databases, MakeWorld, World, open_to_all
from dataplatform import pipeline
from dataplatform.bootstrap import open_platform
from dataplatform.context import Platform
from dataplatform.embedded import start_servers
from dataplatform.errors import BusyError, ServerError
from dataplatform.metadata import load_catalog
from dataplatform.pipeline import Move
from dataplatform.records.counts import Counts
from dataplatform.records.refs import RunRef
from dataplatform.runs import Order, run
from dataplatform.runs.chains import threads
from dataplatform.runs.recover import process_waiting
from dataplatform.settings import Settings

YAML = """source: s
connector: {type: python, module: lines, config: {folder: "DATA"}}
entities:
  full: {key: [id], children: {l: {key: [k]}}, columns: {at: {scd: 1}}}
  delta: {key: [id], load: delta, cursor: {field: at}, columns: {at: {scd: 1}}}
"""

DRIVER = """
import os, signal, sys
from pathlib import Path
from dataplatform.bootstrap import open_platform
from dataplatform import pipeline
from dataplatform.runs import Order, run
from dataplatform.runs.chains import threads
from dataplatform.settings import Settings
from dataplatform.metadata import load_catalog

postgres, mongo, home, metadata, kill_at = sys.argv[1:6]
settings = Settings(home=Path(home), metadata_path=Path(metadata), connectors=Path(metadata).with_name("connectors"), postgres_url=postgres or None, mongo_url=mongo or None)
count = 0

def perform(move):
    global count
    for when in ("before", "after"):
        if when == "after":
            result = pipeline.perform(platform, move)
        if str(count) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
    return result

with open_platform(settings, load_catalog(settings.metadata_path)) as platform:
    print("started", flush=True)
    with threads(2, perform) as submit:
        result = run(platform, Order("s"), submit)
    assert not result.failed, result.failed
"""
BOUNDARIES = 12  # two entities, three layers, before and after


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "metadata" / "sources").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "metadata" / "sources" / "s.yaml").write_text(YAML.replace("DATA", str(tmp_path / "data")))
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "lines.py").write_text(LINES)
    return tmp_path


def deliver(place: Path, number: int, rows: int = 3_000) -> None:
    """A third of the records change from one delivery to the next."""
    records = [
        {"id": n, "v": number if n % 3 == 0 else 0, "at": f"2026-01-{number + 1:02}T00:00:00Z",
         "l": [{"k": 1, "v": number if n % 7 == 0 else 0}]}
        for n in range(number, rows)
    ]  # fmt: skip
    text = "".join(json.dumps(r) + "\n" for r in records)
    for name in ("full", "delta"):
        (place / "data" / f"{name}.jsonl").write_text(text)


def start(place: Path, databases: Databases, kill_at: int | str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", DRIVER, databases.postgres, databases.mongo, str(place / "home"),
            str(place / "metadata"), str(kill_at)]  # fmt: skip
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(place: Path, databases: Databases) -> None:
    process = start(place, databases, "never")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err


def check(place: Path, databases: Databases, deliveries: int, rows: int = 3_000) -> None:
    """Every value that was delivered is there, once, in order, and nothing else is."""
    settings = Settings(
        home=place / "home", metadata_path=place / "metadata", connectors=place / "connectors",
        postgres_url=databases.postgres, mongo_url=databases.mongo,
    )  # fmt: skip
    with open_platform(settings, load_catalog(settings.metadata_path)) as platform:
        for entity in ("full", "delta"):
            found = query(
                platform, f"select id, v, dp_current from silver.s__{entity} order by id, dp_valid_from"
            )
            history: dict[int, list[int]] = {}
            for id_, value, _ in found:
                history.setdefault(id_, []).append(value)
            last = deliveries - 1
            assert set(history) == set(range(rows))
            for id_, values in history.items():
                assert values == sorted(set(values)), (entity, id_, values)
                if id_ >= last:
                    assert values[-1] == (last if id_ % 3 == 0 else 0)
            current = [r for r in found if r[2]]
            assert len({r[0] for r in current}) == len(current)
            gone = 0 if entity == "delta" else last
            assert len(current) == rows - gone
            overlaps = query(
                platform,
                f"select count(*) from silver.s__{entity} a join silver.s__{entity} b on a.dp_key = b.dp_key "
                "and a.dp_id < b.dp_id and tstzrange(a.dp_valid_from, a.dp_valid_to) && "
                "tstzrange(b.dp_valid_from, b.dp_valid_to)",
            )
            assert overlaps == [(0,)]
        assert query(platform, "select count(*) from audit.load where status <> 'done'") == [(0,)]
        cursor = query(platform, "select value from audit.cursor")
        assert cursor == [(f"2026-01-{deliveries:02}T00:00:00Z",)]


def query(platform: Platform, text: str) -> list[tuple[Any, ...]]:
    with platform.engine.connect() as conn:
        return [tuple(r) for r in conn.execute(sa.text(text))]


def test_killed_at_every_step_boundary(place: Path, databases: Databases) -> None:
    deliver(place, 0, 300)
    for boundary in range(BOUNDARIES):
        process = start(place, databases, boundary)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
    finish(place, databases)
    check(place, databases, 1, 300)


@pytest.mark.slow
def test_killed_at_random_moments(place: Path, databases: Databases) -> None:
    chance = random.Random(7)
    for number in range(3):
        deliver(place, number)
        for _ in range(3):
            process = start(place, databases, "never")
            assert process.stdout is not None
            process.stdout.readline()  # "started"
            time.sleep(chance.uniform(0, 0.9))
            process.kill()
            process.communicate()
        finish(place, databases)
    check(place, databases, 3)


@pytest.fixture
def own(place: Path) -> tuple[Path, Settings]:
    open_to_all(place)
    return place, Settings(
        home=place / "home", metadata_path=place / "metadata", connectors=place / "connectors"
    )


@pytest.mark.parametrize("server", ["postgres", "mongo"])
@pytest.mark.parametrize("layer", ["bronze", "silver"])
def test_a_server_that_dies_in_the_middle(
    own: tuple[Path, Settings], server: str, layer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, settings = own
    deliver(place, 0, 200)
    order = Order("s", run=RunRef("the-run"))
    servers = start_servers(settings, prefect=False)
    try:
        state = json.loads((settings.home_path / server / "state.json").read_text())
        killed: list[bool] = []

        def perform(move: Move) -> Counts:
            if move.layer == layer and not killed:
                killed.append(True)
                os.kill(state["pid"], signal.SIGKILL)
                time.sleep(0.3)
            return pipeline.perform(platform, move)

        monkeypatch.setattr("dataplatform.layers.bronze.store.SELECTION_MS", 1_500)
        failed: Any = None
        try:
            with open_platform(settings) as platform, threads(2, perform) as submit:
                failed = run(platform, order, submit).failed
        except ServerError as error:
            failed = {"": str(error)}
        assert failed
        assert all("failed" in text for text in failed.values()), failed
    finally:
        servers.close()
    with open_platform(settings) as platform:
        assert not run(platform, order).failed
        assert query(platform, "select count(*), count(distinct dp_batch_id) from silver.s__full") == [
            (200, 1)
        ]
        assert query(platform, "select status, error from audit.run") == [("done", None)]


def test_two_runs_of_one_source_at_the_same_time(make_world: MakeWorld, files: str) -> None:
    world: World = make_world(s=files + "  e: {file: e.jsonl, key: [id]}\n")
    world.write("e.jsonl", '{"id": 1}\n')
    inside, leave = threading.Event(), threading.Event()

    def slow(move: Move) -> Counts:
        inside.set()
        leave.wait(20)
        return pipeline.perform(world.platform, move)

    def run_slowly() -> None:
        with threads(1, slow) as submit:
            run(world.platform, Order("s"), submit)

    thread = threading.Thread(target=run_slowly)
    thread.start()
    inside.wait(20)
    with pytest.raises(BusyError, match="is running already"):
        world.run()
    leave.set()
    thread.join()
    assert world.rows("select count(*) from silver.s__e") == [(1,)]


def test_a_batch_left_between_raw_and_silver_is_loaded_by_the_next_run(
    make_world: MakeWorld, files: str
) -> None:
    world = make_world(s=files + "  e: {file: e.jsonl, key: [id], load: delta}\n")
    world.write("e.jsonl", '{"id": 1}\n')
    world.move("raw", "e", "20260101T000000000000Z-0000")
    world.write("e.jsonl", '{"id": 2}\n')
    assert not world.run().failed
    assert world.rows("select id from silver.s__e order by id") == [(1,), (2,)]
    assert process_waiting(world.platform, "s", RunRef()) == []


def test_a_full_disk_leaves_the_old_data_whole(make_world: MakeWorld, files: str, tmp_path: Path) -> None:
    small = tmp_path / "home"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small file system to fill")
    try:
        world = make_world(s=files + "  e: {file: e.jsonl, key: [id]}\n")
        world.write("e.jsonl", '{"id": 1}\n')
        assert not world.run().failed
        noise = random.Random(1)
        lines = [json.dumps({"id": n, "v": noise.randbytes(60).hex()}) for n in range(5_000)]
        world.write("e.jsonl", "\n".join(lines))
        error = world.run().failed["e"]
        assert "No space left" in error
        assert "free some disk space" in error
        assert not list(small.rglob("*.tmp"))
        world.write("e.jsonl", '{"id": 1}\n{"id": 2}\n')
        assert not world.run().failed
        assert world.rows("select count(*) from silver.s__e where dp_current") == [(2,)]
    finally:
        subprocess.run(["umount", str(small)], check=False)
