"""A row is compared by what its columns hold, not by how the source wrote it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import MakeWorld, World

TYPES = """
    columns:
      n: {type: numeric}
      f: {type: double precision}
      t: {type: timestamp}
      z: {type: timestamptz}
      d: {type: date}
      b: {type: boolean}
      j: {type: jsonb}
      u: {type: uuid}
      i: {type: integer}
"""
ONE = {
    "id": 1, "n": "3038.0", "f": "1e3", "t": "2021-01-05", "z": "2021-01-05T10:00:00+02:00", "d": "2021-01-05", "b": "TRUE",
    "j": {"a": 1, "b": [1.0, {"x": None, "y": "1"}]}, "u": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "i": "007",
    "l": [{"id": 1, "n": 2.0, "o": {}}], "free": 5.0, "none": None, "empty": {}, "nobody": [],
}  # fmt: skip
OTHER = {
    "id": 1, "n": 3038, "f": 1000, "t": "2021-01-05T00:00:00", "z": "2021-01-05 08:00:00Z", "d": "2021-01-05T00:00:00", "b": "true",
    "j": {"b": [1, {"y": "1", "x": None}], "a": 1.0}, "u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "i": 7,
    "l": [{"n": 2, "id": 1.0}], "free": 5,
}  # fmt: skip


@pytest.fixture
def world(make_world: MakeWorld, files: str) -> World:
    return make_world(
        s=files + "  e:\n    file: e.jsonl\n    key: [id]\n    children: {l: {key: [id]}}" + TYPES
    )


def load(world: World, *records: Any) -> Any:
    world.write("e.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    result = world.run()
    assert not result.failed, result.failed
    return result.entities["e"].counts


def test_another_way_to_write_the_same_re_versions_no_row(world: World) -> None:
    assert load(world, ONE).inserted == 1
    counts = load(world, OTHER)
    assert (counts.inserted, counts.updated, counts.closed, counts.unchanged) == (0, 0, 0, 1)
    assert world.rows("select count(*) from silver.s__e__l") == [(1,)]
    assert load(world, OTHER | {"n": 3038.5}).inserted == 1


def test_so_on_the_sure_path(make_world: MakeWorld, files: str) -> None:
    """With times of its own a record takes the slow way; there, too, it is the same."""
    head = "  e:\n    file: e.jsonl\n    key: [id]\n    effective_at: z\n    children: {l: {key: [id]}}"
    world = make_world(s=files + head + TYPES)
    load(world, ONE)
    load(world, ONE | {"z": "2021-01-06T00:00:00Z", "n": 1})
    counts = load(world, OTHER)
    assert counts.inserted == 0, "an old state, written otherwise, comes again"
    assert world.rows("select count(*) from silver.s__e") == [(2,)]


def test_a_release_that_drops_zeros_changes_nothing_in_a_csv(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  c: {file: c.csv, key: [id], columns: {n: {type: numeric}}}\n")
    world.write("c.csv", "id,n,m\n" + "".join(f"{n},{n}.0,{n}.50\n" for n in range(3000)))
    assert world.run().entities["c"].counts.inserted == 3000
    world.write("c.csv", "id,n,m\n" + "".join(f"{n},{n},{n}.5\n" for n in range(3000)))
    counts = world.run().entities["c"].counts
    assert (counts.inserted, counts.updated, counts.closed) == (0, 0, 0)


@pytest.mark.parametrize("written", ["numeric(12)", "numeric(12, 2)", "NUMERIC(12,2)", "decimal(12)"])
def test_a_type_is_the_same_however_it_is_written(make_world: MakeWorld, files: str, written: str) -> None:
    """Rows were made anew by every load where Postgres names the type otherwise."""
    world = make_world(s=files + f'  a: {{file: a.csv, key: [id], columns: {{v: {{type: "{written}"}}}}}}\n')
    world.write("a.csv", "id,v\n1,3\n2,4\n")
    world.run()
    world.write("a.csv", "id,v\n1,3\n2,4\n3,5\n")
    counts = world.run().entities["a"].counts
    assert (counts.inserted, counts.updated, counts.closed) == (1, 0, 0)
