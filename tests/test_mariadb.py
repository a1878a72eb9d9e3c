"""MariaDB as a source: every type as it is, a delta by its cursor; Debian's own server, of a folder of its own."""

from __future__ import annotations

import getpass
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from conftest import MakeWorld
from test_replica_set import free_port

SERVER, INSTALL = shutil.which("mariadbd"), shutil.which("mariadb-install-db")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SERVER or not INSTALL, reason="apt-get install mariadb-server"),
]
TABLE = """create table items(
    id int unsigned primary key auto_increment, name varchar(50) comment 'What it is', price decimal(10,2),
    big bigint unsigned, yes tinyint(1), at datetime(6), d date, took time, y year, kind enum('a','b'), body blob,
    ratio double, changed timestamp(6) not null default current_timestamp(6) on update current_timestamp(6)
) comment='Things' character set utf8mb4"""
ROWS = [
    "insert into items(name, price, big, yes, at, d, took, y, kind, body, ratio) values "
    "('ü\\t€', 12.50, 18446744073709551615, 1, '2026-01-31 10:00:00.123456', '2026-01-31', '125:30:00', 2026, 'a', "
    "x'00ff', 3.3)",
    "insert into items(name) values (null)",
]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    """Its URL."""
    data, port = tmp_path / "maria", free_port()
    user = ["--user", getpass.getuser()]
    assert SERVER
    assert INSTALL
    argv = [INSTALL, *user, f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    argv = [SERVER, "--no-defaults", *user, f"--datadir={data}", f"--socket={data}/sock", f"--port={port}"]
    with subprocess.Popen([*argv, "--bind-address=127.0.0.1"], stderr=subprocess.DEVNULL) as process:
        url = f"mysql+pymysql://root@127.0.0.1:{port}/"
        try:
            create(url)
            yield f"{url}shop"
        finally:
            process.kill()


def create(url: str) -> None:
    engine, until = sa.create_engine(url), time.monotonic() + 60
    while True:
        try:
            with engine.begin() as conn:
                conn.exec_driver_sql("create database shop")
            engine.dispose()
            return
        except sa.exc.OperationalError:
            assert time.monotonic() < until
            time.sleep(0.2)


def do(url: str, *statements: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as conn:
        for statement in statements:
            conn.exec_driver_sql(statement.replace("%", "%%"))
    engine.dispose()


def test_every_type_as_it_is_and_a_delta_by_its_cursor(make_world: MakeWorld, database: str) -> None:
    do(database, TABLE, *ROWS)
    world = make_world(
        m=f"""
source: m
connector: {{type: sql, url: "{database}"}}
entities:
  items: {{table: items, key: [id]}}
  lately: {{table: items, key: [id], load: delta, cursor: {{field: changed}}}}
"""
    )
    assert world.run("m").status == "done"
    columns = "name, price, big, yes, at::text, d::text, took, y, kind, body, ratio"
    (full,) = world.rows(f"select {columns} from silver_current.m__items where id = 1")
    assert [str(value) for value in full] == [
        "ü\t€", "12.50", "18446744073709551615", "1", "2026-01-31 10:00:00.123456", "2026-01-31", "125:30:00", "2026",
        "a", "AP8=", "3.3",
    ]  # fmt: skip
    (empty,) = world.rows(f"select {columns} from silver_current.m__items where id = 2")
    assert set(empty) == {None}
    do(database, "update items set price = 13 where id = 1", "insert into items(name) values ('new')")
    again = world.run("m").entities
    assert (again["items"].counts.updated + again["items"].counts.closed, again["items"].counts.inserted) == (
        1,
        2,
    )
    assert again["lately"].counts.inserted == 2
    third = world.run("m").entities["items"].counts
    assert (third.inserted, third.updated, third.closed) == (0, 0, 0)
    for name in ("items", "lately"):
        query = f"select count(*), count(*) filter (where price = 13) from silver_current.m__{name}"
        assert world.rows(query) == [(3, 1)]


def test_tables_by_pattern(make_world: MakeWorld, database: str) -> None:
    engine = sa.create_engine(database)
    with engine.begin() as conn:
        for statement in (TABLE, *ROWS, "create table log(what text)", "insert into log values ('x')"):
            conn.exec_driver_sql(statement)
    engine.dispose()
    world = make_world(
        s=f"source: s\nconnector: {{type: sql, url: '{database}', snapshot: run, tables: {{include: ['shop.*']}}}}\n"
    )
    result = world.run()
    assert not result.failed, result.failed
    assert {name: one.counts.inserted for name, one in result.entities.items()} == {"items": 2, "log": 1}
    query = "select obj_description('silver.s__items'::regclass)"
    assert world.rows(query) == [("Things",)]
