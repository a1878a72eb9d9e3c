"""Times loads as history grows: history.py [BATCHES] [RECORDS]     (default 720 batches, 20,000 records)

`full`: every batch is a full load, 1 % of it changed: hourly for a month. `delta`: every batch has fifty records, and
an optional field only in some of them, so that last known values have to be carried on. Then what needs all of
history: a batch that comes late, a column whose type widens, a replay. Prints wall seconds and our process's peak.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dataplatform import pipeline
from dataplatform.bootstrap import open_platform
from dataplatform.context import Platform
from dataplatform.metadata import load_catalog
from dataplatform.names import new_batch_id
from dataplatform.pipeline import Flags
from dataplatform.records.refs import BatchRef, EntityRef, RunRef
from dataplatform.runs.replay import replay
from dataplatform.runs.run import layers
from dataplatform.settings import Settings

YAML = """source: long
connector: {type: files, path: %s}
entities:
  full: {file: full.jsonl, key: [id]}
  delta: {file: delta.jsonl, key: [id], load: delta}
"""
START = datetime(2026, 1, 1, tzinfo=UTC)
Record = dict[str, Any]


def record(number: int, pick: random.Random) -> Record:
    return {
        "id": number,
        "name": f"record {number}",
        "amount": pick.randrange(10**6) / 100,
        "state": pick.choice(["new", "open", "done"]),
        "note": "n" * pick.randrange(40),
        "at": START.isoformat(),
    }


def changed(table: dict[int, Record], count: int, pick: random.Random) -> list[Record]:
    """Changes that many records in place, and returns them."""
    found = [record(number, pick) for number in pick.sample(sorted(table), count)]
    table.update({r["id"]: r for r in found})
    return found


def load(platform: Platform, folder: Path, entity: str, at: datetime, records: list[Record]) -> float:
    """One batch, observed at that time, through all layers; the seconds bronze and silver took."""
    (folder / f"{entity}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    batch = BatchRef(EntityRef("long", entity), new_batch_id(at))
    land, bronze, silver = layers(batch, RunRef("bench"), Flags(force=True))
    pipeline.perform(platform, land)
    return timed(lambda: [pipeline.perform(platform, move) for move in (bronze, silver)])


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def grow(
    platform: Platform, folder: Path, table: dict[int, Record], batches: int, pick: random.Random
) -> dict[int, Record]:
    """Loads the history; prints what a load took as it grew. Returns the table as it was in the middle."""
    records, middle = len(table), dict(table)
    took: dict[str, list[float]] = {"full": [], "delta": []}
    for number in range(batches):
        at = START + timedelta(hours=2 * number)
        middle = dict(table) if number == batches // 2 else middle
        new = changed(table, records // 100, pick)
        took["full"].append(load(platform, folder, "full", at, list(table.values())))
        part = [dict(r) for r in new[:50]]
        if number % 10 == 0:
            part[0]["optional"] = number
        took["delta"].append(load(platform, folder, "delta", at, part))
    for entity, seconds in took.items():
        for name, start in (("first", 1), ("middle", batches // 2), ("last", max(0, batches - 10))):
            some = seconds[start : start + 10]
            show(f"{entity}: a load, {name} ten", sum(some) / len(some))
    return middle


def show(name: str, seconds: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{name:34}{seconds:9.2f} s    peak {peak} MB", flush=True)


def main(batches: int, records: int) -> None:
    with tempfile.TemporaryDirectory(prefix="dp-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "metadata" / "sources").mkdir(parents=True)
        (folder / "metadata" / "sources" / "long.yaml").write_text(YAML % folder)
        settings = Settings(home=folder / "home", metadata_path=folder / "metadata")
        with open_platform(settings, load_catalog(settings.metadata_path)) as platform:
            pick = random.Random(7)
            table = {n: record(n, pick) for n in range(records)}
            middle = grow(platform, folder, table, batches, pick)
            late, some = START + timedelta(hours=batches - 1), changed(middle, records // 100, pick)
            show("full: a late batch", load(platform, folder, "full", late, list(middle.values())))
            show("delta: a late batch", load(platform, folder, "delta", late, some[:50]))
            some = changed(table, records // 100, pick)
            wider = [{**some[0], "amount": "unknown"}, *some[1:50]]
            end = START + timedelta(hours=2 * batches)
            show("delta: a type widens", load(platform, folder, "delta", end, wider))
            everything = list({**table, some[0]["id"]: wider[0]}.values())
            show("full: a type widens", load(platform, folder, "full", end, everything))
            show("replay of both", timed(lambda: replay(platform, "long")))


if __name__ == "__main__":
    arguments = [int(a) for a in sys.argv[1:]]
    main(*(arguments + [720, 20_000][len(arguments) :]))
