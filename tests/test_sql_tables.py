"""Tables by patterns: they become entities by themselves, with keys, types and comments; xmin; one moment for all."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from conftest import Databases, MakeWorld, World
from dataplatform.metadata import load_catalog

SHOP = """
create schema shop;
create table shop.customers(id int primary key, name text not null);
comment on table shop.customers is 'Who buys';
comment on column shop.customers.name is 'As on the bill';
create table shop."Order Lines"(order_id int, line int, price numeric(10,2), primary key (order_id, line));
create table shop.codes(code text not null unique, label text);
create table shop.logs(at timestamptz, what text);
create table shop.big(id int, day date, primary key (id, day)) partition by range (day);
create table shop.big_2026 partition of shop.big for values from ('2026-01-01') to ('2027-01-01');
create view shop.totals as select count(*) as n from shop.customers;
create schema other;
create table other.customers(id int primary key);
insert into shop.customers values (1, 'Ann'), (2, 'Bob');
insert into shop."Order Lines" values (1, 1, 9.90), (1, 2, 0.10);
insert into shop.codes values ('a', 'A');
insert into shop.logs values (now(), 'x'), (now(), 'x');
insert into shop.big values (1, '2026-05-05');
"""


def execute(databases: Databases, text: str) -> None:
    with psycopg.connect(databases.postgres, autocommit=True) as conn:
        conn.execute(text)


def inserted(world: World, **options: Any) -> dict[str, int]:
    result = world.run(**options)
    assert not result.failed, result.failed
    return {name: one.counts.inserted for name, one in result.entities.items()}


def test_tables_by_pattern(make_world: MakeWorld, databases: Databases) -> None:
    execute(databases, SHOP)
    world = make_world(s=(
        f"source: s\nconnector:\n  type: sql\n  url: '{databases.postgres}'\n  schema: shop\n"
        "  tables: {include: ['shop.*', 'other.cust*'], exclude: ['*_secret', 'shop.logs_*']}\n"
        "entities:\n  buyers: {table: shop.customers, key: [id]}\n  codes: {description: mine, columns: {label: {scd: 1}}}\n"
    ))  # fmt: skip
    assert inserted(world) == {
        "buyers": 2, "order_lines": 2, "codes": 1, "logs": 2, "big": 1, "other_customers": 0,
    }  # fmt: skip
    source = load_catalog(world.platform.catalog.root).sources["s"]
    assert source.entities["order_lines"].key == ("order_id", "line")
    assert source.entities["codes"].key == ("code",)
    assert source.entities["codes"].description == "mine"
    assert source.entities["logs"].by_row
    assert world.rows(
        "select pg_typeof(price)::text, sum(price)::text from silver.s__order_lines group by 1"
    ) == [("numeric", "10.00")]
    execute(
        databases,
        "create table shop.customers_secret(id int primary key); create table shop.news(id int primary key); insert into shop.news values (1)",
    )
    assert inserted(world)["news"] == 1
    assert inserted(world)["news"] == 0
    execute(databases, "drop table shop.news")
    result = world.run()
    assert set(result.failed) == {"news"}
    assert "there is no table" in result.failed["news"]


def test_comments_become_descriptions(make_world: MakeWorld, databases: Databases) -> None:
    execute(databases, SHOP)
    world = make_world(
        s=f"source: s\nconnector: {{type: sql, url: '{databases.postgres}', tables: 'shop.cust*'}}\n"
    )
    assert inserted(world) == {"shop_customers": 2}  # the usual schema is another
    described = world.rows(
        "select obj_description('silver.s__shop_customers'::regclass), col_description('silver.s__shop_customers'::regclass, attnum) "
        "from pg_attribute where attrelid = 'silver.s__shop_customers'::regclass and attname = 'name'"
    )
    assert described == [("Who buys", "As on the bill")]


def test_wrong_patterns(make_world: MakeWorld, databases: Databases) -> None:
    world = make_world(
        s=f"source: s\nconnector: {{type: sql, url: '{databases.postgres}', tables: ['nope_*']}}\n",
        none=f"source: none\nconnector: {{type: sql, url: '{databases.postgres}'}}\n",
        gone="source: gone\nconnector: {type: sql, url: 'postgresql://u:hunter2@127.0.0.1:1/x', tables: 'a*'}\n",
        ill=f"source: ill\nconnector: {{type: sql, url: '{databases.postgres}', tables: {{includes: 'a*'}}}}\n",
    )
    with pytest.raises(Exception, match="no table of s matches"):
        world.run()
    with pytest.raises(Exception, match="cannot be reached") as error:
        world.run("gone")
    assert "hunter2" not in str(error.value)
    assert sorted(p.file.rsplit("/")[-1] for p in world.platform.catalog.problems) == [
        "ill.yaml",
        "ill.yaml",
        "none.yaml",
    ]
    (world.platform.catalog.root / "tables").mkdir(exist_ok=True)
    (world.platform.catalog.root / "tables" / "s.yaml").write_text("a: [")
    assert any(
        "delete it" in str(p) or "cannot be read" in str(p)
        for p in load_catalog(world.platform.catalog.root).problems
    )


def test_a_database_that_does_not_answer_hides_nothing(make_world: MakeWorld, databases: Databases) -> None:
    execute(databases, SHOP)
    text = "source: s\nconnector: {{type: sql, url: '{}', tables: 'shop.*'}}\n"
    inserted(make_world(s=text.format(databases.postgres)))
    result = make_world(s=text.format("postgresql://127.0.0.1:1/x")).run()
    assert set(result.failed) >= {"shop_logs", "shop_big"}


def test_tables_of_sqlite(make_world: MakeWorld) -> None:
    world = make_world(
        s="source: s\nconnector: {type: sql, url: 'sqlite:///{data}/x.db', tables: {include: ['*'], exclude: [b], each: {load: delta, cursor: {field: n}}}}\n"
    )
    with sqlite3.connect(world.folder / "data" / "x.db") as conn:
        conn.executescript(
            "create table a(n integer primary key, v text); create table b(n int); insert into a values (1, 'x')"
        )
    assert inserted(world) == {"a": 1}
    assert world.run().entities["a"].counts.read == 1
    found = yaml.safe_load((world.platform.catalog.root / "tables" / "s.yaml").read_text())
    assert found == {"a": {"table": "a", "key": ["n"]}}


@pytest.mark.prefect
def test_a_run_under_prefect_finds_tables(
    make_world: MakeWorld, databases: Databases, prefect_env: dict[str, str], tmp_path: Path
) -> None:
    execute(databases, "create table a(id int primary key); insert into a values (1)")
    world = make_world(
        s=f"source: s\nconnector: {{type: sql, url: '{databases.postgres}', tables: [a, b]}}\n"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DATAPLATFORM_", "PREFECT_"))} | {
        "DATAPLATFORM_HOME": str(tmp_path / "home"), "DATAPLATFORM_METADATA": str(world.platform.settings.metadata_path),
        "DATAPLATFORM_POSTGRES_URL": databases.postgres, "DATAPLATFORM_MONGO_URL": databases.mongo,
        "PREFECT_HOME": str(tmp_path / "prefect"), **prefect_env,
    }  # fmt: skip

    def run() -> Any:
        program = Path(sys.executable).with_name("dataplatform")
        done = subprocess.run(
            [program, "run", "s", "--json"], env=env, capture_output=True, text=True, check=True, timeout=120
        )
        return {name: one["inserted"] for name, one in json.loads(done.stdout)["entities"].items()}

    assert run() == {"a": 1}
    execute(databases, "create table b(id int primary key); insert into b values (1), (2)")
    assert run() == {"a": 0, "b": 2}


def test_delta_by_xmin(make_world: MakeWorld, databases: Databases) -> None:
    execute(
        databases,
        "create table t(id int primary key, v int); insert into t select n, n from generate_series(1, 1000) n; create view w as select * from t",
    )
    world = make_world(s=(
        f"source: s\nconnector: {{type: sql, url: '{databases.postgres}'}}\nentities:\n"
        "  t: {table: public.t, key: [id], load: delta, cursor: {field: xmin}}\n  w: {table: public.w, key: [id], load: delta, cursor: {field: xmin}}\n"
    ))  # fmt: skip
    result = world.run()
    assert result.entities["t"].counts.inserted == 1000
    assert "no table of this server" in result.failed["w"]
    late = psycopg.connect(databases.postgres)
    late.execute(
        "update t set v = -1 where id = 7"
    )  # not committed while others are, and while the next run reads
    execute(databases, "update t set v = 0 where id = 3; insert into t values (2000, 1)")
    again = world.run("s", "t").entities["t"].counts
    assert (again.read, again.inserted) == (2, 2)
    late.commit()
    late.close()
    again = world.run("s", "t").entities["t"].counts
    assert again.inserted == 1
    assert again.read <= 3
    assert world.rows("select v from silver_current.s__t where id in (3, 7) order by id") == [(0,), (-1,)]
    assert world.run("s", "t").entities["t"].counts.read <= 1


def test_all_tables_as_they_were_at_one_moment(make_world: MakeWorld, databases: Databases) -> None:
    execute(
        databases,
        "create table a(id int primary key); create table b(id int primary key); insert into a values (0); insert into b values (0)",
    )
    world = make_world(s=(
        f"source: s\nconnector: {{type: sql, url: '{databases.postgres}', snapshot: run, tables: {{include: [a, b]}}}}\n"
    ))  # fmt: skip
    stop = threading.Event()

    def write() -> None:
        number = 0
        with psycopg.connect(databases.postgres) as conn:
            while not stop.is_set():
                number += 1
                conn.execute("insert into a values (%s)", [number])
                conn.execute("insert into b values (%s)", [number])
                conn.commit()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(4):
            inserted(world)
            assert world.rows("select count(*) from silver_current.s__a") == world.rows(
                "select count(*) from silver_current.s__b"
            )
    finally:
        stop.set()
        writer.join()
