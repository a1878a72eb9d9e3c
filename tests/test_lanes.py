"""Connections that copy a first batch side by side: the same tables, and nothing stays where a load was refused."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import chain
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from conftest import MakeWorld, World, execute
from dataplatform.errors import CheckFailedError, ServerError
from dataplatform.layers.silver import lanes
from dataplatform.layers.silver.plan import Plan
from dataplatform.layers.silver.rows import NO_VALUES
from dataplatform.names import batch_time, new_batch_id
from dataplatform.processes import Processes
from dataplatform.upkeep.backup import postgres_part
from dataplatform.upkeep.purge import plan, purge
from psycopg import sql
from test_silver_property import reset

ENTITY = """  a:
    file: x.jsonl
    key: [id]
    description: 100 % of "it's"
    columns: {v: {description: "50 % of it's"}, w: {scd: 1}}
    children: {parts: {key: [n]}}
"""


def sharing(world: World, processes: Processes) -> World:
    return replace(world, platform=replace(world.platform, processes=processes))


def lines(number: int, changed: int = -1) -> str:
    return "".join(
        json.dumps({"id": n, "v": f"v{n}\t%", "w": n / 7, "parts": [{"n": 1, "x": n}, {"n": 2, "x": None}]} | ({"w": 0, "v": "new"} if n == changed else {})) + "\n"
        for n in range(number)
    )  # fmt: skip


def load(world: World, batch: str | None = None) -> None:
    batch = batch or new_batch_id()
    for layer in ("raw", "bronze", "silver"):
        world.move(layer, "a", batch)


def what_there_is(world: World) -> list[object]:
    """Rows, columns in their order, indexes, comments, rights and defaults of the tables and their views."""
    where = "n.nspname in ('silver', 'silver_current')"
    return [
        *(
            world.rows(
                f"select to_jsonb(t) - '{{dp_id,dp_created_at,dp_updated_at,dp_batch_id,dp_updated_batch_id,dp_run_id,"
                f"dp_valid_from,dp_valid_to}}'::text[] from {table} t order by dp_key, dp_valid_from"
            )
            for table in ("silver.s__a", "silver.s__a__parts", "silver_current.s__a")
        ),
        world.rows(
            "select c.relname, a.attname, a.atttypid::regtype::text, a.attnotnull, a.attidentity, a.atthasdef, "
            "row_number() over (partition by c.oid order by a.attnum), col_description(c.oid, a.attnum) "
            "from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = relnamespace "
            f"where {where} and c.relkind in ('r', 'v') and a.attnum > 0 and not attisdropped order by 1, 7"
        ),
        world.rows(
            "select c.relname, c.relkind::text, array(select x::text from unnest(c.relacl) x order by 1), c.reloptions, obj_description(c.oid, 'pg_class') "
            f"from pg_class c join pg_namespace n on n.oid = c.relnamespace where {where} order by 1, 2"
        ),
        world.rows("select tablename, indexdef from pg_indexes where schemaname = 'silver' order by 1, 2"),
        world.rows(
            "select count(*), count(distinct dp_id), count(distinct dp_created_at), min(dp_batch_id) = max(dp_batch_id), "
            "bool_and(dp_run_id <> ''), bool_and(dp_created_at = dp_updated_at) from silver.s__a where dp_deleted = false"
        ),
    ]


def left(world: World) -> list[object]:
    return world.rows(
        "select relname from pg_class where relnamespace = 'silver_loading'::regnamespace order by 1"
    )


def test_side_by_side_and_alone_make_the_same_tables(
    make_world: MakeWorld, processes: Processes, files: str
) -> None:
    world = make_world(s=files + ENTITY)
    world.write("x.jsonl", lines(3_000))
    execute(world, "do $$ begin create role looks_on; exception when duplicate_object then null; end $$")
    took: list[int] = []
    opened = lanes.opened

    def noted(
        conn: sa.Connection, plan: Plan, at: int, number: int
    ) -> AbstractContextManager[lanes.Lanes | None]:
        took.append(number)
        return opened(conn, plan, at, number)

    found = []
    for way in (sharing(world, processes), world):
        for rights in (
            "select, insert on tables to looks_on",
            "delete on tables to looks_on with grant option",
            "select on tables to public",
        ):
            execute(world, f"alter default privileges in schema silver grant {rights}")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lanes, "opened", noted)
            load(way)
        before = what_there_is(world)
        world.write("x.jsonl", lines(3_000, changed=7))
        load(way)
        found.append([before, what_there_is(world)])
        world.write("x.jsonl", lines(3_000))
        assert left(world) == []
        reset(world)
    assert took == [2, 1]
    for one, other in zip(*map(chain.from_iterable, found), strict=True):
        assert one == other
    assert "looks_on=ard*/" in str(found[0])


@pytest.mark.parametrize("shared", [True, False])
def test_what_all_rows_have_in_common_is_in_each_and_no_default_stays(
    make_world: MakeWorld, processes: Processes, files: str, shared: bool
) -> None:
    world = make_world(s=files + ENTITY)
    world.write("x.jsonl", lines(1_000))
    batch = new_batch_id()
    load(sharing(world, processes) if shared else world, batch)
    for table, rows in (("s__a", 1_000), ("s__a__parts", 2_000)):
        found = f"select count(*), min(dp_valid_from), max(dp_valid_from) from silver.{table}"
        assert world.rows(found) == [(rows, batch_time(batch), batch_time(batch))]
    assert world.rows("select distinct dp_hash1 from silver.s__a__parts") == [(UUID(bytes=NO_VALUES),)]
    assert world.rows("select count(distinct dp_hash1) from silver.s__a") == [(1_000,)]
    defaults = "select attname from pg_attribute where attrelid = 'silver.{}'::regclass and atthasdef"
    assert [world.rows(defaults.format(table)) for table in ("s__a", "s__a__parts")] == [[], []]


def test_a_refused_load_leaves_nothing(make_world: MakeWorld, processes: Processes, files: str) -> None:
    world = make_world(s=files + ENTITY + "    checks: [{row_count: {max: 10}}]\n")
    world.write("x.jsonl", lines(500))
    with pytest.raises(CheckFailedError):
        load(sharing(world, processes))
    assert left(world) == []
    assert world.rows("select to_regclass('silver.s__a')") == [(None,)]


def test_what_a_killed_load_left_goes_before_the_next(
    make_world: MakeWorld, processes: Processes, files: str
) -> None:
    world = make_world(s=files + ENTITY)
    execute(world, "create table silver_loading.s__a (id int)")
    execute(world, "comment on table silver_loading.s__a is 's.a'")
    execute(world, "create table silver_loading.s__b (id int)")
    execute(world, "comment on table silver_loading.s__b is 's.b'")
    world.write("x.jsonl", lines(500))
    load(world)  # alone: it needs no such table itself
    assert left(world) == [("s__b",)]
    assert world.rows("select count(*), sum(id) from silver_current.s__a") == [(500, 124_750)]


def test_what_is_left_is_in_no_backup_and_goes_with_its_entity(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + ENTITY)
    world.write("x.jsonl", lines(50))
    load(world)
    execute(world, "create table silver_loading.s__a as select 'left over' as v")
    execute(world, "comment on table silver_loading.s__a is 's.a'")
    with world.platform.engine.begin() as holder:
        # as a load holds it that is about to put its table in place
        holder.exec_driver_sql("lock table silver_loading.s__a in access exclusive mode")
        with postgres_part.snapshot(world.platform.engine) as found:
            dump = b"".join(found.dump)
            assert "silver_loading.s__a" not in found.tallies()
    assert b"SCHEMA silver_loading" in dump
    assert b"left over" not in dump
    assert b"s__a__current" in dump
    purge(world.platform, plan(world.platform, "s.a"))
    assert left(world) == []


def test_a_connection_that_breaks_costs_a_try_and_no_row(
    make_world: MakeWorld, processes: Processes, files: str
) -> None:
    world = make_world(s=files + ENTITY)
    world.write("x.jsonl", lines(60_000))
    shared, batch = sharing(world, processes), new_batch_id()
    for layer in ("raw", "bronze"):
        shared.move(layer, "a", batch)
    killer = threading.Thread(target=end_one_that_copies, args=(world,))
    killer.start()
    with pytest.raises(ServerError):
        shared.move("silver", "a", batch)
    killer.join()
    assert left(world) == []
    assert world.rows("select to_regclass('silver.s__a')") == [(None,)]
    shared.move("silver", "a", batch)
    assert world.rows("select count(*), count(distinct id), sum(id) from silver.s__a") == [
        (60_000, 60_000, 1_799_970_000)
    ]
    assert world.rows("select count(*) from silver.s__a__parts") == [(120_000,)]


def end_one_that_copies(world: World) -> None:
    until = time.monotonic() + 20
    query = "select pg_terminate_backend(pid) from pg_stat_activity where query like 'copy \"silver_loading%' limit 1"
    while time.monotonic() < until and not world.rows(query):
        time.sleep(0.002)


def test_the_loads_own_connection_may_wait_as_long_as_the_others_copy(
    make_world: MakeWorld, processes: Processes, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(s=files + ENTITY)
    world.write("x.jsonl", lines(500))
    database = world.rows("select current_database()")[0][0]
    execute(world, f'alter database "{database}" set idle_in_transaction_session_timeout = 1000')
    world.platform.engine.dispose()
    copied = lanes.copied

    def slowly(conn: psycopg.Connection, statement: sql.Composed, chunks: Sequence[bytes]) -> None:
        copied(conn, statement, chunks)
        conn.execute("select pg_sleep(2)")

    monkeypatch.setattr(lanes, "copied", slowly)
    load(sharing(world, processes))
    assert world.rows("select count(*) from silver_current.s__a") == [(500,)]


def test_where_transactions_do_not_see_what_others_commit_one_copies(
    make_world: MakeWorld, processes: Processes, files: str
) -> None:
    world = make_world(s=files + ENTITY)
    world.write("x.jsonl", lines(500))
    database = world.rows("select current_database()")[0][0]
    execute(world, f"alter database \"{database}\" set default_transaction_isolation = 'repeatable read'")
    world.platform.engine.dispose()
    load(sharing(world, processes))
    assert world.rows("show transaction_isolation") == [("repeatable read",)]
    assert world.rows("select count(*) from silver_current.s__a") == [(500,)]
    assert left(world) == []
