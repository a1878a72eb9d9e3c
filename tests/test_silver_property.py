"""Silver is a pure function of the set of batches: random histories, random orders, real servers."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import MakeWorld, World, move_of
from dataplatform import pipeline
from dataplatform.audit import record as audit
from dataplatform.connectors import Item, deleted, page_of
from dataplatform.layers import raw
from dataplatform.layers.bronze import load as load_bronze
from dataplatform.layers.silver import pending
from dataplatform.layers.silver.plan import whole_paths
from dataplatform.names import new_batch_id
from dataplatform.records.record import key_hash
from dataplatform.records.refs import BatchRef, EntityRef
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from oracle import KEY, LISTS, history, items, keyed, typed

START = datetime(2026, 1, 10, tzinfo=UTC)
YAML = """
source: s
connector: {type: files, path: "{data}"}
entities:
  full: &entity
    file: x.jsonl
    key: [k, j]
    max_misfits: 0.34
    max_quarantine: 1.0
    max_delete: 1.0
    columns: {b: {scd: 1}, e: {type: timestamptz}, n: {type: integer}}
    children: {m: {key: [id], columns: {w: {scd: 1}}}, "m[].n": {key: [id]}}
  delta: {<<: *entity, load: delta}
  full_clock: {<<: *entity, effective_at: e}
  delta_clock: {<<: *entity, load: delta, effective_at: e}
  partial: {<<: *entity, load: delta, partial: true}
  partial_clock: {<<: *entity, load: delta, partial: true, effective_at: e}
