"""Singer taps: a program of one's own with every message, and real ones from PyPI in environments of their own."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import Databases, MakeWorld, World, execute
from dataplatform.connectors.environments import environment
from dataplatform.connectors.messages import column_type
from dataplatform.connectors.singer import SingerSource, extract_together
from dataplatform.connectors.singer_tap import _program
from dataplatform.connectors.testing import check_extract_together, request_for
from dataplatform.errors import SourceError
from rest_api import Api, serving_api

TAP = '''#!{python}
"""A tap that does what its config says."""
import json, os, sys, argparse
a = argparse.ArgumentParser()
for name in ("config", "catalog", "state"): a.add_argument("--" + name)
a.add_argument("--discover", action="store_true")
a = a.parse_args()
config = json.load(open(a.config))
schema = {"properties": {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}, "price": {"type": "number"},
          "at": {"type": "string", "format": "date-time"}, "secret": {"type": "string"}, "_sdc_row": {"type": "integer"}}}
if a.discover:
    print(json.dumps({"streams": [{"stream": s, "tap_stream_id": "db-" + s, "schema": schema, "key_properties": ["id"],
          "metadata": [{"breadcrumb": [], "metadata": {"inclusion": "available"}}]} for s in ("people", "things", "others")]}))
    sys.exit()
catalog = json.load(open(a.catalog))
chosen = {s["stream"]: s for s in catalog["streams"] if s["metadata"][0]["metadata"]["selected"]}
state = json.load(open(a.state)) if a.state else {}
def say(**message): print(json.dumps(message), flush=True)
print("INFO chatter on standard output")
print("INFO my password is", config.get("password"), file=sys.stderr)
for stream in chosen:
    since = state.get("bookmarks", {}).get(stream, {}).get("at", 0)
    say(type="SCHEMA", stream=stream, schema=schema, key_properties=["id"])
    for n in range(1, config["count"] + 1):
        if n >= since:
            say(type="RECORD", stream=stream, record={"id": n, "name": f"{stream} {n}", "price": 1.5, "_sdc_row": os.getpid(), "secret": "x"}, version=1)
    for n in config.get("gone", ()):
        say(type="RECORD", stream=stream, record={"id": n, "_sdc_deleted_at": "2026-01-01T00:00:00Z"})
    say(type="ACTIVATE_VERSION", stream=stream, version=1)
    state.setdefault("bookmarks", {}).setdefault(stream, {})["at"] = config["count"]
    state["seen"] = state.get("seen", 0) + 1
    say(type="STATE", value=state)
    if config.get("dies"):
        say(type="RECORD", stream=stream, record={"id": 99, "name": "after the state"})
        print("CRITICAL the source went away", file=sys.stderr)
        os._exit(1) if config["dies"] == "loud" else None
if config.get("dies") == "cut":
    sys.stdout.write('{"type": "RECORD", "stream"'); sys.stdout.flush()
'''
ENTITIES = "  people: {key: [id], load: delta, deselect: [secret]}\n  stuff: {key: [id], load: delta, stream: things}\n"


def tap(folder: Path) -> None:
    path = folder / "tap-mine"
    path.write_text(TAP.replace("{python}", sys.executable))
    path.chmod(0o755)


def yaml(folder: Path, more: str = "", entities: str = ENTITIES) -> str:
    return f"source: s\nconnector: {{type: singer, tap: {folder}/tap-mine, config: {{count: 3{more}}}}}\nentities:\n{entities}"


def cursors(world: World) -> dict[str, Any]:
    return world.pairs("select entity, value from audit.cursor")


def test_streams_states_and_deletions(make_world: MakeWorld, tmp_path: Path) -> None:
    tap(tmp_path)
    result = make_world(s=yaml(tmp_path)).run()
    assert result.status == "done", result.as_json()
    world = make_world(s=yaml(tmp_path, ", gone: [2]"))
    assert {n: r.counts.inserted for n, r in result.entities.items()} == {"people": 3, "stuff": 3}
    assert cursors(world)["stuff"] == {"bookmark": {"at": 3}, "rest": {"seen": 2}}
    columns = world.pairs(
        "select column_name, data_type from information_schema.columns where table_name = 's__people'"
    )
    assert {n: t for n, t in columns.items() if not n.startswith("dp_")} == {
        "id": "bigint",
        "name": "text",
        "price": "numeric",
        "at": "timestamp with time zone",
    }
    again = world.run()
    assert {n: (r.counts.read, r.counts.unchanged) for n, r in again.entities.items()} == dict.fromkeys(
        ("people", "stuff"), (1, 1)
    )
    assert world.rows("select array_agg(id order by id) from silver_current.s__people") == [([1, 3],)]


def test_full_of_one_entity_leaves_the_others_state(make_world: MakeWorld, tmp_path: Path) -> None:
    tap(tmp_path)
    world = make_world(s=yaml(tmp_path))
    world.run()
    before = cursors(world)
    assert world.run("s", "people", full=True).entities["people"].counts.read == 3
    assert cursors(world)["stuff"] == before["stuff"]
    assert world.run().entities["stuff"].counts.read == 1


@pytest.mark.parametrize(
    ("how", "said"), [("loud", "CRITICAL the source went away"), ("cut", "ended in the middle of a message")]
)
def test_a_tap_that_dies_after_its_state(make_world: MakeWorld, tmp_path: Path, how: str, said: str) -> None:
    tap(tmp_path)
    world = make_world(s=yaml(tmp_path, f", dies: {how}"))
    assert said in world.run().failed["people"]
    assert cursors(world) == {}
    assert world.rows("select count(*) from audit.load where status = 'done'") == [(0,)]
    world = make_world(s=yaml(tmp_path))
    assert world.run().entities["people"].counts.inserted == 3


def test_a_tap_keeps_the_contract(tmp_path: Path) -> None:
    tap(tmp_path)
    source = SingerSource.model_validate(
        {"source": "s", "connector": {"type": "singer", "tap": f"{tmp_path}/tap-mine", "config": {"count": 3, "password": {"secret": "p"}}},
         "entities": {"people": {"key": ["id"], "load": "delta"}, "things": {"key": ["id"]}}}
    )  # fmt: skip
    requests = [
        request_for(source, name, lambda value: "t0ps3cret" if hasattr(value, "secret") else value)
        for name in source.entities
    ]
    assert len(check_extract_together(extract_together, requests, secrets=["t0ps3cret"])) == 6
    other = SingerSource.model_validate({**source.model_dump(), "entities": {"nope": {"key": ["id"]}}})
    with pytest.raises(SourceError, match="no stream 'nope'") as told:
        list(extract_together(_wanted(other, "nope")))
    assert "there: others, people, things" in told.value.remedy


def _wanted(source: SingerSource, *names: str) -> list[Any]:
    from dataplatform.connectors import Since, Wanted

    return [Wanted(request_for(source, name), Since()) for name in names]


@pytest.mark.parametrize("wrong", ["tap-jsonl", "tap-jsonl>=1", ""])
def test_a_version_is_said(wrong: str) -> None:
    with pytest.raises(ValueError, match="NAME==VERSION"):
        SingerSource.model_validate(
            {"source": "s", "connector": {"type": "singer", "tap": wrong}, "entities": {"e": {"key": ["id"]}}}
        )


def test_types_of_json_schema() -> None:
    assert [column_type(t) for t in (
        {"type": ["null", "string"], "format": "date-time"}, {"type": "number"}, {"type": ["integer", "string"]}, {"type": "object"},
        {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}, {}, {"type": "string", "format": "time"},
    )] == ["timestamptz", "numeric", None, None, "date", None, None]  # fmt: skip


def dbf(rows: list[tuple[int, str]]) -> bytes:
    """A file of dBase III with a number and a name."""
    fields = b"".join(
        struct.pack("<11sc4xBB14x", name, kind, size, 0)
        for name, kind, size in ((b"ID", b"N", 5), (b"NAME", b"C", 8))
    )
    head = struct.pack("<BBBBLHH20x", 3, 126, 1, 1, len(rows), 32 + len(fields) + 1, 14)
    return head + fields + b"\r" + b"".join(f" {n:5}{name:8}".encode() for n, name in rows) + b"\x1a"


@pytest.mark.slow
def test_real_taps_and_one_environment_for_two_that_need_it(make_world: MakeWorld, tmp_path: Path) -> None:
    world = make_world(
        s="source: s\nconnector: {type: singer, tap: tap-jsonl==0.3.1, config: {path: '{data}/*.jsonl', stream_name: p, primary_keys: [id]}}\n"
        "entities: {p: {key: [id], load: delta}}\n",
        d="source: d\nconnector: {type: singer, tap: tap-dbf==0.1.25, config: {fs_root: 'file://', path: '{data}/*.dbf'}}\nentities: {t: {key: [ID]}}\n",
    )
    world.write("t.dbf", dbf([(1, "Ann"), (2, "Bob")]))
    world.write("a.jsonl", '{"id": 1, "n": 1.5}\n{"id": 2}\n')
    made: list[Path] = []
    both = [
        threading.Thread(
            target=lambda: made.append(environment(tmp_path / "home", ("tap-jsonl==0.3.1",), "t"))
        )
        for _ in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert made[0] == made[1]
    imported = subprocess.run([made[0] / "python", "-c", "import pkg_resources"], check=False)
    assert imported.returncode == 0, "many a tap imports it and says nothing of it"
    assert world.run().entities["p"].counts.inserted == 2
    found = world.run("d")
    assert not found.failed, found.failed
    assert world.rows("select id, trim(name) from silver.d__t order by 1") == [(1, "Ann"), (2, "Bob")]
    world.write("b.jsonl", '{"id": 3}\n')
    assert world.run().status == "done"
    assert world.rows("select array_agg(id order by id) from silver_current.s__p") == [([1, 2, 3],)]
    with pytest.raises(SourceError, match="cannot be installed"):
        environment(tmp_path / "home", ("tap-jsonl==99.0",), "the tap")
    assert json.dumps(cursors(world))


@pytest.mark.slow
def test_taps_of_apis_feeds_and_databases(make_world: MakeWorld, databases: Databases) -> None:
    """Three that are written in different years of Singer's SDK, as their pages say they are configured."""
    feed = "<rss version='2.0'><channel><title>F</title><item><title>A</title><guid>g1</guid><link>http://x/1</link><pubDate>Mon, 05 Jan 2026 09:00:00 +0100</pubDate></item></channel></rss>"
    rows = [{"id": 1, "at": "2026-01-01T00:00:00Z"}, {"id": 2, "at": "2026-01-02T00:00:00Z"}]
    with serving_api(
        Api({"/feed": lambda _: (200, {}, feed.encode()), "/rows": lambda _: {"data": rows}})
    ) as api:
        postgres = databases.postgres.replace("postgres@/", "postgres:not-asked@localhost/")
        world = make_world(
            f="source: f\nconnector: {type: singer, tap: tap-feed==1.1.1, config: {feed_urls: ['" + api.url + "/feed']}}\nentities: {feed: {key: [entry_id]}}\n",
            r="source: r\nconnector: {type: singer, tap: tap-rest-api-msdk==1.4.2, config: {api_url: '" + api.url + "', streams: [{name: rows, path: /rows, records_path: '$.data[*]', primary_keys: [id], num_inference_records: 2}]}}\nentities: {rows: {key: [id]}}\n",
            d=f"source: d\nconnector: {{type: singer, tap: meltanolabs-tap-postgres==0.10.0, config: {{sqlalchemy_url: '{postgres}', filter_schemas: [public]}}}}\nentities: {{notes: {{stream: public-notes, key: [id], load: delta, replication_method: INCREMENTAL, replication_key: at}}}}\n",
        )  # fmt: skip
        execute(world, "create table public.notes (id int primary key, at timestamptz, paid numeric(12,2))")
        execute(world, "insert into public.notes values (1, '2026-01-01', 1.10), (2, '2026-01-02', 2.20)")
        for name, entity, count in (("f", "feed", 1), ("r", "rows", 2), ("d", "notes", 2)):
            result = world.run(name)
            assert result.status == "done", result.as_json()
            assert result.entities[entity].counts.inserted == count
        assert world.rows("select sum(paid) from silver.d__notes") == [(Decimal("3.30"),)]
        execute(world, "insert into public.notes values (3, '2026-01-03', 3.30)")
        again = world.run("d").entities["notes"].counts
        assert (again.inserted, again.read) == (1, 2), "from its bookmark on"


def test_a_package_that_is_called_otherwise_than_its_program(tmp_path: Path) -> None:
    for name in ("tap-x", "tap-x-helper", "python"):
        (tmp_path / name).touch()
    assert _program(tmp_path, "", "pipelinewise-tap-x", "it").name == "tap-x"
    assert _program(tmp_path, "tap-x-helper", "pipelinewise-tap-x", "it").name == "tap-x-helper"
    with pytest.raises(SourceError, match="has no program tap-y"):
        _program(tmp_path, "", "tap-y", "it")
    with pytest.raises(SourceError, match="has no program tap-y"):
        _program(tmp_path, "tap-y", "pipelinewise-tap-x", "it")
