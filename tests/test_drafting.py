"""From nothing to a source's file: what is drafted from files, an API and a database loads as it is."""

from __future__ import annotations

import json
import sqlite3
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import MakeWorld, World, execute, serving
from dataplatform.drafting.proposals import proposal
from dataplatform.drafting.sources import draft
from dataplatform.drafting.text import as_source, as_yaml
from dataplatform.errors import MetadataError, SourceError
from test_purge import program

BANK = (
    "Datum;Omschrijving;Bedrag;Saldo\n31/01/2026;Huur;-1.900,00;100,00\n02/02/2026;Loon;2.500,00;2.600,00\n"
)


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()


@pytest.mark.slow
def test_a_folder_becomes_a_source_that_loads(world: World) -> None:
    for month in ("01", "02"):
        world.write(f"bank-2026-{month}.csv", BANK if month == "01" else BANK.replace("Huur", "Gas"))
    orders = [
        {
            "id": n,
            "customer": {"id": n % 7},
            "lines": [{"id": line, "sku": f"s{line}"} for line in range(n % 4)],
        }
        for n in range(60)
    ]
    world.write("orders.json", json.dumps({"orders": orders}))
    weather = "".join(f"S{s},2026-01-{d:02},{(s * 7 + d) % 13 / 2}\n" for s in range(3) for d in range(1, 29))
    world.write("weather.csv", "station,date,temp\n" + weather)
    world.write("notes.txt", "no data")
    said = program(world, "new", "source", str(world.folder / "data"), "--name", "mine")
    entities = read(said["text"])["entities"]
    assert entities["bank"] == {
        "file": "bank-2026-*.csv", "key": "row", "decimal": ",", "thousands": ".",
        "columns": {"Datum": {"type": "date", "format": "%d/%m/%Y"}},
    }  # fmt: skip
    assert entities["orders"] == {
        "file": "orders.json",
        "key": ["id"],
        "children": {"lines": {"key": ["id"]}},
    }
    assert entities["weather"]["key"] == ["station", "date"]
    assert program(world, "run", "mine")["status"] == "done"
    query = "select distinct data_type from information_schema.columns where table_name = 'mine__bank' and column_name = '{}'"
    assert world.rows(query.format("datum")) == [("date",)]
    assert world.rows("select count(*), sum(bedrag) from silver_current.mine__bank") == [(4, 1200)]
    assert world.rows("select count(*) from silver_current.mine__orders__lines") == [(90,)]
    assert (
        "is there already"
        in program(world, "new", "source", str(world.folder / "data"), "--name", "mine", code=1)["error"]
    )


def read(text: str) -> Any:
    import yaml

    return yaml.safe_load(text)


class Api(BaseHTTPRequestHandler):
    """Items on pages that a Link header names, for who has the key."""

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        if asked.get("api_key") != ["s3cret-word"]:
            self.answer(401, {"error": "no"}, {})
            return
        page = int(asked.get("page", ["1"])[0])
        items = [
            {"item_id": f"i{n}", "name": f"name {n}", "updated_at": "2026-01-01T00:00:00Z"}
            for n in range(page * 30, page * 30 + 30)
        ]
        host = self.headers["Host"]
        more = (
            {"Link": f'<http://{host}/v1/items?api_key=s3cret-word&page={page + 1}>; rel="next"'}
            if page < 3
            else {}
        )
        self.answer(200, {"data": items, "total": 90}, more)

    def answer(self, code: int, body: Any, headers: dict[str, str]) -> None:
        text = json.dumps(body).encode()
        self.send_response(code)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(text)),
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.slow
def test_an_api_becomes_a_source_that_loads_and_its_key_is_no_text_of_the_file(world: World) -> None:
    with serving(Api) as host:
        said = program(world, "new", "source", f"http://{host}/v1/items?api_key=s3cret-word", "--name", "api")
        assert "s3cret-word" not in json.dumps(said)
        assert said["secrets"] == ["api/api_key"]
        drafted = read(said["text"])
        assert drafted["connector"]["params"] == {"api_key": {"secret": "api/api_key"}}
        assert drafted["entities"]["items"]["key"] == ["item_id"]
        assert any("updated_at" in note for note in said["notes"]["items"])
        assert program(world, "run", "api")["status"] == "done"
        assert world.rows("select count(*), count(distinct item_id) from silver_current.api__items") == [
            (90, 90)
        ]
        wrong = program(world, "new", "source", f"http://{host}/v1/items", "--name", "shut")
        assert "401" in wrong["notes"]["items"][0]


