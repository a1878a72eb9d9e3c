"""What a connector may say beside records: its state, keys that ended, many entities from one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform.runs.replay import replay

SCRIPTED = '''
import json
from pathlib import Path
from dataplatform.connectors import Deleted, Records, Schema, State, deleted, page_of

def items(entity, folder, since):
    """What script.json says of the entity: [kind, value] pairs; what was asked is noted beside it."""
    with (folder / "asked.jsonl").open("a") as log:
        log.write(json.dumps([entity, since.state, since.cursor]) + "\\n")
    for kind, value in json.loads((folder / "script.json").read_text()).get(entity, []):
        if kind == "records":
            yield page_of(value)
        elif kind == "deleted":
            yield deleted(value)
        elif kind == "state":
            yield State(value)
        elif kind == "schema":
            yield Schema(value)
        elif kind == "raw":
            yield value
        else:
            raise RuntimeError(value)
'''
ONE_BY_ONE = (
    SCRIPTED
    + """
def extract(request, since):
    yield from items(request.name, Path(request.source.connector.config["folder"]), since)
"""
)
TOGETHER = (
    SCRIPTED
    + """
def extract_together(wanted):
    folder = Path(wanted[0].request.source.connector.config["folder"])
    with (folder / "processes").open("a") as log:
        log.write(".")
    streams = [(w.request.name, items(w.request.name, folder, w.since)) for w in wanted]
    while streams:
        name, stream = streams.pop(0)
        for item in stream:
            yield name, item
            streams.append((name, stream))
            break