"""
ENTITIES = ("full", "delta", "full_clock", "delta_clock", "partial", "partial_clock")

moments = st.one_of(st.none(), st.integers(0, 12).map(lambda n: START + timedelta(hours=12 * n - 24)))
value = st.one_of(
    st.none(), st.integers(0, 2), st.integers(0, 2), st.sampled_from([1.5, 1.0, "1", True, "true"])
)
small = st.integers(0, 1)
keys = st.sampled_from([(1, "a"), (2, "bc"), ("2b", "c"), ("1", "a")])
inner = st.fixed_dictionaries({"id": st.integers(1, 2)}, optional={"v": value})
item = st.fixed_dictionaries(
    {"id": st.sampled_from([1, 2, 2, None])},
    optional={"v": value, "w": value, "n": st.lists(inner, max_size=2)},
)
loose = st.fixed_dictionaries({}, optional={"p": small, "i": st.lists(small, max_size=2)})
OPTIONAL = {
    "b": value, "c": value, "n": st.sampled_from([None, 1, 2, "x"]),
    "d": st.fixed_dictionaries({}, optional={"x": small, "y": st.none()}),
    "l": st.lists(small, max_size=2), "m": st.lists(item, max_size=3), "o": st.lists(loose, max_size=2),
}  # fmt: skip


@st.composite
def record(draw: st.DrawFn) -> dict[str, Any]:
    k, j = draw(keys)
    found: dict[str, Any] = {"k": k, "j": j, "e": draw(moments), "a": draw(value)}
    if not draw(st.integers(0, 7)):
        return {"k": k, "j": j, "e": found["e"], "gone": True}  # the source says that it ended
    if draw(st.integers(0, 9)) == 9:
        del found["j"]  # its key is not whole
    for name in draw(st.sets(st.sampled_from(sorted(OPTIONAL)))):
        found[name] = draw(OPTIONAL[name])
    return found


@dataclass(frozen=True)
class Example:
    """Batches as they were observed, and two ways to process them.

    `orders`: of bronze and of silver; `ahead`: all of bronze comes before silver; `interrupted`: batches
    whose every step breaks off once before it is done.
    """

    entity: str
    batches: list[dict[str, Any]]
    orders: tuple[tuple[list[int], list[int]], ...]
    ahead: bool
    interrupted: set[int]


@st.composite
def histories(draw: st.DrawFn, most: int = 5) -> Example:
    entity = draw(st.sampled_from(ENTITIES))
    found = []
    for number in range(draw(st.integers(1, most))):
        dropped = draw(st.sets(st.sampled_from(sorted(OPTIONAL))))
        records = draw(st.lists(record(), max_size=draw(st.sampled_from([4, 1, 0]))))
        records = [{f: v for f, v in r.items() if f not in dropped} for r in records]
        if found:  # most of a batch is as it was in the one before
            kept = [r for r in found[-1]["records"] if "gone" not in r and draw(st.integers(0, 3))]
            records = draw(st.permutations(kept + records)) if draw(st.booleans()) else kept + records
        at = START + timedelta(days=number)
        found.append({
            "id": new_batch_id(at), "at": at, "records": records,
            "full": entity.startswith("full"), "clock": entity.endswith("clock"),
            "partial": entity.startswith("partial"), "tick": timedelta(microseconds=1),
        })  # fmt: skip
    numbers = list(range(len(found)))
    ahead, other = draw(st.booleans()), draw(st.permutations(numbers))
    bronze = draw(st.permutations(numbers)) if ahead else other
    interrupted = draw(st.sets(st.sampled_from(numbers)))
    return Example(entity, found, ((numbers, numbers), (bronze, other)), ahead, interrupted)


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


class BreakOffError(Exception):
    """The process ends here."""


def broken(pages: Iterable[Any]) -> Iterator[Any]:
    yield from islice(pages, 1)
    raise BreakOffError


def said(records: list[dict[str, Any]]) -> Iterator[Item]:
    """What a source yields: pages of records, and what ended between them."""
    for gone, stretch in groupby(records, lambda record: "gone" in record):
        own = [{name: v for name, v in record.items() if name != "gone"} for record in stretch]
        yield deleted(own) if gone else page_of(own)
    if not records:
        yield page_of([])


@dataclass(frozen=True)
class Steps:
    """The moves of one entity's batches, with a way to break each off."""

    world: World
    entity: str

    def land(self, batch: dict[str, Any], breaking: bool) -> None:
        records = batch["records"]
        halves = [records[:2], records[2:]] if len(records) > 2 else [records]
        pages = [item for half in halves for item in said(half)]
        load = self.source.entities[self.entity].load
        found = iter(broken(pages)) if breaking else iter(pages)
        raw.land(self.world.platform.raw, self.ref(batch), found, raw.Landing(load))

    def bronze(self, batch: dict[str, Any], breaking: bool) -> None:
        if not breaking:
            self.world.move("bronze", self.entity, batch["id"])
            return
        manifest = raw.manifest(self.world.platform.raw, self.ref(batch))
        assert manifest is not None
        pages = broken(raw.read(self.world.platform.raw, manifest))
        entity = self.source.entities[self.entity]
        load_bronze(self.world.platform.bronze, manifest, pages, entity, whole_paths(entity))

    def silver(self, batch: dict[str, Any], breaking: bool) -> None:
        platform = self.world.platform
        if not breaking:
            self.world.move("silver", self.entity, batch["id"])
            return
        with platform.engine.begin() as conn:
            applied = audit.loaded_batches(conn, EntityRef("s", self.entity), "silver")
            if batch["id"] not in applied:
                pipeline.apply_silver(platform, conn, move_of("silver", self.entity, batch["id"]), applied)
            raise BreakOffError

    def ref(self, batch: dict[str, Any]) -> BatchRef:
        return BatchRef(EntityRef("s", self.entity), batch["id"])

    @property
    def source(self) -> Any:
        return self.world.platform.catalog.source("s")


def process(world: World, example: Example, order: tuple[list[int], list[int]]) -> None:
    steps = Steps(world, example.entity)
    first, then = order
    early = [(n, (steps.land, steps.bronze)) for n in first] if example.ahead else []
    rest = (steps.silver,) if example.ahead else (steps.land, steps.bronze, steps.silver)
    for number, moves in [*early, *((n, rest) for n in then)]:
        for move in moves:
            if number in example.interrupted:
                with pytest.raises(BreakOffError):
                    move(example.batches[number], True)
            move(example.batches[number], False)
            if move == steps.silver:
                move(example.batches[number], False)  # again: no effect


