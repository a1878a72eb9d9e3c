"""What needs history again takes what concerns it, and no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import MakeWorld, World, move_of
from dataplatform import pipeline
from dataplatform.connectors import page_of
from dataplatform.errors import StorageError
from dataplatform.layers import raw
from dataplatform.layers.silver import pending
from dataplatform.layers.silver.task import Mode
from dataplatform.names import new_batch_id
from dataplatform.records.refs import BatchRef, EntityRef
from dataplatform.runs.replay import replay

START = datetime(2026, 1, 10, tzinfo=UTC)


@pytest.fixture
def world(make_world: MakeWorld, files: str) -> World:
    return make_world(s=f"{files}  e: {{file: e.jsonl, key: [id], max_delete: 1.0}}")


def records(**changed: Any) -> list[dict[str, Any]]:
    """Twenty records of which some are changed (r3=…)."""
    return [{"id": n, "v": changed.get(f"r{n}", 0), "l": [n]} for n in range(20)]


def process(world: World, day: int, found: list[dict[str, Any]]) -> str:
    """A full batch of that day through all layers."""
    batch = new_batch_id(START + timedelta(days=day))
    raw.land(
        world.platform.raw, BatchRef(EntityRef("s", "e"), batch), iter([page_of(found)]), raw.Landing("full")
    )
    world.move("bronze", "e", batch)
    world.move("silver", "e", batch)
    return batch


def rebuilt(world: World, batch: str) -> int:
    query = "select detail ->> 'rebuilt_keys' from audit.load where layer = 'silver' and batch_id = "
    return int(world.rows(f"{query}'{batch}'")[0][0])


def history(world: World) -> list[tuple[Any, ...]]:
    return world.rows("select id, v, dp_valid_from, dp_valid_to, dp_batch_id from silver.s__e order by 1, 3")


def test_a_late_batch_rebuilds_only_the_keys_of_which_it_says_something_new(world: World) -> None:
    process(world, 0, records())
    process(world, 9, records(r5=1))
    late = process(world, 5, [r for r in records(r3=7) if r["id"] != 8])
    assert rebuilt(world, late) == 2
    days: dict[int, list[int]] = {}
    for row in history(world):
        days.setdefault(row[0], []).append(row[2].day)
    assert [days[key] for key in (3, 8, 5, 6)] == [[10, 15, 19], [10, 19], [10, 19], [10]]
    first = process(world, -1, records()[:2])
    assert rebuilt(world, first) == 2


def test_a_late_batch_that_knew_of_fewer_columns_rebuilds_all_keys(world: World) -> None:
    process(world, 0, records())
    process(world, 9, records(r5=1))
    late = process(world, 5, [{"id": r["id"], "v": r["v"]} for r in records()])
    assert rebuilt(world, late) == 20


def test_a_transaction_of_many_batches_holds_no_more_locks_than_one_of_few(world: World) -> None:
    found = [process(world, 0, [])]
    found += [process(world, n, records(r19=n, **{f"r{n}": 1})) for n in range(1, 8)]
    found += [process(world, n, [{"id": r["id"], "v": n} for r in records()]) for n in range(8, 12)]
    source, held = world.platform.catalog.source("s"), []
    with world.platform.engine.begin() as conn:
        pending.reset(conn, EntityRef("s", "e"), source.entities["e"])
        for number, batch in enumerate(found):
            move = move_of("silver", "e", batch, allow_deletes=True)
            pipeline.apply_silver(world.platform, conn, move, found[:number], Mode.RESTATED)
            held.append(conn.exec_driver_sql(
                "select count(*) from pg_locks where pid = pg_backend_pid()"
            ).scalar_one())  # fmt: skip
    assert (held[3], held[9]) == (held[7], held[11])


def test_a_manifest_whose_pieces_are_gone_is_a_clear_error_and_a_replay_mends_it(world: World) -> None:
    first = process(world, 0, records())
    process(world, 9, records(r5=1))
    before = history(world)
    pieces = world.platform.bronze.db["batch_manifest_chunk"]
    assert pieces.delete_one({"_id": f"s/e/{first}/0"}).deleted_count == 1
    with pytest.raises(StorageError, match=r"(?s)lacks 1 of 1 pieces of the manifest s/e/.*replay s"):
        process(world, 5, [{"id": 1}])
    assert history(world) == before
    assert not replay(world.platform, "s").failed
