"""REST, declarative: each way of paging, parents, windows, answers of every kind, on a server that speaks HTTP."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dataplatform.connectors import Since
from dataplatform.errors import SourceError, SourceUnavailableError
from pydantic import ValidationError
from rest_api import Api, Asked, asking, read, serving_api, source_of

PEOPLE = [{"id": n, "at": f"2026-01-{n:02}T00:00:00Z"} for n in range(1, 8)]


@pytest.fixture
def api() -> Iterator[Api]:
    with serving_api(Api()) as found:
        yield found


def number(asked: Asked, name: str, default: int = 0) -> int:
    return int(asked.query.get(name, default))


def offset(asked: Asked) -> Any:
    at, limit = number(asked, "offset"), number(asked, "limit", 3)
    return {"items": PEOPLE[at : at + limit], "total": len(PEOPLE), "offset": at, "limit": limit}


def numbered(asked: Asked) -> Any:
    at = number(asked, "page", 1)
    return {"items": PEOPLE[at * 3 - 3 : at * 3], "page": at, "total_pages": 3}


def linked(asked: Asked) -> Any:
    at = number(asked, "at")
    more = at + 3 < len(PEOPLE)
    return {"items": PEOPLE[at : at + 3], "next": f"/json?at={at + 3}" if more else None}


def header_linked(asked: Asked) -> Any:
    at = number(asked, "at")
    link = {"Link": f'</header?at={at + 3}>; rel="next"'} if at + 3 < len(PEOPLE) else {}
    return 200, link, PEOPLE[at : at + 3]


def cursored(asked: Asked) -> Any:
    at = int(asked.query.get("cursor") or (asked.json.get("after") if asked.body else 0) or 0)
    more = at + 3 < len(PEOPLE)
    page = {
        "items": PEOPLE[at : at + 3],
        "meta": {"next_cursor": str(at + 3) if more else None, "more": more},
    }
    return 200, {"X-Next": str(at + 3)} if more else {}, page


ROUTES = {
    "/offset": offset,
    "/page": numbered,
    "/json": linked,
    "/header": header_linked,
    "/cursor": cursored,
}


@pytest.mark.parametrize(
    ("path", "paginator", "calls"),
    [
        ("/offset", "{type: offset, limit: 3}", 4),
        ("/offset", "{type: offset, limit: 3, total_path: total}", 3),
        ("/offset", "{type: offset, limit: 3, total_path: total, overlap: 1}", 3),
        ("/offset", "{type: offset, limit: 3, overlap: 1}", 4),
        ("/page", "{type: page_number, base_page: 1, total_path: total_pages}", 3),
        ("/page", "page_number", 4),
        ("/json", "{type: json_link, next_url_path: next}", 3),
        ("/json", "{type: next_url, next_path: '$.next'}", 3),
        ("/header", "header_link", 3),
        ("/cursor", "{type: cursor, cursor_path: meta.next_cursor}", 3),
        ("/cursor", "{type: cursor, cursor_path: 'items.-1.id', has_more_path: meta.more}", 3),
        ("/cursor", "{type: header_cursor, cursor_key: X-Next}", 3),
        ("/json", "auto", 3),
        ("/header", "auto", 3),
        ("/cursor", "auto", 3),
        ("/page", "auto", 3),
        ("/offset", "auto", 3),
        ("/page", "single_page", 1),
    ],
)
@pytest.mark.parametrize("side_by_side", [1, 4])
def test_paging(api: Api, tmp_path: Path, path: str, paginator: str, calls: int, side_by_side: int) -> None:
    api.routes = ROUTES
    source = source_of(
        api,
        f"paginator: {paginator}, concurrency: {side_by_side}",
        e=f"request: {{path: {path}, params: {{limit: 3}}}}",
    )
    found = read(asking(source, "e", tmp_path))
    wanted = [p["id"] for p in PEOPLE][: 3 if paginator == "single_page" else None]
    assert list(dict.fromkeys(found.ids)) == wanted, "in their order"
    assert len(api.asked) == calls or side_by_side > 1


def test_paging_that_speaks_for_itself(api: Api, tmp_path: Path) -> None:
    """As MediaWiki, RabbitMQ, Redmine and APIs that count pages in a header say it."""

    def wiki(asked: Asked) -> Any:
        at = number(asked, "apcontinue")
        more = {"continue": {"apcontinue": str(at + 3), "continue": "-||"}} if at + 3 < len(PEOPLE) else {}
        return {"batchcomplete": "", **more, "query": {"allpages": PEOPLE[at : at + 3]}}

    def queues(asked: Asked) -> Any:
        at = number(asked, "page", 1)
        return {"items": PEOPLE[at * 3 - 3 : at * 3], "page": at, "page_count": 3, "total_count": 7}

    def issues(asked: Asked) -> Any:
        at = number(asked, "offset")
        return {"issues": PEOPLE[at : at + 3], "total_count": len(PEOPLE), "offset": at, "limit": 3}

    def counted(asked: Asked) -> Any:
        at = number(asked, "page", 1)
        return 200, {"X-Total-Pages": "3"}, PEOPLE[at * 3 - 3 : at * 3]

    api.routes = {"/wiki": wiki, "/queues": queues, "/issues": issues, "/counted": counted}
    source = source_of(
        api,
        "paginator: auto",
        wiki="request: {path: wiki, records: query.allpages}",
        queues="request: {path: queues, records: items}",
        issues="request: {path: issues, records: issues}",
        counted="request: counted",
    )
    for name in source.entities:
        assert read(asking(source, name, tmp_path)).ids == list(range(1, 8)), name
    api.routes = {
        "*": lambda asked: {"continue": {"a": "1", "b": "2", "continue": "||"}, "query": {"allpages": PEOPLE}}
    }
    with pytest.raises(SourceError, match="several places: a, b"):
        read(asking(source, "wiki", tmp_path))


def test_columns_as_records(api: Api, tmp_path: Path) -> None:
    weather = {
        "hourly_units": {"time": "iso8601"},
        "hourly": {"time": ["a", "b"], "t": [1.50, None], "where": "here"},
    }
    api.routes = {"/w": lambda asked: weather, "/odd": lambda asked: {"hourly": {"time": ["a"], "t": []}}}
    source = source_of(
        api,
        w="request: {path: w, records: columns(hourly)}",
        odd="request: {path: odd, records: columns(hourly)}",
        none="request: {path: w, records: columns(daily)}",
    )
    assert read(asking(source, "w", tmp_path)).records == [
        {"time": "a", "t": 1.5, "where": "here"}, {"time": "b", "t": None, "where": "here"},
    ]  # fmt: skip
    with pytest.raises(SourceError, match="not of one length"):
        read(asking(source, "odd", tmp_path))
    with pytest.raises(SourceError, match="no object with lists"):
        read(asking(source, "none", tmp_path))


def test_what_a_field_says_has_gone(api: Api, tmp_path: Path) -> None:
    people = [{"id": 1, "gone": None}, {"id": 2, "gone": "2026-01-01", "name": "Bob"}, {"gone": True}]
    api.routes = {"/p": lambda asked: people}
    source = source_of(api, p="request: p, deleted: gone, load: delta")
    found = read(asking(source, "p", tmp_path))
    assert found.records == [people[0], people[2]], "what has no key is set aside later"
    assert found.deleted == [people[1]], "as it was sent"
    with pytest.raises(ValidationError, match="needs a key"):
        source_of(api, "primary_key: x", p="key: row, request: p, deleted: gone")


def test_paging_in_bodies(api: Api, tmp_path: Path) -> None:
    def body(asked: Asked) -> Any:
        at = asked.json["page"]["offset"]
        return {"items": PEOPLE[at : at + asked.json["page"]["limit"]], "q": asked.json["q"]}

    api.routes = {"/search": body, "/cursor": cursored}
    paginator = "{type: offset, limit: 2, offset_body_path: page.offset, limit_body_path: page.limit}"
    source = source_of(
        api,
        a=f"request: {{path: /search, body: {{q: x}}, records: items, paginator: {paginator}}}",
        b="request: {path: /cursor, body: {}, paginator: {type: cursor, cursor_path: meta.next_cursor, cursor_body_path: after}}",
    )
    assert read(asking(source, "a", tmp_path)).ids == list(range(1, 8))
    assert api.asked[0].method == "POST"
    assert api.asked[1].json == {"q": "x", "page": {"limit": 2, "offset": 2}}
    assert read(asking(source, "b", tmp_path)).ids == list(range(1, 8))


def test_a_paginator_of_ones_own(api: Api, tmp_path: Path) -> None:
    api.routes = ROUTES
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "mine.py").write_text(
        "def step(call, response, document, records):\n"
        "    return {'params': {'offset': int(call.params.get('offset', 0)) + len(records)}} if records else None\n"
        "class Step:\n    def __init__(self, by): self.at, self.by = 0, by\n"
        "    def __call__(self, call, response, document, records):\n"
        "        self.at += self.by\n        return f'?offset={self.at}' if records else None\n"
    )
    for custom in (
        "{type: custom, function: mine.step}",
        "{type: custom, function: mine.Step, config: {by: 3}}",
    ):
        source = source_of(api, f"paginator: {custom}", e="request: {path: /offset}")
        assert read(asking(source, "e", tmp_path)).ids == list(range(1, 8))
    with (tmp_path / "connectors" / "mine.py").open("a") as file:
        file.write("def broken(*arguments):\n    return arguments[7]\n")
    source = source_of(api, "paginator: {type: custom, function: mine.broken}", e="request: {path: /offset}")
    with pytest.raises(SourceError, match=r"your mine\.broken, line 9 failed: IndexError"):
        read(asking(source, "e", tmp_path))
    source = source_of(api, "paginator: {type: custom, function: mine.nope}", e="request: {path: /offset}")
    with pytest.raises(SourceError, match="has no class or function 'nope'"):
        read(asking(source, "e", tmp_path))


def test_a_cursor_that_repeats_and_a_page_without_one(api: Api, tmp_path: Path) -> None:
    api.routes = {"/x": lambda asked: {"items": [{"id": 1}], "next": "same"}}
    source = source_of(api, "paginator: {type: cursor, cursor_path: next}", e="request: {path: /x}")
    with pytest.raises(SourceError, match="same page again"):
        read(asking(source, "e", tmp_path))


def test_pages_that_shift_are_read_again(api: Api, tmp_path: Path) -> None:
    people = list(PEOPLE)

    def shifting(asked: Asked) -> Any:
        if len(api.asked) == 2:
            people.pop(0)  # somebody deletes the first record after we read it: number 4 slips to page one
        at = number(asked, "offset")
        return {"items": people[at : at + 3], "total": len(people)}

    api.routes = {"/x": shifting}
    source = source_of(api, "paginator: {type: offset, limit: 3, total_path: total}", e="request: {path: /x}")
    assert set(read(asking(source, "e", tmp_path)).ids) == set(range(1, 8))
    people[:], api.asked = PEOPLE, []
    source = source_of(
        api, "paginator: {type: offset, limit: 3, overlap: 1}", e="request: {path: /x, records: items}"
    )
    assert set(read(asking(source, "e", tmp_path)).ids) == set(range(1, 8))
    api.routes = {"/x": lambda asked: {"items": [{"id": len(api.asked)}], "total": len(api.asked) + 5}}
    source = source_of(api, "paginator: {type: offset, limit: 1, total_path: total}", e="request: {path: /x}")
    with pytest.raises(SourceUnavailableError, match="came or went while its pages were read"):
        read(asking(source, "e", tmp_path))


def test_what_auto_recognised_ends_as_if_it_had_been_said(api: Api, tmp_path: Path) -> None:
    def paged(asked: Asked) -> Any:
        at = number(asked, "page", 1)
        rows = PEOPLE[at * 3 - 3 : at * 3]
        return {"items": rows, "meta": {"current_page": at, "last_page": 9}} if rows else (404, {}, {})

    api.routes = {"/x": paged}
    for side_by_side in (1, 3):
        source = source_of(
            api, f"paginator: auto, concurrency: {side_by_side}", e="request: {path: x, records: items}"
        )
        assert read(asking(source, "e", tmp_path)).ids == list(range(1, 8))


# parents


def test_children_of_parents(api: Api, tmp_path: Path) -> None:
    repos = [{"id": 1, "full": "a/x", "topics": 2}, {"id": 2, "full": "b/y z", "topics": 0}]
    issues = {
        "/repos/a%2Fx/issues": [{"id": 10, "n": 1.10}],
        "/repos/b%2Fy%20z/issues": [{"id": 20}, {"id": 21}],
    }
    api.routes = {
        "/repos": lambda asked: repos,
        "*": lambda asked: issues.get(asked.path) or [{"id": asked.query}],
    }
    source = source_of(
        api,
        repos="request: /repos",
        issues="request: {path: '/repos/{parent.full}/issues'}, parent: repos, include_from_parent: [id, full]",
        dlt="request: {path: 'r/{n}', params: {n: {type: resolve, resource: repos, field: id}}}",
        named="request: {path: 'r', params: {of: '{resources.repos.id}'}, body: {ids: ['{resources.repos.id}']}}",
        grouped="request: {path: g, params: {ids: '{parent.id}'}}, parent: {entity: repos, group: 50}",
        some="request: {path: 's/{parent.id}'}, parent: {entity: repos, where: topics}",
        notes="request: {path: 'n/{parent._repos_id}/{parent.id}'}, parent: issues",
    )
    for side_by_side in (1, 8):
        source = source.model_copy(
            update={"connector": source.connector.model_copy(update={"concurrency": side_by_side})}
        )
        found = read(asking(source, "issues", tmp_path))
        assert found.records == [
            {"id": 10, "n": 1.10, "_repos_id": 1, "_repos_full": "a/x"},
            {"id": 20, "_repos_id": 2, "_repos_full": "b/y z"},
            {"id": 21, "_repos_id": 2, "_repos_full": "b/y z"},
        ]
    api.asked.clear()
    read(asking(source, "dlt", tmp_path))
    read(asking(source, "named", tmp_path))
    read(asking(source, "grouped", tmp_path))
    read(asking(source, "some", tmp_path))
    assert sorted(p for p in api.paths() if p != "/repos") == ["/g", "/r", "/r", "/r/1", "/r/2", "/s/1"]
    assert {a.json["ids"][0] for a in api.asked if a.path == "/r"} == {1, 2}
    assert next(a.query for a in api.asked if a.path == "/g") == {"ids": "1,2"}
    read(asking(source, "notes", tmp_path))
    assert {p for p in api.paths() if p.startswith("/n/")} == {"/n/1/10", "/n/2/20", "/n/2/21"}


def test_parents_that_did_not_change_are_left_alone(api: Api, tmp_path: Path) -> None:
    parents = [{"id": n, "at": f"2026-01-0{n}T00:00:00Z"} for n in (1, 2, 3)]
    api.routes = {
        "/p": lambda asked: [p for p in parents if p["at"] > asked.query.get("since", "")],
        "*": lambda asked: [{"id": asked.path, "seen": "2026-02-01"}],
    }
    source = source_of(
        api,
        p="request: /p, load: delta, cursor: {field: at, param: since}",
        c="request: {path: '/p/{parent.id}'}, load: delta, parent: {entity: p, incremental: true}, cursor: {field: seen}",
    )
    first = read(asking(source, "c", tmp_path))
    assert first.state == {"cursor": "2026-02-01", "parent": "2026-01-03T00:00:00Z"}
    api.asked.clear()
    parents[0]["at"] = "2026-01-04T00:00:00Z"
    second = read(asking(source, "c", tmp_path), Since(state=first.state))
    assert [p for p in api.paths() if p != "/p"] == ["/p/1", "/p/3"], (
        "the changed one, and the one in the cursor's second"
    )
    assert second.state["parent"] == "2026-01-04T00:00:00Z"


def test_lists_and_groups(api: Api, tmp_path: Path) -> None:
    api.routes = {"*": lambda asked: [{"id": asked.path, "q": asked.query}]}
    source = source_of(
        api,
        e="request: {path: '{each.kind}/x', each: {kind: [a, b], year: [2025, 2026]}, params: {y: '{each.year}'}}",
        g="request: {path: x, each: {n: [1, 2, 3]}, group: 2, params: {ids: '{each.n}'}}",
    )
    assert [(r["id"], r["q"]["y"]) for r in read(asking(source, "e", tmp_path)).records] == [
        ("/a/x", "2025"), ("/a/x", "2026"), ("/b/x", "2025"), ("/b/x", "2026"),
    ]  # fmt: skip
    assert [r["q"]["ids"] for r in read(asking(source, "g", tmp_path)).records] == ["1,2", "3"]


# cursors


def test_a_strict_cursor_does_not_lose_the_same_second(api: Api, tmp_path: Path) -> None:
    rows = [{"id": 1, "at": "2026-01-05T10:00:00Z"}]
    api.routes = {"/x": lambda asked: [r for r in rows if r["at"] > asked.query.get("since", "")]}
    source = source_of(api, e="request: /x, load: delta, cursor: {field: at, param: since}")
    first = read(asking(source, "e", tmp_path))
    rows.append({"id": 2, "at": "2026-01-05T10:00:00Z"})
    second = read(asking(source, "e", tmp_path), Since(first.state, state=first.state))
    assert second.ids == [1, 2], "bronze knows the first already"
    exact = source_of(api, e="request: /x, load: delta, cursor: {field: at, param: since, overlap: 0s}")
    assert read(asking(exact, "e", tmp_path), Since(first.state, state=first.state)).ids == []


@pytest.mark.parametrize(
    ("state", "sent"),
    [
        ("2026-01-05T00:00:00Z", "2026-01-04T23:59:59Z"), ("2026-01-05 00:00:00", "2026-01-04 23:59:59"), ("2026-01-05", "2026-01-04"),
        (1767571200, "1767571199"), (1767571200000, "1767571199000"), ("1767571200", "1767571199"), (41, "40"), ("abc", "abc"),
        ("2026-01-05T00:00:00.500+01:00", "2026-01-04T23:59:59.500000+01:00"),
    ],
)  # fmt: skip
def test_one_step_back(api: Api, tmp_path: Path, state: Any, sent: str) -> None:
    api.routes = {"/x": lambda asked: []}
    source = source_of(api, e="request: /x, load: delta, cursor: {field: at, param: since}")
    read(asking(source, "e", tmp_path), Since(state, state=state))
    assert api.asked[0].query["since"] == sent


def test_records_and_pages_without_a_cursor(api: Api, tmp_path: Path) -> None:
    pages = [
        [{"id": 1, "at": "2026-01-01"}],
        [{"id": 2, "at": None}, {"id": 3}],
        [{"id": 4, "at": "2026-01-04"}],
        [],
    ]
    api.routes = {"/x": lambda asked: pages[number(asked, "page", 1) - 1]}
    source = source_of(
        api, "paginator: page_number", e="request: /x, load: delta, cursor: {field: at, param: since}"
    )
    found = read(asking(source, "e", tmp_path))
    assert (found.ids, found.state) == ([1, 2, 3, 4], "2026-01-04")


def test_windows(api: Api, tmp_path: Path) -> None:
    api.routes = {
        "/x": lambda asked: [r for r in PEOPLE if asked.query["from"] <= r["at"] < asked.query["to"]]
    }
    cursor = (
        "{field: at, param: from, end_param: to, step: 2d, initial: '2026-01-01T00:00:00Z', lookback: 1d}"
    )
    source = source_of(api, e=f"request: /x, load: delta, cursor: {cursor}")
    found = read(asking(source, "e", tmp_path))
    assert found.ids == list(range(1, 8))
    assert api.asked[1].query == {"from": "2026-01-03T00:00:00Z", "to": "2026-01-05T00:00:00Z"}
    api.asked.clear()
    again = read(asking(source, "e", tmp_path), Since(state=found.state))
    assert api.asked[0].query["from"] == "2026-01-06T00:00:00Z"
    assert again.ids == [6, 7]
    api.asked.clear()
    backfill = read(
        asking(source, "e", tmp_path), Since(state=found.state, window=("2026-01-02", "2026-01-04"))
    )
    assert (backfill.ids, backfill.state) == ([2, 3], None)
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        ("epoch", "1767571200"),
        ("epoch_ms", "1767571200000"),
        ("date", "2026-01-05"),
        ("'%d/%m/%Y'", "05/01/2026"),
        ("iso", "2026-01-05T00:00:00Z"),
    ],
)
def test_how_a_cursor_is_written(api: Api, tmp_path: Path, form: str, sent: str) -> None:
    api.routes = {"/x": lambda asked: []}
    cursor = f"{{field: at, overlap: 0s, format: {form}}}"
    source = source_of(
        api, e=f"request: {{path: /x, params: {{q: 'at>{{since}}'}}}}, load: delta, cursor: {cursor}"
    )
    read(asking(source, "e", tmp_path), Since(state="2026-01-05T00:00:00Z"))
    assert api.asked[0].query["q"] == f"at>{sent}"


def test_an_api_that_cannot_filter(api: Api, tmp_path: Path) -> None:
    api.routes = {
        "/x": lambda asked: {"rows": [*PEOPLE, {"id": 99, "at": None, "n": 12345678901234567890123}]}
    }
    source = source_of(
        api, e="request: {path: /x, records: rows}, load: delta, cursor: {field: at, filter: true}"
    )
    found = read(asking(source, "e", tmp_path), Since(state="2026-01-06T00:00:00Z"))
    assert found.ids == [6, 7, 99]
    assert found.records[-1]["n"] == 12345678901234567890123
    pages = [PEOPLE[::-1][n : n + 2] for n in range(0, 8, 2)]
    api.asked, api.routes = [], {"/x": lambda asked: pages[number(asked, "page", 1) - 1]}
    source = source_of(
        api, "paginator: page_number", e="request: /x, load: delta, cursor: {field: at, order: desc}"
    )
    assert read(asking(source, "e", tmp_path), Since(state="2026-01-06T00:00:00Z")).ids == [7, 6, 5, 4]
    assert len(api.asked) == 2


def test_resources_as_dlt_writes_them(api: Api, tmp_path: Path) -> None:
    api.routes = {"*": lambda asked: {"results": [{"id": 1, "updated_at": "2026-01-05T00:00:00Z"}]}}
    source = source_of(
        api,
        "auth: {type: api_key, name: k, api_key: k3y-k3y, location: param}, resource_defaults: {primary_key: id, write_disposition: merge, "
        "endpoint: {params: {per_page: 100}, data_selector: 'results[*]'}}",
        issues="endpoint: {path: issues, params: {since: {type: incremental, cursor_path: updated_at, initial_value: '2025-01-01'}}}",
        posts="endpoint: {path: posts, incremental: {cursor_path: updated_at, start_param: from, end_param: to, initial_value: '2025-01-01', lag: 60}}",
        plain="write_disposition: replace, endpoint: plain",
    )
    assert [source.entities[n].load for n in ("issues", "posts", "plain")] == ["delta", "delta", "full"]
    for name in ("issues", "posts", "plain"):
        since = Since("2025-01-01") if name != "plain" else Since()
        assert read(asking(source, name, tmp_path), since).ids == [1]
    assert [set(a.query) for a in api.asked] == [
        {"per_page", "since", "k"},
        {"per_page", "from", "to", "k"},
        {"per_page", "k"},
    ]
    with pytest.raises(ValidationError, match="is none of replace, merge"):
        source_of(api, e="write_disposition: upsert, endpoint: x")


# answers


def test_records_by_jsonpath(api: Api, tmp_path: Path) -> None:
    api.routes = {
        "/x": lambda asked: {"edges": [{"node": {"id": 1, "ok": True}}, {"node": {"id": 2, "ok": False}}]}
    }
    source = source_of(
        api,
        e="request: {path: /x, records: '$.edges[*].node'}",
        f="request: {path: /x, records: '$.edges[?@.node.ok==true].node'}",
    )
    assert read(asking(source, "e", tmp_path)).ids == [1, 2]
    assert read(asking(source, "f", tmp_path)).ids == [1]
    with pytest.raises(ValidationError, match="is no JSONPath"):
        source_of(api, e="request: {path: /x, records: '$.a['}")


def test_graphql(api: Api, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Any:
        at = int(asked.json["variables"].get("after") or 0)
        if asked.json["variables"].get("bad"):
            return {"errors": [{"message": "Field 'x' doesn't exist"}]}
        return {
            "data": {
                "people": {"nodes": PEOPLE[at : at + 4], "page": {"end": str(at + 4), "more": at + 4 < 7}}
            }
        }

    api.routes = {"/graphql": answer}
    paginator = "{type: cursor, cursor_path: data.people.page.end, cursor_body_path: variables.after, has_more_path: data.people.page.more}"
    graphql = (
        "{path: /graphql, graphql: {query: 'query q($after: String) { people }', variables: {n: 4%s}}, records: data.people.nodes, paginator: "
        + paginator
        + "}"
    )
    source = source_of(api, e="request: " + graphql % "", f="request: " + graphql % ", bad: true")
    assert read(asking(source, "e", tmp_path)).ids == list(range(1, 8))
    assert api.asked[1].json["variables"] == {"n": 4, "after": "4"}
    with pytest.raises(SourceError, match="GraphQL: Field 'x' doesn't exist"):
        read(asking(source, "f", tmp_path))


@pytest.mark.parametrize(
    ("headers", "body", "more"),
    [
        ({"Content-Type": "text/csv"}, b"id,v\n1,a\n2,b\n", ""),
        ({"Content-Type": "application/octet-stream"}, b"id;v\n1;a\n2;b\n", ", format: csv"),
        ({"Content-Type": "application/x-ndjson"}, b'{"id": "1"}\n\n{"id": "2"}\n', ""),
        ({"Content-Type": "application/json"}, b'{"id": "1"}\n{"id": "2"}', ", format: jsonl"),
        ({"Content-Type": "text/xml"}, b"<r><p><id>1</id></p><p><id>2</id></p></r>", ""),
        ({"Content-Type": "text/xml"}, b"<r><l><p><id>1</id></p></l><l><p><id>2</id></p></l></r>", ", records: r.l.p"),
        ({"Content-Encoding": "gzip"}, gzip.compress(b'[{"id": "1"}, {"id": "2"}]', mtime=0), ""),
        ({"Content-Type": "application/gzip"}, gzip.compress(b'[{"id": "1"}]'[:-1] + b', {"id": "2"}]', mtime=0), ""),
        ({"Content-Type": "text/html"}, b'[{"id": "1"}, {"id": "2"}]', ""),
        ({"Content-Type": "text/csv"}, gzip.compress(b"id\n1\n2\n", mtime=0), ""),
    ],
)  # fmt: skip
def test_answers_of_every_kind(
    api: Api, tmp_path: Path, headers: dict[str, str], body: bytes, more: str
) -> None:
    api.routes = {"/x": lambda asked: (200, headers, body)}
    source = source_of(api, e=f"request: {{path: /x{more}}}")
    assert read(asking(source, "e", tmp_path)).ids == ["1", "2"]


@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {}])
def test_a_gzip_bomb(api: Api, tmp_path: Path, headers: dict[str, str]) -> None:
    bomb = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    api.routes = {
        "/x": lambda asked: (200, headers, bomb),
        "/y": lambda asked: (200, {"Content-Encoding": "gzip, gzip"}, gzip.compress(bomb)),
    }
    source = source_of(api, "max_bytes: 1000000", e="request: /x", f="request: /y")
    with pytest.raises(SourceError, match="unpacks to more than 1,000,000 bytes"):
        read(asking(source, "e", tmp_path))
    with pytest.raises(SourceError, match="several times over"):
        read(asking(source, "f", tmp_path))


def test_an_answer_that_is_cut_off_is_asked_for_again(api: Api, tmp_path: Path) -> None:
    whole = json.dumps(PEOPLE).encode()
    api.routes = {"/x": lambda asked: (200, {}, whole[:-20] if len(api.asked) < 3 else whole)}
    assert len(read(asking(source_of(api, e="request: /x"), "e", tmp_path)).ids) == 7
    api.asked, api.routes = [], {"/x": lambda asked: (200, {}, whole[:-20])}
    with pytest.raises(SourceUnavailableError, match="cut off after"):
        read(asking(source_of(api, "retries: 1", e="request: /x"), "e", tmp_path))


def test_response_actions(api: Api, tmp_path: Path) -> None:
    seen: dict[str, int] = {}

    def answer(asked: Asked) -> Any:
        seen[asked.path] = seen.get(asked.path, 0) + 1
        if seen[asked.path] > 2:
            return [{"id": 1}]
        return {
            "/gone": (404, {}, {"m": "no"}), "/soft": (200, {}, {"error": {"code": 7}}), "/busy": (400, {}, {"m": "Try Later"}),
            "/odd": (418, {}, [{"id": 5}]), "/dead": (200, {}, {"m": "account closed"}),
        }[asked.path]  # fmt: skip

    api.routes = {"*": answer}
    actions = (
        "response_actions: [{status_code: 404, action: ignore}, {http_codes: [400], content: try later, action: RETRY}, "
        "{where: '$.error[?@ == 7]', action: retry}, {status: 418, action: SUCCESS}, {text: closed, action: fail, message: it is closed}]"
    )
    source = source_of(api, actions, **{n: f"request: /{n}" for n in ("gone", "soft", "busy", "odd", "dead")})
    got = {n: read(asking(source, n, tmp_path)).ids for n in ("gone", "soft", "busy", "odd")}
    assert got == {"gone": [], "soft": [1], "busy": [1], "odd": [5]}
    with pytest.raises(SourceError, match="it is closed"):
        read(asking(source, "dead", tmp_path))


def test_paging_that_is_reset(api: Api, tmp_path: Path) -> None:
    """An API that gives no more than four records a query: further on with a later `since`."""

    def answer(asked: Asked) -> Any:
        rows = [r for r in PEOPLE if r["at"] >= asked.query.get("since", "")]
        at = number(asked, "page", 1) * 2 - 2
        return rows[at : at + 2] if at < 4 else (422, {}, {"m": "result window is too large"})

    api.routes = {"/x": answer}
    more = "request: {path: /x, response_actions: [{text: too large, action: reset_paging}]}, load: delta, cursor: {field: at, param: since}"
    source = source_of(api, "paginator: page_number", e=more)
    assert sorted(set(read(asking(source, "e", tmp_path)).ids)) == list(range(1, 8))
    source = source_of(api, "paginator: page_number", e=more.replace("param: since", "param: ignored"))
    with pytest.raises(SourceError, match="the cursor has not moved"):
        read(asking(source, "e", tmp_path))


def test_exports(api: Api, tmp_path: Path) -> None:
    states = ["queued", "running", "DONE"]
    with serving_api(Api()) as elsewhere:
        elsewhere.routes = {"/f": lambda asked: (200, {"Content-Type": "text/csv"}, b"id\n1\n2\n")}
        api.routes = {
            "/jobs": lambda asked: {"job": {"id": 7}},
            "/jobs/7": lambda asked: {"state": states.pop(0), "files": [elsewhere.url + "/f"]},
        }
        export = "{poll: {path: '/jobs/{job.job.id}', every: 0s, status: state}, download_path: files}"
        source = source_of(
            api,
            "auth: {type: bearer, token: t0ken-t0ken}",
            e=f"request: {{path: /jobs, body: {{}}, export: {export}}}",
        )
        assert read(asking(source, "e", tmp_path)).ids == ["1", "2"]
        assert [a.method for a in api.asked] == ["POST", "GET", "GET", "GET"]
        assert "authorization" in api.asked[1].headers
        assert "authorization" not in elsewhere.asked[0].headers, "our token is not theirs"
    states[:] = ["queued", "failed"]
    api.asked.clear()
    with pytest.raises(SourceError, match="the export ended as 'failed'"):
        read(asking(source, "e", tmp_path))


def test_what_is_the_same_is_not_sent_again(api: Api, tmp_path: Path) -> None:
    people = list(PEOPLE)

    def answer(asked: Asked) -> Any:
        tag = f'"{len(people)}"'
        return (
            (304, {"ETag": tag}, b"")
            if asked.headers.get("if-none-match") == tag
            else (200, {"ETag": tag}, people)
        )

    api.routes = {"/x": answer, "/m": lambda asked: (304, {}, b"") if "if-modified-since" in asked.headers
                  else (200, {"Last-Modified": "Wed, 21 Oct 2026 07:28:00 GMT"}, people),
                  "/deaf": lambda asked: (200, {"ETag": f'"{len(api.asked)}"'}, people)}  # fmt: skip
    for path in ("/x", "/m", "/deaf"):
        source = source_of(api, e=f"request: {path}")
        first = read(asking(source, "e", tmp_path))
        assert (len(first.ids), first.kinds) == (7, ["document"])
        assert read(asking(source, "e", tmp_path), Since(digests=first.digests)).kinds == ["unchanged"], path
        other = source_of(api, e=f"request: {{path: {path}, records: '$[:2]'}}")
        assert read(asking(other, "e", tmp_path), Since(digests=first.digests)).kinds == ["document"], (
            "read in another way"
        )
    people.append({"id": 8, "at": "x"})
    assert (
        len(read(asking(source_of(api, e="request: /x"), "e", tmp_path), Since(digests=first.digests)).ids)
        == 8
    )


# patience


def test_a_server_that_goes_on_failing_is_given_up(api: Api, tmp_path: Path) -> None:
    api.routes = {"/x": lambda asked: (500, {}, b"")}
    source = source_of(api, "retries: 50, give_up: 1s", e="request: /x")
    started = time.monotonic()
    with pytest.raises(SourceUnavailableError, match="HTTP 500"):
        read(asking(source, "e", tmp_path))
    assert time.monotonic() - started < 15


def test_one_that_is_told_to_wait_makes_all_wait(api: Api, tmp_path: Path) -> None:
    """A 429 is met once, and not by each of eight parents: the pause is the source's."""
    until = [0.0]

    def limited(asked: Asked) -> Any:
        if asked.path == "/p":
            return [{"id": n} for n in range(12)]
        now = time.monotonic()
        if not until[0]:
            until[0] = now + 1.0
        return (429, {"Retry-After": "1"}, b"{}") if now < until[0] else [{"id": asked.path}]

    api.routes = {"*": limited}
    source = source_of(api, "concurrency: 3", p="request: /p", c="request: '/p/{resources.p.id}'")
    assert len(read(asking(source, "c", tmp_path)).ids) == 12
    assert len(api.asked) <= 1 + 12 + 3, "at most those that were on their way"