"""
)
HEAD = 'source: s\nconnector: {type: python, module: said, config: {folder: "{data}"}}\nentities:\n'


class Scripted:
    """A world whose source says what it is told to."""

    def __init__(self, make: MakeWorld, folder: Path, code: str, entities: str) -> None:
        (folder / "connectors").mkdir(exist_ok=True)
        (folder / "connectors" / "said.py").write_text(code)
        self.world: World = make(s=HEAD + entities)

    def run(self, *entities: str, script: dict[str, list[Any]], **flags: bool) -> Any:
        self.world.write("script.json", json.dumps(script))
        return self.world.run("s", *entities, **flags)

    def asked(self) -> list[Any]:
        path = self.world.folder / "data" / "asked.jsonl"
        found = [json.loads(line) for line in path.read_text().splitlines()]
        path.unlink()
        return found

    def state(self) -> dict[str, Any]:
        return self.world.pairs("select entity, value from audit.cursor")


def test_a_state_is_kept_with_silvers_data(make_world: MakeWorld, tmp_path: Path) -> None:
    one = Scripted(
        make_world, tmp_path, ONE_BY_ONE, "  e: {key: [id], load: delta, schema_changes: freeze}\n"
    )
    state = {"page": 1, "big": 2**70, "ü$.": ["a", None]}
    one.run(script={"e": [("state", 0), ("records", [{"id": 1}]), ("state", state)]})
    assert one.asked() == [["e", None, None]]
    assert one.state() == {"e": state}
    failed = one.run(script={"e": [("records", [{"id": 2, "new": 1}]), ("state", {"page": 2})]})
    assert failed.failed
    assert one.asked() == [["e", state, None]]
    assert one.state() == {"e": state}, "silver has not the data of the second"
    one.run(script={"e": [("records", [{"id": 2}]), ("state", {"page": 3})]})
    assert one.asked() == [["e", state, None]]
    assert one.state() == {"e": {"page": 3}}
    one.run(script={"e": [("records", [{"id": 1}])]}, full=True)
    assert one.asked() == [["e", None, None]]
    assert one.state() == {"e": {"page": 3}}, "nothing new was said"
    assert not replay(one.world.platform, "s").failed
    assert one.state() == {"e": {"page": 3}}


def test_a_process_that_dies_moves_no_state(make_world: MakeWorld, tmp_path: Path) -> None:
    """Also where it said its state before its records were all there."""
    one = Scripted(make_world, tmp_path, ONE_BY_ONE, "  e: {key: [id], load: delta}\n")
    result = one.run(script={"e": [("records", [{"id": 1}]), ("state", 1), ("dies", "out of memory")]})
    assert result.failed
    assert one.state() == {}
    assert one.world.rows("select count(*) from audit.load where status = 'done'") == [(0,)]


def test_an_older_batch_that_comes_late_does_not_take_a_state_back(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    one = Scripted(make_world, tmp_path, ONE_BY_ONE, "  e: {key: [id], load: delta}\n")
    world = one.world
    for number in (1, 2):
        script = {"e": [("records", [{"id": number}]), ("state", {"page": number})]}
        world.write("script.json", json.dumps(script))
        world.move("raw", "e", f"2026010{number}T000000000000Z-0000")
        world.move("bronze", "e", f"2026010{number}T000000000000Z-0000")
    for number in (2, 1):
        world.move("silver", "e", f"2026010{number}T000000000000Z-0000")
    assert one.state() == {"e": {"page": 2}}
    assert len(world.rows("select id from silver.s__e")) == 2


def test_said_deletes_end_rows_in_a_delta_load(make_world: MakeWorld, tmp_path: Path) -> None:
    one = Scripted(make_world, tmp_path, ONE_BY_ONE, "  e: {key: [id], load: delta}\n")
    one.run(script={"e": [("records", [{"id": n, "v": "a", "l": [n]} for n in (1, 2, 3)])]})
    result = one.run(
        script={"e": [("deleted", [{"id": 1}, {"id": 2}, {"id": 9}]), ("records", [{"id": 2, "v": "b"}])]}
    )
    counts = result.entities["e"].counts
    assert (counts.read, counts.inserted, counts.closed) == (1, 1, 2)
    query = "select id, v, dp_current, dp_deleted from silver.s__e order by id, dp_valid_from"
    expected = [(1, "a", False, True), (2, "a", False, True), (2, "b", True, False), (3, "a", True, False)]
    assert one.world.rows(query) == expected
    assert one.world.rows("select value from silver.s__e__l where dp_current") == [(3,)]
    again = one.run(script={"e": [("deleted", [{"id": 1}])]}).entities["e"].counts
    assert (again.read, again.closed) == (0, 0), "it is gone already"
    assert not replay(one.world.platform, "s").failed
    assert one.world.rows(query) == expected


def test_a_said_delete_is_not_held_up_by_max_delete(make_world: MakeWorld, tmp_path: Path) -> None:
    one = Scripted(make_world, tmp_path, ONE_BY_ONE, "  e: {key: [id], max_delete: 0.1}\n")
    one.run(script={"e": [("records", [{"id": 1}, {"id": 2}])]})
    assert one.run(script={"e": [("records", [{"id": 1}])]}).failed, "absence is"
    result = one.run(script={"e": [("records", [{"id": 1}]), ("deleted", [{"id": 2}])]})
    assert result.entities["e"].counts.closed == 1


def test_a_delete_has_its_sources_time(make_world: MakeWorld, tmp_path: Path) -> None:
    one = Scripted(make_world, tmp_path, ONE_BY_ONE, "  e: {key: [id], load: delta, effective_at: at}\n")
    one.run(script={"e": [("records", [{"id": 1, "at": "2026-01-01T00:00:00Z"}])]})
    one.run(script={"e": [("deleted", [{"id": 1, "at": "2026-02-01T00:00:00Z"}])]})
    assert one.world.rows("select dp_valid_to::date::text, dp_deleted from silver.s__e") == [
        ("2026-02-01", True)
    ]


def test_a_delete_without_a_key_goes_to_quarantine(make_world: MakeWorld, tmp_path: Path) -> None:
    one = Scripted(make_world, tmp_path, ONE_BY_ONE, "  e: {key: [id], load: delta}\n")
    counts = one.run(script={"e": [("records", [{"id": 1}]), ("deleted", [{"x": 1}])]}).entities["e"].counts
    assert (counts.inserted, counts.closed, counts.quarantined) == (1, 0, 1)
    assert "a deletion: the key field `id` is missing" in one.world.quarantine()[0].reason


@pytest.mark.parametrize(
    ("item", "text"),
    [({"id": 1}, "no item of the contract"), ("text", "an extract yields Records"), (None, "no item")],
)
def test_what_is_no_item_is_refused_in_words(
    make_world: MakeWorld, tmp_path: Path, item: Any, text: str
) -> None:
    one = Scripted(make_world, tmp_path, ONE_BY_ONE, "  e: {key: [id]}\n")
    assert text in one.run(script={"e": [("raw", item)]}).failed["e"]


BOTH = "  a: {key: [id], load: delta}\n  b: {key: [id], load: delta}\n"


def test_entities_of_one_process(make_world: MakeWorld, tmp_path: Path) -> None:
    both = Scripted(make_world, tmp_path, TOGETHER, BOTH)
    script = {
        "a": [("records", [{"id": 1}]), ("records", [{"id": 2}]), ("state", {"a": 1})],
        "b": [("schema", {"id": "bigint"}), ("records", [{"id": 7}]), ("state", {"b": 1})],
    }
    result = both.run(script=script)
    assert {n: r.counts.inserted for n, r in result.entities.items()} == {"a": 2, "b": 1}
    assert (tmp_path / "data" / "processes").read_text() == "."
    assert both.state() == {"a": {"a": 1}, "b": {"b": 1}}
    both.asked()
    both.run("b", script={"b": [("records", [{"id": 7}, {"id": 8}]), ("state", {"b": 2})]}, full=True)
    assert both.asked() == [["b", None, None]]
    assert both.state() == {"a": {"a": 1}, "b": {"b": 2}}, "a full read of one leaves the other's state alone"
    both.run(script={"b": [("records", [{"id": 9}])]})
    assert sorted(both.asked()) == [["a", {"a": 1}, None], ["b", {"b": 2}, None]]


def test_where_one_process_dies_nothing_of_it_is_landed(make_world: MakeWorld, tmp_path: Path) -> None:
    both = Scripted(make_world, tmp_path, TOGETHER, BOTH)
    script = {
        "a": [("records", [{"id": 1}]), ("state", 1)],
        "b": [("records", [{"id": 7}]), ("records", [{"id": 8}]), ("dies", "killed")],
    }
    result = both.run(script=script)
    assert set(result.failed) == {"a", "b"}
    assert both.state() == {}
    failed = both.world.rows("select entity, layer, status from audit.load order by 1")
    assert failed == [("a", "raw", "failed"), ("b", "raw", "failed")]
    del script["b"][-1]
    assert not both.run(script=script).failed
    assert both.world.rows("select count(*) from silver.s__b") == [(2,)]


def test_a_process_gives_only_what_was_asked_for(make_world: MakeWorld, tmp_path: Path) -> None:
    wrong = TOGETHER.replace("yield name, item", 'yield "other", item')
    both = Scripted(make_world, tmp_path, wrong, BOTH)
    result = both.run(script={"a": [("records", [{"id": 1}])]})
    assert "something of 'other', which was not asked for" in result.failed["a"]
