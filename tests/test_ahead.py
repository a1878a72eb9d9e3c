"""Text for silver that is made while bronze has the records in hand: used where it is right, missed by nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform.errors import DataplatformError
from dataplatform.metadata import load_catalog
from dataplatform.names import new_batch_id
from dataplatform.processes import Processes
from dataplatform.upkeep import forget as upkeep
from test_processes import ODD, moved, odd_loads, tables
from test_silver_property import reset

COUNT = "select count(*), count(distinct dp_key) from silver_current.s__a"


def lines(number: int, **more: Any) -> str:
    return "".join(
        json.dumps({"id": n, "v": n, "tags": [{"x": n}], **more, "t": f"t{n}"}) + "\n" for n in range(number)
    )


def lines_of(number: int, v: int) -> str:
    return json.dumps({"id": number, "v": v, "tags": [{"x": number}], "t": "t" * 50}) + "\n"


@pytest.fixture
def world(make_world: MakeWorld, files: str) -> World:
    return make_world(s=files + "  a: {file: x.jsonl, key: [id], max_misfits: 0.0}\n")


def until_bronze(world: World, text: str) -> str:
    """A batch that is in bronze; its id."""
    world.write("x.jsonl", text)
    batch = new_batch_id()
    for layer in ("raw", "bronze"):
        world.move(layer, "a", batch)
    return batch


def lost(world: World) -> None:
    """Bronze's records: silver can have them from nowhere else than from what was made ahead."""
    assert world.platform.bronze.db["s__a"].delete_many({}).deleted_count


def test_silver_takes_it_and_reads_no_record(world: World) -> None:
    batch = until_bronze(world, lines(3_000))
    lost(world)
    assert world.move("silver", "a", batch).inserted == 3_000
    assert world.rows(COUNT) == [(3_000, 3_000)]
    assert world.rows("select count(*) from silver_current.s__a__tags") == [(3_000,)]


def test_it_is_taken_once_and_goes_with_the_process(world: World) -> None:
    batch = until_bronze(world, lines(10))
    world.platform.shelf.close()
    lost(world)
    with pytest.raises(DataplatformError, match="bronze lacks 10 versions"):
        world.move("silver", "a", batch)


def test_with_and_without_give_the_same_rows_counts_and_quarantine(make_world: MakeWorld) -> None:
    world = make_world(s=ODD)

    def without(entity: str, batch: str) -> list[Any]:
        done = [world.move(layer, entity, batch) for layer in ("raw", "bronze")]
        world.platform.shelf.close()
        return [*done, world.move("silver", entity, batch)]

    found = []
    for load in (lambda entity, batch: moved(world, entity, batch), without):
        found.append(odd_loads(world, load))
        reset(world)
    for one, other in zip(*found, strict=True):
        assert one == other


@pytest.mark.parametrize("late", [{"v": "a text"}, {"new": 1}, {"tags": [{"x": 1.5, "y": 2}]}, {"v": 1.5}])
def test_what_comes_late_and_changes_the_columns_is_in_all_rows(world: World, late: dict[str, Any]) -> None:
    text = lines(3_000) + json.dumps({"id": -1, "v": 1, "tags": [], "t": "", **late}) + "\n"
    ways = []
    for used in (True, False):
        batch = until_bronze(world, text)
        if not used:
            world.platform.shelf.close()
        assert world.move("silver", "a", batch).inserted == 3_001
        ways.append(tables(world, "a")[0])
        shown = "dp_key, dp_hash2, v::text, t"
        ways.append(world.rows(f"select {shown} from silver.s__a order by 1"))
        ways.append(world.rows("select dp_key, dp_hash2 from silver.s__a__tags order by 1"))
        reset(world)
    assert ways[:3] == ways[3:]


def test_what_comes_late_alone_leaves_the_rest_as_it_is(world: World) -> None:
    """Text that was made before a column was known lacks nothing."""
    late = [{"new": 1, "more": [{"y": 1}]}, {"newer": "x", "v": 5}]
    own = [
        json.dumps({"id": -n, "t": "", "v": 1, "tags": []} | more) + "\n" for n, more in enumerate(late, 1)
    ]
    batch = until_bronze(world, lines(2_000) + own[0] + lines(2_000).replace('"id": ', '"id": 9000') + own[1])
    lost(world)
    assert world.move("silver", "a", batch).inserted == 4_002
    found = world.rows(
        "select id, v, new, newer from silver.s__a where id < 0 or new is not null or newer is not null"
    )
    assert sorted(found) == [(-2, 5, None, "x"), (-1, 1, 1, None)]
    assert world.rows("select count(*), sum(v), count(t) from silver.s__a") == [(4_002, 3_998_006, 4_002)]
    assert world.rows("select count(*) from silver.s__a__more") == [(1,)]


