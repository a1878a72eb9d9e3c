"""A batch whose arrays are on disk while it is loaded is loaded as one that has them in memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import MakeWorld
from dataplatform.records import growing
from test_processes import ODD, moved, odd_loads
from test_silver_property import reset


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


def target(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""
