"""A record that a person had forgotten is nowhere, and stays out: of loads, replays, late batches, restores."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import zstandard
from conftest import MakeWorld, World
from dataplatform.records.refs import EntityRef
from dataplatform.runs.replay import replay
from dataplatform.storage.postgres import held
from dataplatform.upkeep import forget as upkeep
from rest_api import Api, serving_api
from test_purge import killed_until_done, program

ENTITIES = """  e:
    file: e.jsonl
    key: [id]
    children: {tags: {key: [t]}}
    columns: {n: {type: integer}}
    max_quarantine: 1.0
  doc: {file: doc.json, key: [id]}
  table: {file: table.csv, key: [id, part]}
  bank: {file: bank.csv, key: row}
"""
GOLD = {
    "who": "/* materialized: table */ select name from silver.s__e",
    "more": "/* materialized: incremental\nunique_key: [name] */ select name from gold.who",
}
NAME = "Evangelinda"  # nothing else is called that


@pytest.fixture
def world(make_world: MakeWorld, files: str) -> World:
    """Three batches; the person is in each, in a list's rows, in quarantine, and in gold."""
    world = make_world(gold=GOLD, s=files + ENTITIES)
    for day in range(3):
        deliver(world, day)
        assert world.run().status == "done with warnings"
    program(world, "gold")
    return world


def deliver(world: World, day: int) -> None:
    person = {"id": 7, "name": f"{NAME} {day}", "tags": [{"t": NAME}, {"t": "b"}]}
    bad = {"id": 7, "n": f"{NAME} is no number"}
    others = [{"id": 1, "name": f"Ann {day}", "tags": []}, {"id": "7", "name": "a text", "tags": []}]
    lines = [*others, bad, person]
    world.write("e.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    world.write(
        "doc.json", json.dumps({"data": [{"id": 7, "name": NAME, "day": day}, {"id": 8, "day": day}]})
    )
    world.write("table.csv", f"id,part,name\n7,a,{NAME}\n7,b,Bob{day}\n")
    world.write("bank.csv", f"who,amount\n{NAME},5\n{NAME},5\nBob,{day}\n")


def places(world: World, word: str = NAME) -> list[str]:
    """Where the word still stands: files of raw, documents of MongoDB, tables of Postgres."""
    found = []
    for path in sorted((world.folder / "home").rglob("*")):
        if path.is_file() and word.encode() in content(path):
            found.append(str(path.relative_to(world.folder)))
    db = world.platform.bronze.db
    for name in db.list_collection_names():
        found += [f"mongo {name}" for document in db[name].find() if word in str(document)]
    tables = world.rows(
        "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE' "
        "and table_schema in ('silver', 'gold', 'audit', 'auto_dw')"
    )
    for schema, table in tables:
        count = f'select count(*) from "{schema}"."{table}" t where t::text like \'%{word}%\''
        found += [f"{schema}.{table}"] * int(bool(world.rows(count)[0][0]))
    return found


def content(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix not in (".zst", ".pack"):
        return data
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()


def test_a_record_is_gone_from_every_layer_and_stays_out(world: World) -> None:
    assert places(world)
    kept = world.rows("select name from silver.s__e where name not like '%' || 'linda' || '%' order by 1")
    shown = program(world, "forget", "s.e", "7")
    assert (shown["status"], shown["found"]["rows"]) == ("planned", {"s__e": 4, "s__e__tags": 2})
    assert world.rows("select count(*) from silver.s__e where name like 'Eva%'") == [(3,)], (
        "a plan removed it"
    )
    for text, key in (("s.e", "7"), ("s.doc", "7"), ("s.table", "7,a")):
        done = program(world, "forget", text, key, "--yes")
        assert not any(done["certificate"]["left"].values())
        assert NAME not in json.dumps(done)
    row = world.rows(f"select dp_key from silver.s__bank where who = '{NAME}'")[0][0]
    program(world, "forget", "s.bank", str(row), "--yes")
    assert places(world) == []
    left = world.rows("select name from silver.s__e order by 1")
    assert left == [row for row in kept if row[0] != "a text"], "7 as a text was meant, too; nobody else"
    assert world.rows("select count(*) from gold.who where name like 'Ann%'") == [(3,)]
    deliver(world, 3)
    assert world.run(allow_deletes=True).status == "done"
    assert world.rows("select count(*) from silver.s__e where name like 'Ann%'") == [(4,)]
    assert places(world) == []
    assert all(result.error is None for result in replay(world.platform, "s").entities.values())
    assert places(world) == []
    assert world.rows("select count(*) from silver.s__table") == [(4,)]
    assert world.rows("select count(*) from silver.s__bank where who = 'Bob'") == [(4,)]
    assert world.rows("select count(*), count(certificate) from audit.forgotten where entity = 'e'") == [
        (2, 2)
    ]


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ("s.table", "7", "the key is id, part; several fields are written a,b"),
        ("s.table", "7,a,b", "the key is id, part; several fields are written a,b"),
        (
            "s.bank",
            NAME,
            "its records have no key: name one by its dp_key, which `show s.bank --system` lists",
        ),
    ],
)
def test_what_cannot_be_a_key_is_nobody_forgotten(world: World, text: str, key: str, remedy: str) -> None:
    told = program(world, "forget", text, key, "--yes", code=1)
    assert told["remedy"] == remedy
    assert world.rows("select count(*) from audit.forgotten") == [(0,)]


