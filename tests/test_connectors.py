"""The connectors on the contract: files, sql, rest (over real HTTP), and one's own."""

from __future__ import annotations

import gzip
import json
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from conftest import Databases, MakeWorld, World, serving
from dataplatform.connectors import Page
from dataplatform.connectors.registry import extract_of
from dataplatform.connectors.testing import ContractError, check_extract, request_for
from dataplatform.layers import raw
from dataplatform.metadata.base import SecretRef
from dataplatform.records.refs import BatchRef, EntityRef


class Api(BaseHTTPRequestHandler):
    """An API with every kind of paging; `calls` are the requests seen, `plan` overrides answers."""

    people = [{"id": n, "name": f"p{n}", "at": f"2026-01-{n:02}T00:00:00Z"} for n in range(1, 8)]  # noqa: RUF012  # http.server makes the object
    calls: list[tuple[str, dict[str, Any], dict[str, str]]] = []  # noqa: RUF012  # http.server makes the object
    plan: list[tuple[int, dict[str, str], str]] = []  # noqa: RUF012  # http.server makes the object

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        Api.calls.append((url.path, query, {k.lower(): v for k, v in self.headers.items()}))
        if Api.plan:
            code, headers, body = Api.plan.pop(0)
            return self.answer(code, headers, body)
        at = int(query.get("offset", query.get("cursor", 0)))
        if "page" in query:
            at = (int(query["page"]) - 1) * 3
        part = self.people[at : at + 3]
        base = f"http://{self.headers['host']}{url.path}"
        more = at + 3 < len(self.people)
        if url.path == "/link":
            link = {"Link": f'<{base}?offset={at + 3}&token=t0ps3cret>; rel="next"'} if more else {}
            return self.answer(200, link, json.dumps(part))
        body = {"data": {"items": part}, "cursor": at + 3 if more else None,
                "next": f"{base}?offset={at + 3}" if more else None}  # fmt: skip
        if url.path == "/since":
            body = {"data": {"items": [p for p in self.people if p["at"] >= query.get("since", "")]}}
        return self.answer(200, {}, json.dumps(body, indent=1))

    def answer(self, code: int, headers: dict[str, str], body: str) -> None:
        data = body.encode()
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[str]:
    Api.calls, Api.plan = [], []
    with serving(Api) as where:
        yield f"http://{where}"


