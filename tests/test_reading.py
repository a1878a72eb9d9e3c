"""What there is, for people: rows, histories, traces and lineage as dataclasses, on real servers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform.errors import MetadataError
from dataplatform.reading.history import Change, history
from dataplatform.reading.lineage import ModelLineage, lineage
from dataplatform.reading.rows import current_rows
from dataplatform.reading.status import status
from dataplatform.reading.trace import trace

ENTITY = (
    "  t: {file: t.jsonl, key: [id], effective_at: at, max_delete: 1.0, columns: {note: {scd: 1}}}\n"
    "  two: {file: two.jsonl, key: [a.x, b], max_delete: 1.0}\n"
)


@pytest.fixture
def world(make_world: MakeWorld, files: str) -> World:
    return make_world(
        gold={
            "sums": "select count(*) as n from silver_current.s__t",
            "more": "select n + 1 as n from gold.sums",
        },
        s=files + ENTITY,
    )


def load(world: World, *records: dict[str, Any], entity: str = "t") -> Any:
    world.write(f"{entity}.jsonl", "".join(json.dumps(r) + "\n" for r in records))
    return world.run("s", entity)


def at(day: int) -> str:
    return f"2026-01-{day:02}T10:00:00Z"


def test_a_history_says_what_changed_and_who_wrote_and_closed_it(world: World) -> None:
    other = {"id": 2, "title": "x", "at": at(1)}
    first = load(world, {"id": 1, "title": "a", "note": "n", "at": at(1)}, other)
    second = load(world, {"id": 1, "title": "b", "note": "n", "at": at(3)}, other)
    third = load(world, {"id": 1, "title": "b", "note": "m", "at": at(3)}, other)
    record = history(world.platform, "s.t", "1")

    assert (str(record.entity), record.table, record.key) == ("s.t", "silver.s__t", {"id": 1})
    old, new = record.versions
    assert tuple(old.values) == current_rows(world.platform, "s.t", 1).without_system().columns
    assert set(old.values) == {"at", "id", "note", "title"}
    assert (old.changes, old.current, old.deleted, old.valid_to) == ((), False, False, new.valid_from)
    assert [c for c in new.changes if c.column == "title"] == [Change("title", "a", "b")]
    assert (old.written.batch_id, old.written.run_id) == (first.batch_id, first.run.run_id)
    assert (old.touched.batch_id, old.touched.run_id) == (second.batch_id, second.run.run_id)
    assert (new.written.batch_id, new.written.run_id) == (second.batch_id, second.run.run_id)
    assert (new.touched.batch_id, new.touched.run_id) == (third.batch_id, third.run.run_id)

    load(world, other)
    gone = history(world.platform, "silver.s__t", "1").versions[-1]
    assert (gone.deleted, gone.current) == (True, False)


@pytest.mark.parametrize(
    ("entity", "key"), [("t", "1"), ("two", "1,1")]
)  # by a rebuild, and by the short cut
def test_a_trace_pairs_a_version_with_the_runs_that_wrote_and_closed_it(
    world: World, entity: str, key: str
) -> None:
    record: dict[str, Any] = {"id": 1, "a": {"x": 1}, "b": 1, "at": at(1)}
    first = load(world, record | {"title": "a"}, entity=entity)
    second = load(world, record | {"title": "b", "at": at(3)}, entity=entity)
    traced = trace(world.platform, f"s.{entity}", key)
    old, new = traced.versions
    assert (old.run_id, old.updated_run_id) == (first.run.run_id, second.run.run_id)
    assert (old.batch_id, old.updated_batch_id) == (first.batch_id, second.batch_id)
    assert (new.run_id, new.updated_run_id) == (second.run.run_id, second.run.run_id)
    assert {run and run.batch_id for run in traced.runs.values()} == {first.batch_id, second.batch_id}


def test_a_composite_key_of_nested_fields(world: World) -> None:
    load(world, {"a": {"x": "k"}, "b": 7, "v": 1}, entity="two")
    assert history(world.platform, "s__two", "k,7").key == {"a__x": "k", "b": 7}
    with pytest.raises(MetadataError, match=r"no record with the key 'k,8'") as error:
        history(world.platform, "s__two", "k,8")
    assert "the key is a.x, b" in error.value.remedy


def test_rows_of_any_table(world: World) -> None:
    load(world, *({"id": n, "at": at(1), "tags": [{"t": n}]} for n in (1, 2, 3)))
    rows = current_rows(world.platform, "s.t", 2)
    assert (rows.table, rows.more, len(rows.rows)) == ("silver.s__t", True, 2)
    assert rows.columns[:4] == ("id", "at", "note", "dp_id")
    assert rows.without_system().as_json()["rows"][0] == {"id": 1, "at": rows.rows[0][1], "note": None}
    for name in ("silver.s__t__tags", "s__t__tags", "s.t.tags", "silver_current.s__t__tags"):
        assert current_rows(world.platform, name, 9).without_system().rows == ((1,), (2,), (3,))

    from dataplatform.pipeline import refresh_gold

    refresh_gold(world.platform)
    for name in ("gold.sums", "sums"):
        assert current_rows(world.platform, name, 20).as_json() == {
            "status": "done", "table": "gold.sums", "rows": [{"n": 3}], "more": False,
        }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("s__tt", "did you mean silver.s__t?"),
        ("silver.s_t", "did you mean silver.s__t?"),
        ("s.two", "dataplatform run s two"),
        ("nothing_like_it", "there are silver.s__t"),
    ],
)
def test_an_unknown_table_is_told_with_close_names(world: World, name: str, remedy: str) -> None:
    load(world, {"id": 1, "at": at(1)})
    with pytest.raises(MetadataError) as error:
        current_rows(world.platform, name, 20)
    assert remedy in error.value.remedy


def test_a_key_of_a_table_that_is_no_entitys_own(world: World) -> None:
    load(world, {"id": 1, "at": at(1), "tags": [{"t": 1}]})
    with pytest.raises(MetadataError) as error:
        history(world.platform, "s__t__tags", "1")
    assert "name the entity's own table" in error.value.remedy


def test_lineage_says_what_a_model_reads_and_what_reads_it(world: World) -> None:
    sums, more = lineage(world.platform.catalog).models
    assert sums == ModelLineage("sums", (), ("silver_current.s__t",), ("more",))
    assert more == ModelLineage("more", ("sums",), (), ())


def test_status_is_dataclasses_down_to_runs_and_loads(world: World) -> None:
    result = load(world, {"id": 1, "at": at(1)})
    there = status(world.platform)
    last = there.sources["s"].entities["t"].last_load
    assert last is not None
    assert (last.read, last.inserted, last.batch_id) == (1, 1, result.batch_id)
    assert [(run.run_id, run.status) for run in there.runs] == [(result.run.run_id, "done")]