def test_a_database_becomes_a_source_that_loads(world: World, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    conn = sqlite3.connect(path)
    conn.executescript(
        "create table Customers(CustomerID integer primary key, Name text, UpdatedAt text); create table log(line text);"
        "insert into Customers values (1, 'a', '2026-01-01 10:00:00'), (2, 'b', '2026-01-02 10:00:00');"
        "insert into log values ('x');"
    )
    conn.close()
    said = program(world, "new", "source", str(path))
    assert read(said["text"])["entities"] == {
        "customers": {"table": "Customers", "key": ["CustomerID"]}, "log": {"table": "log", "key": "row"},
    }  # fmt: skip
    assert program(world, "run", "shop")["status"] == "done"
    settings = world.platform.settings
    assert settings.postgres_url is not None
    execute(world, "create table visits (id uuid, at timestamptz, page text, primary key (id, at))")
    said = program(
        world, "new", "source", settings.postgres_url.get_secret_value(), "--name", "own", "--stdout"
    )
    assert said["file"] is None
    assert read(said["text"])["entities"]["visits"]["key"] == ["id", "at"]
    assert not (world.folder / "metadata" / "sources" / "own.yaml").exists()


@pytest.mark.slow
def test_what_is_landed_proposes_keys(world: World) -> None:
    world.write(
        "a.csv", "iban,date,text\n" + "".join(f"NL{n:02},2026-01-{n + 1:02},t{n % 2}\n" for n in range(25))
    )
    (world.folder / "metadata" / "sources" / "s.yaml").write_text(
        f"source: s\nconnector: {{type: files, path: '{world.folder}/data'}}\nentities:\n  a: {{file: a.csv, key: row}}\n"
    )
    assert "nothing of s.a has landed" in program(world, "infer", "s", code=1)["error"]
    program(world, "run", "s")
    found = program(world, "infer", "s")["entities"]["a"]
    assert found["proposal"]["key"] == ["iban"]
    assert "its key is row now" in found["notes"][-1]
    assert "has no entity b" in program(world, "infer", "s", "b", code=1)["error"]


@pytest.mark.parametrize(
    ("records", "name", "key"),
    [
        ([{"id": 1}, {"id": 2}], "x", ("id",)),
        ([{"id": 1}, {"id": 1}], "x", ()),
        ([{"id": None}, {"id": 1}], "x", ()),
        ([{"order_id": 1, "customer_id": 5}, {"order_id": 2, "customer_id": 6}], "orders", ("order_id",)),
        ([{"n": i, "amount": i} for i in range(30)], "x", ()),  # numbers that only happen to differ
        ([{"email": f"{i}@x", "at": "2026-01-01"} for i in range(30)], "x", ("email",)),
        ([{"v": 1.5}, {"v": 2.5}], "x", ()),
        ([{}], "x", ()),
    ],
)
def test_keys_that_records_propose(records: list[dict[str, Any]], name: str, key: tuple[str, ...]) -> None:
    assert proposal(records, (), name).key == key


def test_a_format_that_is_not_sure_is_asked_for_and_not_guessed() -> None:
    both = proposal([{"d": "01/02/2026"}, {"d": "03/04/2026"}])
    assert both.columns == {}
    assert any("%d/%m/%Y or %m/%d/%Y" in note for note in both.notes)
    assert proposal([{"amount": "20260101"}]).columns == {}


def test_nothing_is_drafted_from_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not there"):
        draft(str(tmp_path / "no.csv"))
    with pytest.raises(SourceError, match="no files of a known format"):
        draft(str(tmp_path))
    with pytest.raises(MetadataError, match="cannot be the name"):
        draft(str(tmp_path), "No Name")
    with pytest.raises(SourceError, match="cannot be read") as caught:
        draft("postgresql://u:hidden-word@127.0.0.1:1/x")
    assert "hidden-word" not in str(caught.value)
    with pytest.raises(SourceError, match="cannot be read") as caught:
        draft("postgresql://u:hid@den-word@host:port/x")
    assert "den-word" not in str(caught.value)
    with pytest.raises(SourceError, match="is not there"):
        draft(f"sqlite:///{tmp_path}/no.db")
    assert not (tmp_path / "no.db").exists(), "to look makes nothing"


@pytest.mark.parametrize(
    "given", ["http://[::1/x", "~nobody-has-this-name/x.csv", "a" * 300, "https://u:p℀q@h/x"]
)
def test_what_is_no_address_and_no_path_is_told(given: str) -> None:
    with pytest.raises(SourceError, match="cannot be looked at") as caught:
        draft(given)
    assert "p℀q" not in str(caught.value)


def test_a_large_file_is_not_read_to_know_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "big.csv").write_text("id\n1\n")
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail(f"{self} is read whole"))
    assert "big" in draft(str(tmp_path / "big.csv")).document["entities"]