def table(world: World, name: str) -> list[dict[str, Any]]:
    """Rows of a table; none where there is no table."""
    with world.platform.engine.connect() as conn:
        if conn.execute(sa.text(f"select to_regclass('silver.s__{name}')")).scalar_one() is None:
            return []
        found = conn.execute(sa.text(f"select * from silver.s__{name} order by dp_key, dp_valid_from"))
        return [dict(row) for row in found.mappings()]


def as_oracle(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "from": row["dp_valid_from"], "to": row["dp_valid_to"], "deleted": row["dp_deleted"],
        "batch": row["dp_batch_id"], "touched": row["dp_updated_batch_id"],
        "values": {c: v for c, v in row.items() if not c.startswith("dp_") and v is not None},
    }  # fmt: skip


class MisfitError(ValueError):
    """A value that its column's type does not hold."""


def as_bigint(value: Any) -> int:
    if (
        isinstance(value, bool)
        or (isinstance(value, str) and not value.isdigit())
        or int(value) != float(value)
    ):
        raise MisfitError
    return int(value)


def as_double(value: Any) -> float:
    if isinstance(value, bool) or (isinstance(value, str) and not value.isdigit()):
        raise MisfitError
    return float(value)


def as_boolean(value: Any) -> bool:
    if isinstance(value, float) or str(value).lower() not in ("true", "1", "false", "0"):
        raise MisfitError
    return str(value).lower() in ("true", "1")


CONVERT: dict[str, Any] = {
    "text": lambda v: v if isinstance(v, str) else str(v).lower().removesuffix(".0"),
    "double precision": as_double, "bigint": as_bigint, "boolean": as_boolean,
}  # fmt: skip


def as_stored(world: World, entity: str, batch: dict[str, Any]) -> dict[str, Any]:
    """A batch as the columns of its tables hold it; a record with a misfit is bad."""
    tables = {"": types(world, entity)}
    tables |= {f"{p}[].": types(world, f"{entity}__{p.replace('[].', '__')}") for p in LISTS}

    def convert(path: str, value: Any) -> Any:
        head, _, name = path.rpartition("[].")
        stored = tables[f"{head}[]." if head else ""].get(name)
        if value is None or name in ("gone", "misfit") or stored not in CONVERT:
            return value
        fitting = CONVERT[stored](value)
        return value if not head and name in KEY else fitting  # keys keep their identity

    def held(record: dict[str, Any]) -> Any:
        try:
            return typed(record, convert)
        except MisfitError:
            return {**record, "misfit": True}

    return {**batch, "records": [held(record) for record in batch["records"]]}


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """An expected row; nulls are not compared, and keys are as text where a column of them is."""
    return {**row, "values": {c: v for c, v in row["values"].items() if v is not None}}


def keys_as_stored(row: dict[str, Any], stored: dict[str, str]) -> dict[str, Any]:
    values = {
        c: CONVERT[stored[c]](v) if c in KEY and stored.get(c) in CONVERT else v
        for c, v in row["values"].items()
    }
    return {**row, "values": values}


def types(world: World, name: str) -> dict[str, str]:
    query = "select column_name, data_type from information_schema.columns where table_schema = 'silver'"
    return world.pairs(f"{query} and table_name = 's__{name}'")


def check(world: World, example: Example) -> None:
    batches = [as_stored(world, example.entity, batch) for batch in example.batches]
    found = {tuple(r[f] for f in KEY) for b in batches for r in b["records"] if keyed(r) and "gone" not in r}
    rows, lists = table(world, example.entity), tables_of_lists(world, example.entity)
    stored = types(world, example.entity)
    total = 0
    for key in sorted(found, key=str):
        digest = key_hash(key)
        mine = [as_oracle(r) for r in rows if r["dp_key"].bytes == digest]
        expected = [keys_as_stored(shown(r), stored) for r in history(copy.deepcopy(batches), key)]
        assert mine == expected, f"key {key}"
        total += len(mine)
        for path, wanted in items(copy.deepcopy(batches), key).items():
            own = [r for root, r in lists[path] if root == digest]
            seen = [{**shown(r), "item": visible(path, r["item"])} for r in wanted]
            assert ordered(own) == ordered(seen), (key, path)
    assert len(rows) == total