def rest(make_world: MakeWorld, api: str, path: str, connector: str = "", entity: str = "") -> World:
    return make_world(s=(
        f"source: s\nconnector: {{type: rest, base_url: '{api}', retries: 2{connector}}}\n"
        f"entities: {{p: {{request: {{path: {path}, records: data.items}}, key: [id]{entity}}}}}\n"
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("path", "paginator"),
    [
        ("/offset", "{type: offset, limit: 3}"),
        ("/page", "{type: page, page_size: 3, size_param: size}"),
        ("/cursor", "{type: cursor, cursor_path: cursor}"),
        ("/next", "{type: next_url, next_path: next}"),
    ],
)
def test_paging(make_world: MakeWorld, api: str, path: str, paginator: str) -> None:
    world = rest(make_world, api, path, f", paginator: {paginator}")
    result = world.run()
    assert not result.failed, result.failed
    assert result.entities["p"].counts.inserted == 7
    assert world.rows("select count(*), min(name), max(id) from silver.s__p") == [(7, "p1", 7)]


def test_link_header_and_no_secret_in_raw(
    make_world: MakeWorld, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAPLATFORM_SECRET_GITHUB_TOKEN", "t0ps3cret")
    world = make_world(s=(
        f"source: s\nconnector: {{type: rest, base_url: '{api}', "
        "auth: {type: bearer, token: {secret: github/token}}, paginator: {type: link_header}}\n"
        "entities: {p: {request: {path: /link}, key: [id]}}\n"
    ))  # fmt: skip
    assert world.run().entities["p"].counts.inserted == 7
    assert all(c[2]["authorization"] == "Bearer t0ps3cret" for c in Api.calls)
    batch = raw.batches(world.platform.raw, "s")[0]
    manifest = raw.manifest(world.platform.raw, BatchRef(EntityRef("s", "p"), batch))
    assert manifest is not None
    pages = list(raw.read(world.platform.raw, manifest))
    assert "t0ps3cret" not in json.dumps([p.header for p in pages])
    assert "***" in json.dumps([p.header for p in pages])
    assert json.loads(pages[0].lines[0]) == Api.people[:3]


@pytest.mark.parametrize(
    ("auth", "where", "value"),
    [
        ("{type: api_key, key: k3y, name: X-Key}", "x-key", "k3y"),
        ("{type: api_key, key: k3y, name: key, location: query}", "key", "k3y"),
        ("{type: basic, username: u, password: p}", "authorization", "Basic dTpw"),
    ],
)
def test_authentication(make_world: MakeWorld, api: str, auth: str, where: str, value: str) -> None:
    rest(make_world, api, "/one", f", auth: {auth}").run()
    _, query, headers = Api.calls[0]
    assert {**query, **headers}[where] == value


def test_retries_honour_retry_after(make_world: MakeWorld, api: str) -> None:
    Api.plan = [(429, {"Retry-After": "1"}, "{}"), (503, {}, "busy")]
    started = time.monotonic()
    result = rest(make_world, api, "/one").run()
    assert not result.failed, result.failed
    assert time.monotonic() - started >= 1
    assert len(Api.calls) == 3


def test_errors_that_no_retry_mends(make_world: MakeWorld, api: str) -> None:
    world = rest(make_world, api, "/one")
    Api.plan = [(401, {}, '{"message": "Bad credentials"}')]
    assert "HTTP 401" in world.run().failed["p"]
    Api.plan = [(200, {"Content-Type": "text/html"}, "<html>log in</html>")]
    assert "not JSON (text/html)" in world.run().failed["p"]
    Api.plan = [(500, {}, "")] * 3
    result = world.run()
    assert "HTTP 500" in result.failed["p"]
    assert result.entities["p"].transient
    assert len(Api.calls) == 5
    assert world.rows("select count(*) from audit.load where status = 'done'") == [(0,)]


def test_credentials_are_not_sent_to_another_server(make_world: MakeWorld, api: str) -> None:
    Api.plan = [(302, {"Location": "http://localhost:1/x"}, "")]
    assert "sends us on to another server" in rest(make_world, api, "/one").run().failed["p"]


def test_a_paginator_that_turns_in_circles(make_world: MakeWorld, api: str) -> None:
    answer = (200, {}, json.dumps({"data": {"items": [{"id": 1}]}, "cursor": "same"}))
    Api.plan = [answer] * 5
    world = rest(make_world, api, "/c", ", paginator: {type: cursor, cursor_path: cursor}")
    assert "same page again" in world.run().failed["p"]


def test_rest_delta_with_overlap(make_world: MakeWorld, api: str) -> None:
    world = rest(
        make_world,
        api,
        "/since",
        "",
        ", load: delta, cursor: {field: at, param: since, overlap: 1d}",
    )
    assert world.run().entities["p"].counts.inserted == 7
    assert world.run().entities["p"].counts.unchanged == 2
    assert Api.calls[1][1]["since"] == "2026-01-06T00:00:00Z"
    assert world.run(full=True).entities["p"].counts.read == 7


def test_an_ill_record_of_an_api_stops_no_other(make_world: MakeWorld, api: str) -> None:
    items = (
        r'{"id": 1, "at": "2026-01-01", "v": "\udfaa"}, {"id": 2, "at": "2026-01-02", "v": NaN}, {"id": 3, "at": "2026-01-03"}, '
        r'{"id": 4, "at": "\ud800"}, {"id": 5, "at": "2026-01-01", "n": 1e400, "\udfaa": 1}, {"id": 6, "at": 1e999999999}'
    )
    Api.plan = [(200, {}, f'{{"data": {{"items": [{items}]}}}}')]
    more = ", load: delta, cursor: {field: at, param: since}, max_quarantine: 1.0"
    world = rest(make_world, api, "/one", "", more)
    result = world.run()
    assert not result.failed, result.failed
    counts = result.entities["p"].counts
    assert (counts.read, counts.inserted, counts.quarantined) == (6, 1, 5)
    assert world.rows("select id from silver.s__p") == [(3,)]


def test_files_of_every_format(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "".join(
        f"  {name}: {{file: '{file}', key: [id]}}\n"
        for name, file in {"zip": "a.csv.zip", "gz": "b.jsonl.gz", "tsv": "c.tsv", "doc": "d.json",
                           "many": "m*.csv", "semi": "semi.csv"}.items()
    ))  # fmt: skip
    path = world.write("a.csv.zip", b"")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.csv", "id,v\n1,a\n")
        archive.writestr("two.csv", "id,v\n2,b\n")
    world.write("b.jsonl.gz", gzip.compress(b'{"id": 1}\n\n{"id": 2}\n'))
    world.write("c.tsv", "id\tv\n1\ta\n2\tb\n")
    world.write("d.json", '{"people": [\n {"id": 1},\n {"id": 2}\n]}')
    world.write("m1.csv", "\ufeffid,v\n1,a\n")
    world.write("m2.csv", "id,v\r\n2,b\r\n")
    world.write("semi.csv", "id;v\n1;a,b\n2;c\n")
    result = world.run()
    assert not result.failed, result.failed
    assert {n: r.counts.inserted for n, r in result.entities.items()} == dict.fromkeys(result.entities, 2)


def test_a_known_file_is_not_copied_again(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  m: {file: 'm*.csv', key: [id]}\n")
    world.write("m1.csv", "id,v\n1,a\n")
    world.write("m2.csv", "id,v\n2,b\n")
    world.run()
    world.write("m2.csv", "id,v\n2,c\n")
    result = world.run()
    assert result.entities["m"].counts.unchanged == 1
    first, second = (
        raw.manifest(world.platform.raw, BatchRef(EntityRef("s", "m"), b))
        for b in raw.batches(world.platform.raw, "s")
    )
    assert first is not None
    assert second is not None
    assert second.parts[0] == first.parts[0]
    assert second.parts[1].file != first.parts[1].file


def test_long_json_arrays_are_read_item_by_item(
    make_world: MakeWorld, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataplatform.connectors.json_text.WHOLE", 1000)
    world = make_world(s=files + "  d: {file: d.json, key: [id]}\n")
    items = [{"id": n, "text": "ü" * (n % 50), "l": [n, {"x": "]"}]} for n in range(3000)]
    world.write("d.json", json.dumps(items, indent=2, ensure_ascii=False))
    assert world.run().entities["d"].counts.inserted == 3000
    world.write("d.json", json.dumps(items)[:-1])
    assert "the array does not end" in world.run().failed["d"]


def test_sql_tables_and_queries(make_world: MakeWorld, databases: Databases) -> None:
    with psycopg.connect(databases.postgres) as conn:
        conn.execute("create schema shop")
        conn.execute(
            "create table shop.t (id int, n numeric, at timestamptz, d date, b bytea, j jsonb, "
            "f float8, u uuid default gen_random_uuid())"
        )
        conn.execute(
            "insert into shop.t select n, n / 3.0, '2026-01-01'::timestamptz + n * interval '1 day', "
            "'2026-01-01', 'x', '{\"a\": [1]}', 'NaN' from generate_series(1, 12000) n"
        )
    world = make_world(s=(
        f"source: s\nconnector: {{type: sql, url: '{databases.postgres}', schema: shop}}\nentities:\n"
        "  t: {table: t, key: [id]}\n"
        "  d: {table: shop.t, key: [id], load: delta, cursor: {field: at}}\n"
        "  q: {query: 'select id % 5 as k, count(*) as c from shop.t group by 1', key: [k]}\n"
        "  w: {query: 'select id, at from shop.t where at >= coalesce(:since, at)', key: [id], "
        "load: delta, cursor: {field: at}}\n"
        "  missing: {table: nope, key: [id]}\n"
    ))  # fmt: skip
    result = world.run()
    assert set(result.failed) == {"missing"}
    assert "tables there: t" in result.failed["missing"]
    inserted = {n: r.counts.inserted for n, r in result.entities.items()}
    assert inserted == {"t": 12000, "d": 12000, "q": 5, "w": 12000, "missing": 0}
    exact = world.rows(
        "select count(*) from silver.s__t s join shop.t o on s.id = o.id where s.n = o.n and s.at = o.at"
    )
    assert exact == [(12000,)]
    with psycopg.connect(databases.postgres) as conn:
        conn.execute("update shop.t set n = 0, at = at + interval '100 years' where id <= 3")
    again = world.run("s", "t", "d", "w")
    assert again.entities["t"].counts.inserted == 3
    assert again.entities["d"].counts.read == 4  # the three, and the one the cursor stands at
    assert again.entities["w"].counts.inserted == 3


def test_sql_says_its_types(make_world: MakeWorld, databases: Databases) -> None:
    with psycopg.connect(databases.postgres) as conn:
        conn.execute(
            "create table public.t (id int primary key, price numeric(10,2), n numeric, u uuid, ip inet, at time, "
            "moment timestamptz, naive timestamp, day date, ok boolean, doc jsonb, small smallint, name varchar(9), f float4, "
            "tags text[])"
        )
        conn.execute(
            "insert into t values (1, 1234567890.10 / 1000, 'NaN', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '10.0.0.1/8', '12:30', "
            "'2026-01-01 10:00+02', '2026-01-01 10:00', '2026-01-01', true, '{\"a\": [1, {\"b\": 2.50}]}', 7, 'x', 0.1, '{a,b}'), "
            "(2, null, null, null, null, null, null, null, null, null, null, null, null, null, null)"
        )
    world = make_world(
        s=f"source: s\nconnector: {{type: sql, url: '{databases.postgres}'}}\nentities:\n"
        "  t: {table: public.t, key: [id]}\n  q: {query: 'select id, price, doc from public.t', key: [id]}\n"
        "  nested: {table: public.t, key: [id], columns: {doc.a: {type: jsonb}}}\n"
    )
    result = world.run()
    assert result.status == "done", result.as_json()
    query = "select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a where attrelid = '{}'::regclass and attnum > 0"
    types = world.pairs(query.format("silver.s__t"))
    assert {name: type_ for name, type_ in types.items() if not name.startswith("dp_")} == {
        "id": "integer", "price": "numeric(10,2)", "n": "numeric", "u": "uuid", "ip": "inet", "at": "time without time zone",
        "moment": "timestamp with time zone", "naive": "timestamp without time zone", "day": "date", "ok": "boolean",
        "doc": "jsonb", "small": "smallint", "name": "text", "f": "real",
    }  # fmt: skip
    same = world.rows(
        "select count(*) from silver.s__t s join public.t o using (id) where (s.price, s.n, s.u, s.ip, s.at, s.moment, s.naive, "
        "s.day, s.ok, s.doc, s.small, s.name, s.f) is not distinct from (o.price, o.n, o.u, o.ip, o.at, o.moment, o.naive, "
        "o.day, o.ok, o.doc, o.small, o.name, o.f)"
    )
    assert same == [(2,)]
    assert world.rows("select pg_typeof(price)::text from silver.s__q limit 1") == [("numeric",)]
    assert world.rows("select doc__a::text from silver.s__nested where id = 1") == [('[1, {"b": 2.5}]',)]
    with psycopg.connect(databases.postgres) as conn:
        conn.execute("alter table public.t alter price type numeric(12,4)")
        conn.execute("update public.t set price = 1.2345 where id = 1")
    again = world.run("s", "t")
    assert again.entities["t"].counts.inserted == 1
    assert world.pairs(query.format("silver.s__t"))["price"] == "numeric(12,4)"


def test_sql_errors(make_world: MakeWorld, databases: Databases) -> None:
    world = make_world(
        s="source: s\nconnector: {type: sql, url: 'postgresql://u:hunter2@127.0.0.1:1/x'}\n"
        "entities: {t: {table: t, key: [id]}}\n",
        q=f"source: q\nconnector: {{type: sql, url: '{databases.postgres}'}}\n"
        "entities: {t: {query: 'selec 1', key: [id]}}\n",
    )
    result = world.run()
    assert "cannot be reached" in result.failed["t"]
    assert "hunter2" not in result.failed["t"]
    assert result.entities["t"].transient
    assert "syntax error" in world.run("q").failed["t"]


OWN = """
from dataplatform.connectors import Page, Request, Since, page_of
import datetime, decimal

def extract(request, since):
    yield page_of([{"id": 1, "at": datetime.date(2026, 1, 1), "n": decimal.Decimal("1.10")}])
    yield page_of([{"id": 2, "big": 2**70, "nan": float("nan"), "raw": b"x"}])
"""


def test_a_connector_of_ones_own(make_world: MakeWorld) -> None:
    world = make_world(
        s="source: s\nconnector: {type: python, module: mine}\nentities: {e: {key: [id]}}\n",
        missing="source: missing\nconnector: {type: python, module: nope}\nentities: {e: {key: [id]}}\n",
    )
    (world.folder / "connectors").mkdir()
    (world.folder / "connectors" / "mine.py").write_text(OWN)
    result = world.run()
    assert not result.failed, result.failed
    assert world.rows("select big::text from silver.s__e where id = 2") == [(str(2**70),)]
    assert "connectors there: mine" in world.run("missing").failed["e"]


def test_every_connector_keeps_the_contract(
    make_world: MakeWorld, api: str, databases: Databases, files: str
) -> None:
    with psycopg.connect(databases.postgres) as conn:
        conn.execute("create table public.t as select n as id from generate_series(1, 9) n")
    own = "source: o\nconnector: {type: python, module: mine}\nentities: {e: {key: [id]}}\n"
    world = make_world(
        s=files
        + "  c: {file: c.csv, key: [id]}\n  l: {file: l.jsonl, key: [id]}\n  j: {file: j.json, key: [id]}\n",
        q=f"source: q\nconnector: {{type: sql, url: '{databases.postgres}', page_size: 4}}\n"
        "entities: {t: {table: public.t, key: [id]}}\n",
        r=f"source: r\nconnector: {{type: rest, base_url: '{api}', headers: {{X: {{secret: x}}}}, "
        "paginator: {type: link_header}}\nentities: {p: {request: {path: /link}, key: [id]}}\n",
        o=own,
    )
    world.write("c.csv", "id,v\n1,a\n2,b,c\n")
    world.write("l.jsonl", '{"id": 1}\r\n{"id": 2}')
    world.write("j.json", '[\n {"id": 1}\n]')
    folder = world.folder / "connectors"
    folder.mkdir()
    (folder / "mine.py").write_text(OWN)
    resolve = lambda value: "t0ps3cret" if isinstance(value, SecretRef) else value  # noqa: E731  # used once
    for source in world.platform.catalog.sources.values():
        for entity in source.entities:
            pages = check_extract(
                extract_of(source, folder), request_for(source, entity, resolve), secrets=["t0ps3cret"]
            )
            assert sum(len(p.data) for p in pages if isinstance(p, Page)) > 0
    with pytest.raises(ContractError, match="one line"):
        check_extract(lambda r, s: (yield Page([b"{\n}"])), request_for(source, entity))