def test_what_comes_late_is_left_out(world: World) -> None:
    from dataplatform.connectors import page_of
    from dataplatform.layers import raw
    from dataplatform.records.refs import BatchRef

    program(world, "forget", "s.e", "7", "--yes")
    old = BatchRef(EntityRef("s", "e"), "20200101T000000000000Z-aaaa")
    landing = raw.Landing("delta")  # as a copy of before would have it: nothing kept it out of raw
    raw.land(world.platform.raw, old, [page_of([{"id": 7, "name": NAME}, {"id": 9, "name": "Zoe"}])], landing)
    for layer in ("bronze", "silver"):
        world.move(layer, "e", old.batch_id)
    assert world.rows("select name from silver.s__e where name in ('Zoe') or name like 'Eva%'") == [("Zoe",)]
    assert not [place for place in places(world) if not place.startswith("home/raw") and "s__e" in place]
    program(world, "forget", "s.e", "7", "--yes")
    assert not [place for place in places(world) if "/e-" in place], "raw holds it still"


def test_a_restore_of_something_older_does_not_bring_it_back(world: World) -> None:
    program(world, "forget", "s.e", "7", "--yes")
    with world.platform.engine.begin() as conn:
        conn.exec_driver_sql("delete from audit.forgotten")  # the database is of before
    deliver(world, 4)
    world.run()
    assert [p for p in places(world) if "s__e" in p]
    again = upkeep.again(world.platform)
    assert [str(one.entity) for one in again] == ["s.e"]
    assert not [p for p in places(world) if "s__e" in p or "/e-" in p]
    assert upkeep.again(world.platform) == []


@pytest.mark.slow
def test_under_another_name_it_stays_out_as_well(world: World, files: str) -> None:
    program(world, "forget", "s.doc", "7", "--yes")
    path = world.platform.catalog.root / "sources" / "s.yaml"
    path.write_text(path.read_text().replace("doc: {file: doc.json,", "paper: {file: doc.json, rename: doc,"))
    deliver(world, 5)
    assert program(world, "run", "s", "paper")["status"] == "done"
    assert world.rows("select distinct id from silver.s__paper") == [(8,)]
    assert not [place for place in places(world) if "paper" in place]


def test_it_waits_for_a_load_that_runs(world: World) -> None:
    with held(world.platform.engine, ["s.e"]):
        said = program(world, "forget", "s.e", "7", "--yes", code=1)
    assert "running" in said["error"]
    assert len(places(world)) > 5


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_killed_anywhere_forgetting_again_goes_on(world: World) -> None:
    done = killed_until_done(world, "forget", "s.e", "7", "--yes", first=0.1, step=0.05)
    assert done["status"] == "done"
    assert not [p for p in places(world) if "s__e" in p or "/e-" in p or "gold" in p]
    assert replay(world.platform, "s").entities["e"].error is None
    assert world.rows("select count(*), count(certificate) from audit.forgotten") == [(2, 2)]
    assert len((world.folder / "home" / "forgotten.jsonl").read_text().splitlines()) >= 2


def test_what_a_killed_rewriting_left_goes_with_the_next(world: World) -> None:
    """A pack that no index names, and an original whose file was rewritten already."""
    place = world.folder / "home" / "raw" / "s" / "baselines"
    place.mkdir(parents=True)
    (place / "e-0007.pack").write_bytes(zstandard.ZstdCompressor().compress(NAME.encode()))
    program(world, "forget", "s.e", "7", "--yes")
    assert not list(place.glob("e-*.pack"))


def test_the_others_of_a_page_whose_records_are_gathered_stay(make_world: MakeWorld) -> None:
    """GraphQL's edges: their list is no part of the answer, so the page is written anew as its records."""
    people = [{"node": {"id": n, "name": NAME if n == 2 else f"Ann {n}", "sum": 1.10}} for n in range(1, 5)]
    columns = {"cols": {"id": [1, 2], "name": ["Ann", NAME]}}
    with serving_api(Api({"/p": lambda asked: {"edges": people}, "/c": lambda asked: columns})) as api:
        world = make_world(
            s=f"source: s\nconnector: {{type: rest, base_url: '{api.url}'}}\nentities:\n"
            "  p: {request: {path: p, records: '$.edges[*].node'}, key: [id]}\n"
            "  c: {request: {path: c, records: columns(cols)}, key: [id]}\n"
        )
        assert world.run().status == "done"
    for entity in ("s.p", "s.c"):
        program(world, "forget", entity, "2", "--yes")
    assert places(world) == []
    assert all(result.error is None for result in replay(world.platform, "s").entities.values())
    assert world.rows("select id, name, sum from silver_current.s__p order by 1") == [
        (n, f"Ann {n}", 1.1) for n in (1, 3, 4)
    ]
    assert world.rows("select id, name from silver_current.s__c") == [(1, "Ann")]
