"""Gold models: order, lineage, three kinds of materialization, checks, errors with their line."""

from __future__ import annotations

import json

import pytest
from conftest import MakeWorld, World
from dataplatform.errors import DataplatformError, ModelError
from dataplatform.pipeline import gold_is_stale, refresh_gold

FIRST = "/*\nmaterialized: table\nchecks: [{not_null: [id]}, {row_count: {min: 1}}]\n*/\nselect id, v from silver_current.s__e"
VIEW = "/* {materialized: view, description: On top} */ select id from gold.first"
INCREMENTAL = """/*
materialized: incremental
unique_key: id
columns: {n: How often it changed}
*/
select id, count(*) as n, max(dp_updated_at) as at
from silver.s__e
where id in (select id from silver.s__e where dp_updated_at > :since) -- :since
group by id"""


def write(world: World, *values: int) -> None:
    world.write("e.jsonl", "".join(json.dumps({"id": n, "v": v}) + "\n" for n, v in enumerate(values)))
    assert not world.run().failed


@pytest.fixture
def yaml(files: str) -> str:
    return files + "  e: {file: e.jsonl, key: [id], max_delete: 1.0}\n"


def test_models_are_built_in_order_and_stay_in_step(make_world: MakeWorld, yaml: str) -> None:
    world = make_world(s=yaml, gold={"a_view": VIEW, "first": FIRST, "inc": INCREMENTAL})
    write(world, 1, 2)
    assert [b.name for b in refresh_gold(world.platform)] == ["first", "a_view", "inc"]
    before = world.rows("select * from gold.inc order by id")
    write(world, 1, 3, 4)
    assert world.rows("select count(*) from gold.a_view") == [(2,)]
    refresh_gold(world.platform)
    assert world.rows("select count(*) from gold.a_view") == [(3,)]
    after = world.rows("select * from gold.inc order by id")
    assert after[0] == before[0]  # what did not change was not touched
    assert [(i, n) for i, n, _ in after] == [(0, 1), (1, 2), (2, 1)]
    text = world.rows("select col_description('gold.inc'::regclass, 2)")
    assert text == [("How often it changed",)]


def test_a_failed_check_keeps_the_old_result(make_world: MakeWorld, yaml: str) -> None:
    world = make_world(s=yaml, gold={"first": FIRST, "a_view": VIEW})
    write(world, 1)
    refresh_gold(world.platform)
    write(world)
    world.run(allow_deletes=True)
    with pytest.raises(ModelError, match=r"0 rows, not 1…"):
        refresh_gold(world.platform)
    assert world.rows("select v from gold.first") == [(1,)]


def test_a_model_waits_for_a_table_that_is_not_loaded_yet(make_world: MakeWorld, yaml: str) -> None:
    world = make_world(s=yaml, gold={"a_view": VIEW, "first": FIRST, "own": "select 1 as one"})
    there = {b.name: b for b in refresh_gold(world.platform)}
    assert {name: (b.status, b.waiting_for) for name, b in there.items()} == {
        "first": ("waiting", ("silver_current.s__e",)),
        "a_view": ("waiting", ("gold.first",)),
        "own": ("built", ()),
    }
    assert not gold_is_stale(
        world.platform
    )  # nothing that could be built is missing: the sweep asks for nothing
    write(world, 1)
    assert gold_is_stale(world.platform)
    assert {b.status for b in refresh_gold(world.platform)} == {"built"}
    assert world.rows("select count(*) from gold.a_view") == [(1,)]


def test_a_child_table_is_waited_for_as_long_as_its_parent_is_not_loaded(
    make_world: MakeWorld, yaml: str
) -> None:
    world = make_world(s=yaml, gold={"a": "select id from silver.s__e__items"})
    assert [b.waiting_for for b in refresh_gold(world.platform)] == [("silver.s__e__items",)]
    write(world, 1)
    with pytest.raises(ModelError, match=r"there is no table silver\.s__e__items"):
        refresh_gold(world.platform)


def test_a_new_kind_or_new_columns_replace_the_model(make_world: MakeWorld, yaml: str) -> None:
    world = make_world(s=yaml, gold={"first": FIRST, "a_view": VIEW})
    write(world, 1)
    refresh_gold(world.platform)
    changed = FIRST.replace("table", "view").replace("id, v", "id, v, 1 as w")
    world = make_world(s=yaml, gold={"first": changed})
    refresh_gold(world.platform, ["first"])
    assert world.rows("select w from gold.first") == [(1,)]
    assert world.rows("select id from gold.a_view") == [(0,)]


def test_views_survive_changes_of_silver(make_world: MakeWorld, yaml: str) -> None:
    world = make_world(
        s=yaml, gold={"v": "/* {materialized: view} */ select id, v::text from silver_current.s__e"}
    )
    write(world, 1)
    refresh_gold(world.platform)
    world.write("e.jsonl", '{"id": 0, "v": 1.5, "new": true}\n')
    assert not world.run().failed
    assert world.rows("select v from gold.v") == [("1.5",)]


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"a": "select * from gold.b", "b": "select * from gold.a"}, "in a circle: a → b → a"),
        ({"a": "select 1\nfrom silver.s__x"}, r"a\.sql:2: there is no table silver\.s__x"),
        ({"a": "select 1\nfrom\n gold.nope"}, r"a\.sql:3: there is no table gold\.nope"),
        ({"a": "/*\n*/\nselect id,\n nope\nfrom silver.s__e"}, r'a\.sql:4: column "nope"'),
        ({"a": "select 1; drop table silver.s__e"}, "exactly one SELECT"),
        ({"a": "drop table silver.s__e"}, "exactly one SELECT"),
        ({"a": "select (1 from x"}, r"a\.sql:1: not SQL"),
        ({"a": "/* {columns: {x: text}} */ select 1 as y"}, "describes a column 'x'"),
        ({"a": "/* {materialized: incremental, unique_key: id} */ select 1 as id union all select 1"},
         "unique_key is not unique"),
    ],
)  # fmt: skip
def test_errors_name_file_and_line(
    make_world: MakeWorld, yaml: str, models: dict[str, str], message: str
) -> None:
    world = make_world(s=yaml, gold=models)
    write(world, 1)
    with pytest.raises(DataplatformError, match=message):
        refresh_gold(world.platform)
    assert world.rows("select count(*) from silver.s__e") == [(1,)]
    assert world.rows("select count(*) from pg_class where relnamespace = 'gold'::regnamespace") == [(0,)]
