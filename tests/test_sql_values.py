"""A value of a database that its driver cannot read concerns its row only: SQLite's columns hold anything."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest
from conftest import Databases, MakeWorld, World

TABLE = """
create table visits (id integer primary key, at datetime, day date, hour time, amount numeric(10, 2), price float,
                     ok boolean, name text, raw blob);
insert into visits values
    (1, '2026-01-01 10:00:00.000000', '2026-01-01', '10:00:00', 12.5, 0.1234567890123, 1, 'Zoë', x'00ff'),
    (2, 'yesterday', '2026-01-02', '10:00:00', 1, 1, 0, 'bad time', null),
    (3, '2026-01-03T10:00:00Z', '2026-01-03', '10:00', 3, 3, 1, 'ISO', null),
    (4, 1767225600, null, null, 4, 4, null, 'an epoch', null),
    (5, '2026-01-05 10:00:00', '2026-01-05', null, 'a lot', 5, 1, 'bad number', null),
    (6, null, null, null, 6, 6, 1, cast(x'5afc72696368' as text), null),
    (7, null, '31.12.2025', null, 7, 7, 1, 'bad day', null),
    (8, null, null, null, 8, 8, 'perhaps', 'bad boolean', null),
    (9, null, null, null, '9.75', 9, 'x', 'bad boolean', null),
    (10, null, null, null, 10.25, 10, 0, '', null);
"""


def database(folder: Path, text: str) -> str:
    with sqlite3.connect(folder / "shop.db") as connection:
        connection.executescript(text)
    connection.close()
    return f"sqlite:///{folder}/shop.db"


@pytest.fixture
def world(make_world: MakeWorld, tmp_path: Path) -> World:
    url = database(tmp_path, TABLE)
    return make_world(
        s=f"source: s\nconnector: {{type: sql, url: '{url}', page_size: 3}}\nentities:\n"
        "  t: {table: visits, key: id, max_quarantine: 1.0}\n  q: {query: 'select id, at, name from visits', key: id, max_quarantine: 1.0}\n"
        "  d: {table: visits, key: id, max_quarantine: 1.0, load: delta, cursor: {field: id}}\n"
    )


def test_an_ill_value_sets_its_row_aside(world: World) -> None:
    result = world.run("s", "t")
    assert not result.failed, result.failed
    counts = result.entities["t"].counts
    assert (counts.read, counts.inserted, counts.quarantined) == (10, 3, 7)
    rows = world.rows("select id, at, day, amount, price, ok, name, raw from silver.s__t order by id")
    assert [row[0] for row in rows] == [1, 3, 10]
    assert (str(rows[0][2]), float(rows[0][3]), float(rows[0][4])) == ("2026-01-01", 12.5, 0.1234567890123)
    assert rows[0][5:] == (True, "Zoë", "AP8=")
    assert str(rows[1][1]).startswith("2026-01-03 10:00:00")
    assert rows[2][6] == ""


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (2, "column `at`: 'yesterday' cannot be read"),
        (4, "column `at`: '1767225600' cannot be read: no datetime"),
        (5, "column `amount`: 'a lot' cannot be read: no number"),
        (6, "column `name`: "),
        (7, "column `day`: '31.12.2025' cannot be read"),
        (8, "column `ok`: 'perhaps' cannot be read: neither 0 nor 1"),
    ],
)
def test_the_reason_names_table_row_key_and_column(world: World, row: int, said: str) -> None:
    world.run("s", "t")
    [found] = [q for q in world.quarantine() if f"visits, row {row} (id {row})" in q.reason]
    assert said in found.reason
    assert f'"id":{row}' in found.record


def test_a_query_has_no_types_and_gives_what_is_stored(world: World) -> None:
    counts = world.run("s", "q").entities["q"].counts
    assert (counts.inserted, counts.quarantined) == (9, 1)
    assert "text that is not UTF-8" in world.quarantine()[0].reason
    assert world.rows("select at from silver.s__q where id in (2, 4) order by id") == [
        ("yesterday",), ("1767225600",),
    ]  # fmt: skip


def test_a_cursor_goes_on_beyond_ill_rows(world: World) -> None:
    assert world.run("s", "d").entities["d"].counts.read == 10
    assert world.run("s", "d").entities["d"].counts.read == 1


def test_times_that_postgres_knows_and_python_does_not(make_world: MakeWorld, databases: Databases) -> None:
    with psycopg.connect(databases.postgres) as connection:
        connection.execute("create table public.t (id int, at timestamptz, until date, since timestamp)")
        connection.execute(
            "insert into public.t values (1, '2026-01-01 12:00+02', '2026-01-01', '2026-01-01'), (2, 'infinity', null, null), "
            "(3, null, '12000-01-01', null), (4, null, null, '0044-03-15 BC'), (5, '9999-12-31', '0001-01-01', null)"
        )
    world = make_world(
        s=f"source: s\nconnector: {{type: sql, url: '{databases.postgres}'}}\nentities: {{t: {{table: public.t, key: id, max_quarantine: 1.0}}}}\n"
    )
    result = world.run()
    assert not result.failed, result.failed
    assert world.rows("select id from silver.s__t order by id") == [(1,), (5,)]
    said = " | ".join(q.reason for q in world.quarantine())
    assert (
        "public.t, row 2 (id 2), column `at`: 'infinity' cannot be read: beyond the years 1 to 9999" in said
    )
    assert "column `until`: '12000-01-01'" in said
    assert "column `since`: '0044-03-15 00:00:00 BC'" in said


def test_a_row_that_cannot_be_written_as_json(make_world: MakeWorld, databases: Databases) -> None:
    with psycopg.connect(databases.postgres) as connection:
        connection.execute("create table public.t (id int, j jsonb)")
        connection.execute(
            "insert into public.t values (1, '{}'), (2, (repeat('[', 300) || repeat(']', 300))::jsonb), (3, '[1]')"
        )
    world = make_world(
        s=f"source: s\nconnector: {{type: sql, url: '{databases.postgres}'}}\nentities: {{t: {{table: public.t, key: id, max_quarantine: 1.0}}}}\n"
    )
    result = world.run()
    assert not result.failed, result.failed
    assert world.rows("select id from silver.s__t order by id") == [(1,), (3,)]
    assert "public.t, row 2 (id 2), it cannot be written as JSON" in world.quarantine()[0].reason