@pytest.mark.parametrize(
    ("given", "secrets"),
    [
        ("https://sk_live_1@api.example.org/v1/charges", {"example/username": "sk_live_1"}),
        ("https://sk_live_1:@api.example.org/v1/charges", {"example/username": "sk_live_1"}),
        ("https://ann:sk_live_1@example.org/x", {"example/password": "sk_live_1"}),
        ("https://example.org/x?private_token=sk_live_1&page=2", {"example/private_token": "sk_live_1"}),
        ("https://example.org/x?api-key=sk_live_1", {"example/api_key": "sk_live_1"}),
        ("https://example.org/x?client_secret=sk_live_1", {"example/client_secret": "sk_live_1"}),
        ("sftp://ann:sk_live_1@host/in/x.csv", {"x/path": "sftp://ann:sk_live_1@host/in"}),
    ],
)
def test_what_lets_us_in_is_no_text_of_the_file(given: str, secrets: dict[str, str]) -> None:
    made = draft(given)
    assert dict(made.secrets) == secrets
    assert "sk_live_1" not in as_yaml(made.document)
    assert as_source(as_yaml(made.document), Path(f"{made.name}.yaml")).source == made.name


@pytest.mark.slow
def test_an_api_with_a_header(world: World) -> None:
    class Deep(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = (
                self.headers.get("x-api-key") == "s3cret-word"
                or self.headers.get("authorization") == "Token s3cret-word"
            )
            inner = {"kind": "vector", "result": [{"id": n, "v": n / 2} for n in range(10)]}
            body = json.dumps({"status": "ok", "data": inner} if allowed else {"status": "no"}).encode()
            self.send_response(200 if allowed else 401)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with serving(Deep) as address:
        url = f"http://{address}/v1/readings"
        said = program(
            world,
            "new",
            "source",
            url,
            "--name",
            "a",
            "--header",
            "X-Api-Key: s3cret-word",
            "--header",
            "X-Kind: b",
        )
        drafted = read(said["text"])
        assert drafted["connector"]["auth"] == {
            "type": "api_key",
            "name": "X-Api-Key",
            "key": {"secret": "a/token"},
        }
        assert drafted["connector"]["headers"] == {"X-Kind": "b"}
        assert drafted["entities"]["readings"] == {
            "request": {"path": "/v1/readings", "records": "data.result"}, "key": ["id"],
        }  # fmt: skip
        assert "reads them all" in json.dumps(said["notes"])
        assert program(world, "run", "a")["entities"]["readings"]["inserted"] == 10
        said = program(
            world, "new", "source", url, "--name", "b", "--header", "Authorization: Token s3cret-word"
        )
        assert read(said["text"])["connector"]["auth"]["prefix"] == "Token "
        assert "s3cret-word" not in said["text"]
        assert program(world, "run", "b")["entities"]["readings"]["inserted"] == 10
        assert (
            "is no header"
            in program(world, "new", "source", url, "--name", "c", "--header", "x", code=1)["error"]
        )
    bearer = draft("https://api.example.org/items", "d", ["Authorization: Bearer abc"])
    assert bearer.document["connector"]["auth"] == {"type": "bearer", "token": {"secret": "d/token"}}


@pytest.mark.slow
def test_exports_are_recognised(world: World) -> None:
    import zipfile

    import test_exports as made

    world.write("bookmarks.html", made.NETSCAPE % (made.LINK % (1, 1767600000, 1)))
    world.write("umsaetze-2026.csv", (made.BANKS["dkb_de"][0] + made.BANKS["dkb_de"][1]).encode("cp1252"))
    world.write("WhatsApp Chat with Ann.txt", made.CHATS["de_android"][0])
    world.write("camt.xml", made.CAMT % (made.ENTRY % "3.10"))
    world.write("Records.json", json.dumps({"locations": made.RECORDS[:1]}))
    world.write("track.gpx", made.gpx(made.point(1)))
    with zipfile.ZipFile(world.write("export.zip", b""), "w") as archive:
        archive.writestr("apple_health_export/export.xml", made.health(made.beat("62.5")))
    said = program(world, "new", "source", str(world.folder / "data"), "--name", "mine")
    entities = read(said["text"])["entities"]
    assert {name: about.get("profile") or about.get("format") for name, about in entities.items()} == {
        "bookmarks": "bookmarks", "umsaetze": "dkb_de", "whats_app_chat_with_ann": "whatsapp", "camt": "camt",
        "records": "google_location", "track": None, "export": "apple_health",
    }, said["text"]  # fmt: skip
    assert entities["umsaetze"]["key"] == ["id"]
    result = program(world, "run", "mine")
    assert result["status"] == "done", result
    assert all(one["inserted"] >= 1 for one in result["entities"].values()), result
    with sqlite3.connect(world.folder / "data" / "places.sqlite") as browser:
        browser.executescript("create table moz_places(id int); create table moz_historyvisits(id int)")
    drafted = draft(str(world.folder / "data" / "places.sqlite")).document["entities"]["places"]
    assert drafted["format"] == "firefox_history"
