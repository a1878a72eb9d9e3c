"""A campaign of kills: the flow, Postgres or MongoDB, at random moments, again and again.

After it silver, bronze, cursor and audit are compared with those of a twin that nothing happened to.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from conftest import LINES, open_to_all
from dataplatform.bootstrap import open_platform
from dataplatform.context import Platform
from dataplatform.metadata import load_catalog
from dataplatform.settings import Settings
from test_faults import DRIVER, YAML, deliver, query

DELIVERIES, KILLS = 3, int(os.environ.get("KILLS", "8"))  # kills a delivery
ROWS = 9_000


def prepare(folder: Path) -> Path:
    (folder / "metadata" / "sources").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "metadata" / "sources" / "s.yaml").write_text(YAML.replace("DATA", str(folder / "data")))
    (folder / "connectors").mkdir()
    (folder / "connectors" / "lines.py").write_text(LINES)
    open_to_all(folder)
    return folder


def settings_of(place: Path) -> Settings:
    return Settings(home=place / "home", metadata_path=place / "metadata", connectors=place / "connectors")


def start(place: Path) -> subprocess.Popen[str]:
    """A run on embedded servers of its own."""
    argv = [sys.executable, "-c", DRIVER, "", "", str(place / "home"), str(place / "metadata"), "never"]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(place: Path) -> None:
    process = start(place)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 0, err


def pid_of(place: Path, victim: str, process: subprocess.Popen[str]) -> int | None:
    """None where there is nothing left to kill."""
    if process.poll() is not None:
        return None
    if victim == "flow":
        return process.pid
    state = place / "home" / victim / "state.json"
    return int(json.loads(state.read_text())["pid"]) if state.exists() else None


def harass(place: Path, chance: random.Random, kills: Counter[str]) -> None:
    """Starts a run and kills a part of it at a random moment."""
    process = start(place)
    assert process.stdout is not None
    process.stdout.readline()  # "started"
    time.sleep(chance.uniform(0, 1))
    victim = chance.choice(["flow", "flow", "postgres", "mongo"])
    pid = pid_of(place, victim, process)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        kills[victim] += 1
    process.communicate(timeout=180)


def picture(platform: Platform) -> dict[str, Any]:
    """All that must be the same; times and ids of batches are those of the runs, so they are left out."""
    found: dict[str, Any] = {}
    for name, columns in {"full": "id, v", "delta": "id, v", "full__l": "k, v", "delta__l": "k, v"}.items():
        found[name] = query(
            platform,
            f"select dp_key::text, array_agg(({columns}, dp_hash2, dp_deleted, dp_current)::text "
            f"order by dp_valid_from) from silver.s__{name} group by 1 order by 1",
        )
        chain = f"select dp_valid_to, lead(dp_valid_from) over w from silver.s__{name}"
        broken = f"select count(*) from ({chain} window w as (partition by dp_key order by dp_valid_from)) c"
        found[f"{name}: overlaps"] = query(platform, f"{broken} where dp_valid_to > lead or lead is not null "
                                                     "and dp_valid_to is null")  # fmt: skip
    found["cursor"] = query(platform, "select entity, value from audit.cursor")
    found["failed"] = query(platform, "select layer, entity, error from audit.load where status <> 'done'")
    found["audit"] = query(
        platform, "select entity, sum(inserted), sum(closed) from audit.load where layer = 'silver' "
        "group by 1 order by 1",
    )  # fmt: skip
    for name in ("full", "delta"):
        collection = platform.bronze.db[f"s__{name}"]
        found[f"bronze {name}"] = sorted(bytes(d["_id"]) for d in collection.find({}, {"_id": 1}))
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_again_and_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance, kills = random.Random(os.environ.get("SEED", "11")), Counter[str]()
    harassed, calm = prepare(tmp_path / "harassed"), prepare(tmp_path / "calm")
    for number in range(DELIVERIES):
        for place in (harassed, calm):
            deliver(place, number, ROWS)
        for _ in range(KILLS):
            harass(harassed, chance, kills)
        finish(harassed)
        finish(calm)
    pictures = []
    for place in (harassed, calm):
        settings = settings_of(place)
        with open_platform(settings, load_catalog(settings.metadata_path)) as platform:
            pictures.append(picture(platform))
    with capsys.disabled():
        print(f"\nkilled: {dict(kills)}, {sum(kills.values())} in all")
        print({name: len(rows) for name, rows in pictures[0].items()})
    for name, rows in pictures[1].items():
        assert pictures[0][name] == rows, name
    assert sum(kills.values()) > DELIVERIES * KILLS / 2
