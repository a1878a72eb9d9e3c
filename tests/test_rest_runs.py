"""REST sources into silver: state over failed and partial runs, backfills, what is unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform.errors import LoadError
from rest_api import Api, Asked, serving_api


@pytest.fixture
def api() -> Iterator[Api]:
    with serving_api(Api()) as found:
        yield found


def cursors(world: World) -> dict[str, Any]:
    return world.pairs("select entity, value #>> '{}' from audit.cursor order by 1")


def test_state_over_runs_that_fail_and_runs_of_one_entity(api: Api, make_world: MakeWorld) -> None:
    fails = False

    def answer(asked: Asked) -> Any:
        if fails and asked.path == "/a":
            return 400, {}, {"m": "no"}
        return [{"id": 1, "at": "2026-01-05T00:00:00Z"}]

    api.routes = {"*": answer}
    cursor = "load: delta, cursor: {field: at, param: since}"
    world = make_world(
        s=f"source: s\nconnector: {{type: rest, base_url: '{api.url}', resource_defaults: {{key: [id], {cursor}}}}}\n"
        "entities: {a: {request: /a}, b: {endpoint: /b}}\n".replace("endpoint", "request")
    )
    assert world.run().status == "done"
    before = cursors(world)
    assert before == {"a": "2026-01-05T00:00:00Z", "b": "2026-01-05T00:00:00Z"}
    fails = True
    assert set(world.run().failed) == {"a"}
    assert cursors(world) == before, "a failed run keeps what was"
    fails = False
    api.asked.clear()
    assert world.run("s", "b", full=True).status == "done"
    assert "since" not in api.asked[0].query
    assert cursors(world) == before
    api.asked.clear()
    assert world.run().status == "done"
    assert {a.path: a.query["since"] for a in api.asked} == dict.fromkeys(
        ("/a", "/b"), "2026-01-04T23:59:59Z"
    )


def test_a_backfill_moves_no_cursor_and_deletes_nothing(api: Api, make_world: MakeWorld) -> None:
    rows = [{"id": n, "at": f"2026-0{n}-10T00:00:00Z"} for n in range(1, 7)]
    api.routes = {
        "/x": lambda asked: [
            r for r in rows if asked.query.get("from", "") <= r["at"] < asked.query.get("to", "9")
        ]
    }
    world = make_world(
        s=f"source: s\nconnector: {{type: rest, base_url: '{api.url}'}}\nentities:\n"
        "  e: {request: /x, key: [id], load: delta, cursor: {field: at, param: from, end_param: to, initial: '2026-05-01T00:00:00Z'}}\n"
        "  plain: {request: /x, key: [id]}\n"
    )
    assert world.run("s", "e").entities["e"].counts.inserted == 2
    before = cursors(world)
    result = world.run("s", "e", window=("2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z"))
    assert (result.entities["e"].counts.read, result.entities["e"].counts.closed) == (2, 0)
    assert cursors(world) == before
    assert world.rows("select array_agg(id order by id) from silver_current.s__e") == [([1, 2, 5, 6],)]
    assert "need a cursor" in world.run("s", "plain", window=("2026-01-01", "2026-02-01")).failed["plain"]


def test_windows_that_are_done_are_left_out(api: Api, make_world: MakeWorld) -> None:
    from dataplatform.cli import backfill
    from dataplatform.reading.runs import windows_done

    api.routes = {
        "/x": lambda asked: (
            [{"id": asked.query["from"], "at": asked.query["from"]}]
            if asked.query["from"] < bad[0]
            else (400, {}, {})
        )
    }
    bad = ["2026-01-05"]
    world = make_world(
        s=f"source: s\nconnector: {{type: rest, base_url: '{api.url}'}}\nentities:\n"
        "  e: {request: /x, key: [id], load: delta, cursor: {field: at, param: from, end_param: to}}\n"
    )
    wanted = backfill.windows("2026-01-01", "2026-01-09", "2d", full=False)
    assert wanted[0] == ("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z")
    assert len(wanted) == 4

    def run(
        source: str, entities: list[str], full: bool, force: bool, deletes: bool, window: list[str]
    ) -> dict[str, Any]:
        return world.run(source, window=(window[0], window[1])).as_json()

    first = backfill.run_all("s", [], False, wanted, set(), run)
    assert (first["status"], first["entities"]["e"]["inserted"]) == ("failed", 2)
    bad[0] = "2027"
    done = windows_done(world.platform, "s", ["e"])
    assert done == set(wanted[:2])
    api.asked.clear()
    second = backfill.run_all("s", [], False, wanted, done, run)
    assert (second["status"], second["entities"]["e"]["inserted"], len(api.asked)) == ("done", 2, 2)
    for arguments in (
        ("", "2026-01-01", ""),
        ("2026-02-01", "2026-01-01", ""),
        ("soon", "", ""),
        ("2026-01-01", "", "0d"),
    ):
        with pytest.raises(LoadError):
            backfill.windows(*arguments, full=False)


def test_an_answer_that_is_the_same_costs_nothing(api: Api, make_world: MakeWorld) -> None:
    tag = ['"1"']
    body = [{"id": 1}, {"id": 2}]
    api.routes = {
        "/x": lambda asked: (
            (304, {}, b"") if asked.headers.get("if-none-match") == tag[0] else (200, {"ETag": tag[0]}, body)
        )
    }
    world = make_world(
        s=f"source: s\nconnector: {{type: rest, base_url: '{api.url}'}}\nentities: {{e: {{request: /x, key: [id]}}}}\n"
    )
    assert world.run().entities["e"].counts.inserted == 2
    again = world.run().entities["e"].counts
    assert (again.read, again.unchanged, again.closed) == (2, 2, 0)
    body.pop()
    tag[0] = '"2"'
    third = world.run().entities["e"].counts
    assert (third.read, third.closed) == (1, 1)


def test_children_with_their_parents_fields_into_silver(api: Api, make_world: MakeWorld) -> None:
    api.routes = {
        "/p": lambda asked: {"data": [{"id": 1}, {"id": 2}]},
        "*": lambda asked: [{"id": 1, "n": 1.10}, {"id": 2}],
    }
    world = make_world(
        s=f"source: s\nconnector: {{type: rest, base_url: '{api.url}', concurrency: 4}}\nentities:\n"
        "  p: {request: {path: /p, records: '$.data[*]'}, key: [id]}\n"
        "  c: {request: 'p/{resources.p.id}/c', include_from_parent: [id], key: [_p_id, id]}\n"
    )
    result = world.run()
    assert not result.failed, result.failed
    assert world.rows("select _p_id, id, n::text from silver.s__c order by 1, 2") == [
        (1, 1, "1.1"), (1, 2, None), (2, 1, "1.1"), (2, 2, None),
    ]  # fmt: skip


def test_incremental_parents_over_runs(api: Api, make_world: MakeWorld) -> None:
    parents = [{"id": n, "at": f"2026-01-0{n}T00:00:00Z"} for n in (1, 2, 3)]
    api.routes = {
        "/p": lambda asked: [p for p in parents if p["at"] >= asked.query.get("since", "")],
        "*": lambda asked: [{"id": asked.path, "at": "2026-02-01T00:00:00Z"}],
    }
    world = make_world(
        s=f"source: s\nconnector: {{type: rest, base_url: '{api.url}', resource_defaults: {{key: [id], load: delta}}}}\nentities:\n"
        "  p: {request: /p, cursor: {field: at, param: since}}\n"
        "  c: {request: '/p/{parent.id}', parent: {entity: p, incremental: true}, cursor: {field: at, param: after}}\n"
    )
    assert world.run("s", "c").entities["c"].counts.inserted == 3
    state = world.pairs("select entity, value from audit.cursor")["c"]
    assert state == {"cursor": "2026-02-01T00:00:00Z", "parent": "2026-01-03T00:00:00Z"}
    api.asked.clear()
    assert world.run("s", "c").entities["c"].counts.read == 1
    assert [a.path for a in api.asked] == ["/p", "/p/3"]
    assert api.asked[1].query == {"after": "2026-01-31T23:59:59Z"}
    assert world.run("s", "c", full=True).status == "done"
    assert world.pairs("select entity, value from audit.cursor")["c"] == state