def test_a_budget_is_kept_by_all(api: Api, tmp_path: Path) -> None:
    times: list[float] = []
    api.routes = {"*": lambda asked: times.append(time.monotonic()) or [{"id": asked.path}]}
    source = source_of(
        api, "budget: {requests: 5, per: 1s}, concurrency: 4",
        a="request: {path: 'a/{each.n}', each: {n: [1, 2, 3, 4, 5, 6]}}", b="request: {path: 'b/{each.n}', each: {n: [1, 2, 3, 4, 5, 6]}}",
    )  # fmt: skip
    read(asking(source, "a", tmp_path))
    read(asking(source, "b", tmp_path))
    assert all(times[n + 5] - times[n] > 0.95 for n in range(len(times) - 5))
    assert times[-1] - times[0] < 3.5


def test_so_many_are_under_way_and_no_more(api: Api, tmp_path: Path) -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def slow(asked: Asked) -> Any:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.03)
        with lock:
            now[0] -= 1
        at = number(asked, "offset")
        return (
            [{"id": f"{asked.path}-{n}"} for n in range(at, min(at + 2, 8))]
            if asked.path != "/p"
            else ([{"id": n} for n in range(6)] if not at else [])
        )

    api.routes = {"*": slow}
    source = source_of(
        api,
        "concurrency: 4, paginator: {type: offset, limit: 2}",
        p="request: p",
        c="request: 'c/{parent.id}', parent: p",
    )
    found = read(asking(source, "c", tmp_path)).ids
    assert found == [f"/c/{n}-{k}" for n in range(6) for k in range(8)], "in their order"
    assert 1 < most[0] <= 4


