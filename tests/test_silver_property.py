"""Silver is a pure function of the set of batches: random histories, random orders, real servers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import MakeWorld, World
from dataplatform import pipeline
from dataplatform.connectors import page_of
from dataplatform.layers import raw
from dataplatform.layers.silver import load as silver_load
from dataplatform.names import new_batch_id
from dataplatform.records import key_hash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import history, items

START = datetime(2026, 1, 10, tzinfo=UTC)
YAML = """
source: s
connector: {type: files, path: "{data}"}
entities:
  full: &entity
    file: x.jsonl
    key: [k]
    max_delete: 1.0
    columns: {b: {scd: 1}, e: {type: timestamptz}}
  delta: {<<: *entity, load: delta}
  full_clock: {<<: *entity, effective_at: e}
  delta_clock: {<<: *entity, load: delta, effective_at: e}
"""

moments = st.one_of(st.none(), st.integers(0, 12).map(lambda n: START + timedelta(hours=12 * n - 24)))
value = st.one_of(st.none(), st.integers(0, 2))


@st.composite
def record(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {"k": draw(st.integers(1, 3)), "e": draw(moments), "a": draw(value)}
    for name, strategy in {"b": value, "c": value}.items():
        if draw(st.booleans()):
            found[name] = draw(strategy)
    if draw(st.booleans()):
        found["l"] = draw(st.lists(st.integers(0, 1), max_size=2))
    return found


@st.composite
def histories(draw: st.DrawFn) -> tuple[str, list[dict[str, Any]], list[list[int]]]:
    """Entity, batches in the order they were observed, and two orders to process them in."""
    entity = draw(st.sampled_from(["full", "delta", "full_clock", "delta_clock"]))
    found = []
    for number in range(draw(st.integers(1, 5))):
        dropped = draw(st.sets(st.sampled_from(["b", "c", "l"])))
        records = draw(st.lists(record(), max_size=4))
        records = [{f: v for f, v in r.items() if f not in dropped} for r in records]
        at = START + timedelta(days=number)
        found.append({
            "id": new_batch_id(at), "at": at, "records": records,
            "full": entity.startswith("full"), "clock": entity.endswith("clock"),
            "tick": timedelta(microseconds=1),
        })  # fmt: skip
    numbers = list(range(len(found)))
    return entity, found, [numbers, draw(st.permutations(numbers))]


def reset(world: World) -> None:
    world.platform.raw.delete("s")
    with world.platform.engine.begin() as conn:
        for schema in ("silver", "silver_current"):
            conn.exec_driver_sql(f"drop schema {schema} cascade; create schema {schema}")
        for table in ("load", "cursor", "schema_change", "outbox", "entity_rule", "entity_column"):
            conn.exec_driver_sql(f"delete from audit.{table}")
    db = world.platform.bronze.db
    for name in db.list_collection_names():
        db[name].delete_many({})


def process(world: World, entity: str, batches: list[dict[str, Any]], order: list[int]) -> None:
    source = world.platform.catalog.source("s")
    load = source.entities[entity].load
    for number in order:
        batch = batches[number]
        page = page_of(batch["records"])
        raw.land(world.platform.raw, "s", entity, batch["id"], [page], load, None, None)
        pipeline.load_bronze(world.platform, source, entity, batch["id"], "r")
        pipeline.load_silver(world.platform, source, entity, batch["id"], "r")
        pipeline.load_silver(world.platform, source, entity, batch["id"], "r")  # again: no effect


COLUMNS = ("a", "b", "c", "e")


def table(world: World, entity: str) -> list[dict[str, Any]]:
    with world.platform.engine.connect() as conn:
        found = conn.execute(sa.text(f"select * from silver.s__{entity} order by dp_key, dp_valid_from"))
        return [dict(row) for row in found.mappings()]


def as_oracle(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "from": row["dp_valid_from"], "to": row["dp_valid_to"], "deleted": row["dp_deleted"],
        "batch": row["dp_batch_id"], "touched": row["dp_updated_batch_id"],
        "values": {c: row.get(c) for c in COLUMNS},
    }  # fmt: skip


def numbered(values: dict[str, Any]) -> dict[str, Any]:
    """A column whose values were all null so far is text; compare what is shown."""
    return {k: int(v) if isinstance(v, str) else v for k, v in values.items()}


def check(world: World, entity: str, batches: list[dict[str, Any]]) -> None:
    keys = sorted({r["k"] for b in batches for r in b["records"]})
    rows = table(world, entity)
    for key in keys:
        digest = key_hash([key])
        mine = [as_oracle(r) for r in rows if r["dp_key"].bytes == digest]
        expected = history(copy.deepcopy(batches), key)
        assert mine == expected, f"key {key}"
    assert len(rows) == sum(len(history(copy.deepcopy(batches), key)) for key in keys)
    if any(r.get("l") for b in batches for r in b["records"]):
        check_items(world, entity, batches, keys)


def check_items(world: World, entity: str, batches: list[dict[str, Any]], keys: list[int]) -> None:
    rows = table(world, f"{entity}__l")
    for key in keys:
        digest = key_hash([key])
        mine = [
            {"index": r["dp_index"], "value": r["value"], "from": r["dp_valid_from"],
             "to": r["dp_valid_to"], "deleted": r["dp_deleted"]}
            for r in rows if r["dp_parent_key"].bytes == digest
        ]  # fmt: skip
        mine.sort(key=lambda r: (r["index"], r["from"]))
        assert mine == items(copy.deepcopy(batches), key), f"items of key {key}"


def run_example(world: World, example: tuple[str, list[dict[str, Any]], list[list[int]]]) -> None:
    entity, batches, orders = example
    for order in orders:
        reset(world)
        process(world, entity, batches, order)
        check(world, entity, batches)


@pytest.fixture
def world(make_world: MakeWorld) -> Iterator[World]:
    return make_world(s=YAML)


@settings(
    derandomize=True,  # the same examples for everybody; the long run looks for new ones
    max_examples=80, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(histories())
def test_any_order_gives_the_oracles_table(world: World, example: Any) -> None:
    run_example(world, example)


@pytest.mark.long
@pytest.mark.timeout(7200)
@settings(
    max_examples=5_000, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(histories())
def test_any_order_gives_the_oracles_table_long(world: World, example: Any) -> None:
    run_example(world, example)


def test_rebuilding_everything_changes_nothing(world: World) -> None:
    batches = [
        {"id": new_batch_id(START + timedelta(days=n)), "at": START + timedelta(days=n),
         "records": [{"k": 1, "a": n}, {"k": 2, "a": 0, "l": [n]}], "full": True, "clock": False,
         "tick": timedelta(microseconds=1)}
        for n in range(3)
    ]  # fmt: skip
    process(world, "full", batches, [0, 1, 2])
    before = table(world, "full")
    source = world.platform.catalog.source("s")
    with world.platform.engine.begin() as conn:
        silver_load.reset(conn, "s", "full", source.entities["full"])
        for n, batch in enumerate(batches):
            applied = [b["id"] for b in batches[:n]]
            pipeline.apply_silver(world.platform, conn, source, "full", batch["id"], "r", applied, True)
    platform_times = ("dp_id", "dp_created_at", "dp_updated_at")
    strip = [{k: v for k, v in r.items() if k not in platform_times} for r in before]
    assert [{k: v for k, v in r.items() if k not in platform_times} for r in table(world, "full")] == strip