def visible(path: str, item: tuple[Any, ...]) -> tuple[Any, ...]:
    """An item's keys as its row shows them: of one that lacks the key of its list, no position either."""
    depths = [p for p in LISTS if path.startswith(p)]
    return tuple((None,) if LISTS[p] and own[0] == "at" else own for p, own in zip(depths, item, strict=True))


def ordered(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """In an order that does not depend on how values are written."""
    return sorted(rows, key=lambda r: repr((r["item"], r["from"], r["to"], sorted(r["values"].items()))))


def tables_of_lists(world: World, entity: str) -> dict[str, list[tuple[bytes, dict[str, Any]]]]:
    """By list: the key of the root and the row, with its item's keys from the outermost list inwards."""
    result: dict[str, list[tuple[bytes, dict[str, Any]]]] = {}
    names: dict[Any, Any] = {}
    for path, key in LISTS.items():
        result[path] = []
        for row in table(world, f"{entity}__{path.replace('[].', '__')}"):
            own = (row["id"],) if key else ("at", row["dp_index"])
            above = names.get(row["dp_parent_key"], ())
            names[row["dp_key"]] = (*above, own)
            result[path].append((row["dp_root_key"].bytes, {"item": (*above, own), **as_oracle(row)}))
    return result


def run_example(world: World, example: Example) -> None:
    names = [example.entity, *(f"{example.entity}__{path.replace('[].', '__')}" for path in LISTS)]
    columns = []
    for order in example.orders:
        reset(world)
        process(world, example, order)
        check(world, example)
        columns.append({name: types(world, name) for name in names})
    assert columns[0] == columns[1], "types do not depend on the order of the batches"


@pytest.fixture
def world(make_world: MakeWorld) -> Iterator[World]:
    return make_world(s=YAML)


def same_again(examples: int) -> settings:
    """The same examples in each run of the same tests (hypothesis draws by what is imported, too); long ones look for new."""
    return settings(
        derandomize=True, max_examples=examples, deadline=None, phases=(Phase.generate,),
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )  # fmt: skip


@same_again(25)
@given(histories())
def test_any_order_gives_the_oracles_table(world: World, example: Any) -> None:
    run_example(world, example)


@pytest.mark.slow
@same_again(150)
@given(histories())
def test_any_order_gives_the_oracles_table_of_many(world: World, example: Any) -> None:
    run_example(world, example)


@pytest.mark.long
@pytest.mark.timeout(7200)
@settings(
    max_examples=5_000, deadline=None, derandomize=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(histories())
def test_any_order_gives_the_oracles_table_long(world: World, example: Any) -> None:
    run_example(world, example)


def test_rebuilding_everything_changes_nothing(world: World) -> None:
    batches = [
        {"id": new_batch_id(START + timedelta(days=n)), "at": START + timedelta(days=n),
         "records": [{"k": 1, "j": "", "a": n}, {"k": 2, "j": "", "a": 0, "l": [n]}]}
        for n in range(3)
    ]  # fmt: skip
    process(world, Example("full", batches, (), False, set()), ([0, 1, 2], [0, 1, 2]))
    before = table(world, "full")
    source = world.platform.catalog.source("s")
    with world.platform.engine.begin() as conn:
        pending.reset(conn, EntityRef("s", "full"), source.entities["full"])
        for n, batch in enumerate(batches):
            applied = [b["id"] for b in batches[:n]]
            pipeline.apply_silver(
                world.platform, conn, move_of("silver", "full", batch["id"], allow_deletes=True), applied
            )
    platform_times = ("dp_id", "dp_created_at", "dp_updated_at")
    strip = [{k: v for k, v in r.items() if k not in platform_times} for r in before]
    assert [{k: v for k, v in r.items() if k not in platform_times} for r in table(world, "full")] == strip