def test_rate_limit_headers_are_heeded_before_the_limit_is_met(api: Api, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Any:
        left = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"} if len(api.asked) == 1 else {}
        return 200, left, [{"id": asked.path}]

    api.routes = {"*": answer}
    source = source_of(api, e="request: {path: '{each.n}', each: {n: [1, 2]}}")
    started = time.monotonic()
    assert len(read(asking(source, "e", tmp_path)).ids) == 2
    assert time.monotonic() - started >= 1


# secrets


def test_a_redirect_to_another_host_gets_no_token(api: Api, tmp_path: Path) -> None:
    with serving_api(Api()) as thief:
        thief.routes = {"*": lambda asked: [{"id": 1}]}
        other = thief.url.replace("127.0.0.1", "localhost")
        api.routes = {
            "/x": lambda asked: (302, {"Location": f"{other}/x"}, b""),
            "/n": lambda asked: {"items": [{"id": 1}], "next": f"{other}/n"},
        }
        source = source_of(
            api,
            "auth: {type: bearer, token: t0ken-t0ken}",
            e="request: /x",
            f="request: {path: /n, paginator: {type: json_link}}",
        )
        for name in ("e", "f"):
            with pytest.raises(SourceError, match="sends us on to another server"):
                read(asking(source, name, tmp_path))
        assert thief.asked == []


def test_no_secret_of_a_url_is_in_raw(api: Api, tmp_path: Path) -> None:
    api.routes = {
        "/x": lambda asked: {
            "items": [{"id": 1}],
            "next": None if "at" in asked.query else "/x?at=1&signature=abc123&key=k3y-k3y",
        }
    }
    source = source_of(
        api,
        "auth: {type: api_key, api_key: k3y-k3y, name: key, location: query}, params: {sig: zzz}, paginator: json_link",
        e="request: /x",
    )
    found = read(asking(source, "e", tmp_path))
    told = json.dumps([i.request for i in found.items if hasattr(i, "request")])
    assert len(found.ids) == 2
    assert not any(secret in told for secret in ("k3y-k3y", "abc123", "zzz"))
