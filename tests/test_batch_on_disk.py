"""A batch whose arrays are on disk while it is loaded is loaded as one that has them in memory."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest
from conftest import MakeWorld
from dataplatform.layers.bronze import delivered, manifest
from dataplatform.records import growing, hashes, holdings
from test_processes import ODD, moved, odd_loads
from test_silver_property import reset

PARTS = (
    (hashes, "_PART"), (hashes, "_PIECE"), (hashes, "PASSED"), (holdings, "PASSED"), (manifest, "PASSED"), (delivered, "PASSED"),
)  # fmt: skip


def test_on_disk_and_in_memory_give_the_same(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(s=ODD)
    made: list[Path | None] = []
    spill = growing.Growing._spill

    def noted(grown: growing.Growing) -> None:
        made.append(grown._folder)
        spill(grown)

    monkeypatch.setattr(growing.Growing, "_spill", noted)
    found = []
    for most in (growing.IN_MEMORY, 1):
        monkeypatch.setattr(growing, "IN_MEMORY", most)
        found.append(odd_loads(world, lambda entity, batch: moved(world, entity, batch)))
        assert bool(made) == (most == 1)
        reset(world)
    for one, other in zip(*found, strict=True):
        assert one == other
    home = world.platform.settings.home_path
    assert set(made) == {home}
    assert not [f for f in map(target, os.listdir("/proc/self/fd")) if f.startswith(f"{home}/#")]


def test_changed_batches_are_told_from_the_ones_before_in_parts(
    make_world: MakeWorld, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with many millions of records, whose order is another each time."""
    monkeypatch.setattr(growing, "IN_MEMORY", 1)
    for module, name in PARTS:
        monkeypatch.setattr(module, name, 100)
    world, records, random = (
        make_world(s=files + "  e: {file: e.jsonl, key: [id]}\n"),
        dict[int, int](),
        Random(1),
    )
    for number in range(4):
        changed = random.sample(sorted(records), 30) if records else []
        gone = random.sample(sorted(records.keys() - {*changed}), 20) if records else []
        new = range(number * 5_000, number * 5_000 + (10 if records else 3_000))
        records |= dict.fromkeys([*changed, *new], number)
        records = {id_: value for id_, value in records.items() if id_ not in gone}
        lines = [f'{{"id": {id_}, "v": {value}}}\n' for id_, value in records.items()]
        random.shuffle(lines)
        world.write("e.jsonl", "".join(lines))
        counts = world.run().entities["e"].counts
        assert (counts.inserted, counts.closed) == (len(changed) + len(new), len(changed) + len(gone))
        assert counts.unchanged == len(records) - len(changed) - len(new)
        assert dict(world.rows("select id, v from silver_current.s__e")) == records
        newest = world.platform.bronze.db.batch_manifest.find_one(sort=[("batch_id", -1)])
        assert newest is not None
        assert newest["depth"] == number, "a batch is written as what it has other than the one before"
        assert newest["stored"] == len(changed) + len(new) + len(gone)


def target(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""