def test_what_other_processes_made_before_a_path_was_known_is_not_used(
    world: World, processes: Processes
) -> None:
    """Pieces are on their way when another brings a path that they have, too."""
    text = lines(5_000) + lines(20_000, new=1, more=[{"y": 2}]).replace('"id": ', '"id": 9000')
    shared = replace(world, platform=replace(world.platform, processes=processes))
    found = []
    for way in (shared, world):
        batch = until_bronze(way, text)
        if way is world:
            way.platform.shelf.close()
        assert way.move("silver", "a", batch).inserted == 25_000
        found.append(tables(world, "a"))
        found.append(world.rows("select count(new), sum(v) from silver.s__a"))
        reset(world)
    assert found[1] == [(20_000, found[1][0][1])]
    assert [table[0][:2] for table in found[0][1]] == [table[0][:2] for table in found[2][1]]
    assert found[1] == found[3]


def test_who_was_forgotten_in_between_stays_out(world: World) -> None:
    batch = until_bronze(world, lines(1_000))
    upkeep.forget(world.platform, upkeep.find(world.platform, "s.a", "7"))
    assert world.move("silver", "a", batch).inserted == 999
    assert world.rows("select count(*) from silver.s__a where id = 7") == [(0,)]


def test_metadata_of_today_count(world: World) -> None:
    batch = until_bronze(world, lines(100))
    path = world.platform.settings.metadata_path / "sources" / "s.yaml"
    path.write_text(
        path.read_text().replace("key: [id]", "key: [id], columns: {v: {type: text}, t: {scd: 1}}")
    )
    edited = replace(world.platform, catalog=load_catalog(world.platform.settings.metadata_path))
    replace(world, platform=edited).move("silver", "a", batch)
    assert world.rows("select pg_typeof(v)::text, count(distinct dp_hash1) from silver.s__a group by 1") == [
        ("text", 100)
    ]


def test_no_room_for_it_is_no_failure(world: World, tmp_path: Path) -> None:
    gone = world.platform.settings.model_copy(update={"home": tmp_path / "missing"})
    small = replace(world, platform=replace(world.platform, settings=gone))
    batch = until_bronze(small, lines(20_000))
    assert world.move("silver", "a", batch).inserted == 20_000
    assert world.rows(COUNT) == [(20_000, 20_000)]


CHECKED = "  a: {file: x.jsonl, key: [id], max_quarantine: 100%, checks: [{not_null: [title]}]}\n"


def test_a_check_of_a_column_that_comes_late_keeps_out_the_records_before_it(
    make_world: MakeWorld, files: str
) -> None:
    world = make_world(s=files + CHECKED)
    batch = until_bronze(world, lines(3_000) + lines(10, title="x").replace('"id": ', '"id": 9000'))
    found = world.move("silver", "a", batch)
    assert (found.inserted, found.quarantined) == (10, 3_000)


def test_a_check_of_a_column_that_no_record_has_fails_silver_and_not_bronze(
    make_world: MakeWorld, files: str
) -> None:
    world = make_world(s=files + CHECKED)
    batch = until_bronze(world, lines(3_000))
    with pytest.raises(DataplatformError, match="names the column title, which no record has had"):
        world.move("silver", "a", batch)


@pytest.mark.parametrize("load", ["full", "delta"])
@pytest.mark.parametrize("number", [lambda n: n % 3_000, lambda n: n // 2, lambda n: n % 1_000])
def test_a_record_that_comes_twice_is_there_once(
    make_world: MakeWorld, files: str, load: str, number: Callable[[int], int]
) -> None:
    world = make_world(s=files + f"  a: {{file: x.jsonl, key: [id], load: {load}}}\n")
    text = "".join(lines_of(number(n), n // 5_000) for n in range(6_000))
    assert world.move("silver", "a", until_bronze(world, text)).read == 6_000
    keys = len({number(n) for n in range(6_000)})
    assert world.rows(COUNT) == [(keys, keys)]
    last = dict(sorted((number(n), n // 5_000) for n in range(6_000)))
    assert dict(world.rows("select id, v from silver_current.s__a")) == last
    assert world.rows("select count(*), count(distinct x) from silver_current.s__a__tags") == [(keys, keys)]
