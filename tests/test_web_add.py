"""A source that is added on the pages: by form, from a thing, by its text; what is typed as a secret goes to the store."""

from __future__ import annotations

import html
import re
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from conftest import MakeWorld, serving
from dataplatform.metadata.yaml_file import parse
from dataplatform.secrets import LocalStore
from web_server import YAML, Browser, Web, served

TOKEN = "tok-3f9d8e7a6b5c4d3e2f1a"


class Api(BaseHTTPRequestHandler):
    """Wants a token; its answer tells it again, as careless APIs do."""

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        body = f'[{{"id": 1, "made": "2026-01-31", "you": "{TOKEN}"}}, {{"id": 2, "made": "2026-02-01", "tags": [{{"id": 7}}]}}, {{"made": null}}]'
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode() if known else b"{}")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def web(make_world: MakeWorld) -> Iterator[Web]:
    with served(make_world(s=YAML)) as found:
        yield found


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{re.escape(name)}" value="([^"]*)"', page)
    assert found, (name, page)
    return html.unescape(found[1])


def text_of(page: str) -> str:
    found = re.search(r"<textarea id=\"text\"[^>]*>(.*?)</textarea>", page, re.S)
    assert found, page
    return html.unescape(found[1])


def test_by_form_with_a_token_that_only_the_store_sees(web: Web, tmp_path: Path) -> None:
    browser = web.browser().sign_in()
    with serving(Api) as address:
        form = {
            "kind": "rest", "count": "1", "source": "shop", "connector.base_url": f"http://{address}",
            "connector.auth.type": "bearer", "every": "1h",
        }  # fmt: skip
        shown = browser.post("/sources/add/form", {**form, "do": "show"}).text
        assert 'type="password" name="connector.auth.token"' in shown
        form |= {"draft": field(shown, "draft")}
        wrong = browser.post(
            "/sources/add/form", {**form, "connector.auth.token": TOKEN, "entities.0.name": "Orders"}
        )
        assert wrong.status_code == 400
        assert TOKEN not in wrong.text
        assert 'id="wrong.entities.0.name"' in wrong.text
        assert 'id="wrong.entities.0.key"' in wrong.text or 'id="wrong.entities.0.name"' in wrong.text
        form |= {"entities.0.name": "orders", "entities.0.key": "id", "entities.0.request.path": "/orders"}
        draft = browser.post("/sources/add/form", form)
        assert draft.status_code == 200, draft.text
        text = text_of(draft.text)
        assert "token: {secret: shop/token}" in text
        assert "typed; kept in memory" in draft.text
        more = {"text": text, "draft": field(draft.text, "draft"), "seen": field(draft.text, "seen")}
        tried = browser.post("/sources/new", {**more, "do": "try"}).text
        assert "3 on the first page" in tried
        assert "2026-02-01" in tried
        assert "1 in the list" in tried
        assert "would wait in quarantine" in tried
        assert TOKEN not in draft.text + tried, "not even where the API tells it"
        assert not LocalStore(tmp_path / "home").names(), "nothing is kept before it is saved"
        assert browser.post("/sources/new", {**more, "do": "save"}).headers["location"] == "/sources/shop"
        assert LocalStore(tmp_path / "home").get("shop/token") == TOKEN
        written = (tmp_path / "metadata" / "sources" / "shop.yaml").read_text()
        assert written == text
        assert TOKEN not in written
        run = browser.post("/sources/shop/run").headers["location"]
        _wait(browser, run)
    assert (
        web.world.rows('select made from silver."shop__orders" order by id')[1][0].isoformat() == "2026-02-01"
    )
    assert TOKEN not in str(web.world.rows('select * from silver."shop__orders"'))


def _wait(browser: Browser, run: str) -> None:
    for _ in range(300):
        if "<progress" not in browser.get(f"{run}/part").text:
            return
    raise AssertionError("the run did not end")


def test_from_a_database_whose_password_becomes_a_secret_and_from_files(web: Web, tmp_path: Path) -> None:
    browser = web.browser().sign_in()
    file = tmp_path / "shop.db"
    with sqlite3.connect(file) as conn:
        conn.execute("create table orders (id integer primary key, total real)")
        conn.execute("insert into orders values (1, 2.5)")
    drafted = browser.post("/sources/add/draft", {"given": str(file), "name": ""})
    assert drafted.status_code == 200, drafted.text
    assert "key: [id]" in text_of(drafted.text)
    url = str(web.world.platform.engine.url.render_as_string(hide_password=False)).replace("+psycopg", "")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "people-2026-01.csv").write_text("id,name\n1,Ada\n2,Zoë\n")
    drafted = browser.post("/sources/add/draft", {"given": str(tmp_path / "in"), "name": "folk"})
    assert "source: folk" in text_of(drafted.text)
    assert "different in each of 2 records" in drafted.text
    for given, told in (
        ("", "say what there is"),
        ("/nowhere/at/all", "is not there"),
        (
            url.replace("://", "://u:pässwörd@", 1)
            if "@" not in url
            else "postgresql://u:hunter2hunter2@127.0.0.1:1/x",
            "cannot be read",
        ),
    ):
        answer = browser.post("/sources/add/draft", {"given": given})
        assert answer.status_code == 400, given
        assert told in answer.text
        assert "hunter2" not in answer.text
    for given in (
        "https://hunter2@h.example/x",
        "https://h.example/x?api_key=hunter2",
        "https://u:hunter2@h.example/x",
    ):
        answer = browser.post("/sources/add/draft", {"given": given, "name": "s", "header": "no header"})
        assert answer.status_code == 400
        assert "hunter2" not in answer.text
    taken = browser.post("/sources/add/draft", {"given": str(tmp_path / "in"), "name": "s"})
    assert "there is a source s already" in taken.text


def test_every_kind_has_a_form_and_wrong_input_is_told_at_its_field(web: Web) -> None:
    from dataplatform.metadata.kinds import KINDS

    browser = web.browser().sign_in()
    page = browser.get("/sources/add").text
    for kind in KINDS:
        assert f"/sources/add/form?kind={kind}" in page
        assert browser.get(f"/sources/add/form?kind={kind}").status_code == 200
        answer = browser.post("/sources/add/form", {"kind": kind, "count": "1"})
        assert answer.status_code == 400
        assert 'id="wrong.source"' in answer.text
    assert browser.get("/sources/add/form?kind=<b>").status_code == 404
    wrong = {
        "kind": "files", "count": "2", "source": "x", "connector.path": "/d", "connector.page_size": "many",
        "connector.options": "a: [", "entities.0.name": "e", "entities.0.file": "e.csv", "entities.0.key": "id",
        "entities.1.name": "e", "entities.1.file": "<script>", "entities.1.key": "id", "every": "soon",
    }  # fmt: skip
    answer = browser.post("/sources/add/form", wrong)
    for name in ("connector.page_size", "connector.options", "entities.1.name"):
        assert f'id="wrong.{name}"' in answer.text, name
    assert '<script>"' not in answer.text
    assert "is not a duration" in answer.text
    assert browser.post("/sources/add/form", {**wrong, "count": "99999999", "do": "more"}).status_code == 200


def test_a_secret_that_another_store_has_is_not_shadowed(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = web.browser().sign_in()
    monkeypatch.setenv("DATAPLATFORM_SECRET_Q_URL", "sqlite:////tmp/one.db")
    text = "source: q\nconnector: {type: sql, url: {secret: q/url}}\nentities:\n  e: {table: e, key: [id]}\n"
    sent = {"text": text, "secret:q/url": "sqlite:////tmp/two.db", "secret:s/other": "not of this source"}
    answer = browser.post("/sources/new", sent)
    assert answer.status_code == 400
    assert "has another value in environment" in answer.text
    assert not (tmp_path / "metadata" / "sources" / "q.yaml").exists()
    monkeypatch.delenv("DATAPLATFORM_SECRET_Q_URL")
    assert browser.post("/sources/new", sent).status_code == 303
    assert LocalStore(tmp_path / "home").names() == ["q/url"]


def test_only_an_admin_may(web: Web) -> None:
    from dataplatform.access import users

    users.add(web.world.platform.engine, "bob", "a long enough password", "act")
    browser = web.browser().sign_in("bob", "a long enough password")
    assert browser.get("/sources/add").status_code == 403
    for path in ("/sources/add/draft", "/sources/add/form", "/sources/new"):
        assert browser.post(path, {"given": "/etc", "kind": "files"}).status_code == 403, path


CARD = """title: Things <b>
description: All things
category: Tests
docs: https://example.org/api
checked: 2026-01-01
needs: a token
asks:
  - {name: url, question: Address}
  - {name: token, question: Token, secret: true}
---
source: "<<source>>"
connector: {type: rest, base_url: "<<url>>", auth: {type: bearer, token: {secret: "<<token>>"}}}
entities:
  things: {request: {path: /things}, key: [id]}
"""


def test_from_the_gallery_with_answers_that_stay_answers(web: Web, tmp_path: Path) -> None:
    folder = tmp_path / "metadata" / "gallery"
    folder.mkdir()
    (folder / "things.yaml").write_text(CARD)
    browser = web.browser().sign_in()
    assert "Things &lt;b&gt;" in browser.get("/sources/add/gallery?q=things").text
    assert "Miniflux" in browser.get("/sources/add/gallery").text
    assert browser.get("/sources/add/gallery/none").status_code == 404
    assert browser.get("/sources/add/gallery/..%2Fsources%2Fs").status_code == 404
    path = "/sources/add/gallery/things"
    assert "needs to know" in browser.post(path, {"source": "mine"}).text
    assert browser.post(path, {"source": "../x"}).status_code == 400
    assert "already" in browser.post(path, {"source": "s", "ask:url": "http://x", "ask:token": TOKEN}).text
    with serving(Api) as address:
        sly = 'http://x", evil: "y'
        bad = browser.post(path, {"source": "mine", "ask:url": sly, "ask:token": TOKEN})
        assert parse(text_of(bad.text)).data["connector"]["base_url"] == sly, "it ends no value"
        filled = browser.post(path, {"source": "mine", "ask:url": f"http://{address}", "ask:token": TOKEN})
        text = text_of(filled.text)
        assert "mine/token" in text
        assert TOKEN not in filled.text
        more = {"text": text, "draft": field(filled.text, "draft"), "seen": field(filled.text, "seen")}
        assert "3 on the first page" in browser.post("/sources/new", {**more, "do": "try"}).text
    assert browser.post("/sources/new", more).status_code == 303
    assert LocalStore(tmp_path / "home").get("mine/token") == TOKEN
    (folder / "things.yaml").write_text("title: [")
    assert "Miniflux" in browser.get("/sources/add/gallery").text
    assert browser.get(path).status_code == 400


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://cloud:5232/ann@example.org/", 200), ("https://cloud:8443/x?as=ann@example.org", 200),
        ("http://ann:1234@cloud/", 400),
        ("http://ann:hunter2/x@cloud/", 400), ("http://:hunter2@cloud:80/", 400),
    ],
)  # fmt: skip
def test_a_port_is_no_password(web: Web, url: str, status: int) -> None:
    text = f"source: x\nconnector: {{type: rest, base_url: '{url}'}}\nentities:\n  e: {{request: {{path: /x}}, key: [id]}}\n"
    answer = web.browser().sign_in().post("/sources/new", {"text": text, "do": "check"})
    assert answer.status_code == status
    assert ("a secret stands here" in answer.text) == (status == 400)


def test_yaml_that_repeats_itself_is_told(web: Web) -> None:
    browser = web.browser().sign_in()
    many = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    for text in ("source: x\na: &a [*a]\n", "source: x\nb: &b {c: *b}\n", f"source: x\n{many}"):
        answer = browser.post("/sources/new", {"text": text, "do": "check"})
        assert answer.status_code == 400
        assert "does an alias (*name) repeat it?" in answer.text


def test_of_those_who_save_at_once_one_does(web: Web, tmp_path: Path) -> None:
    browsers, file = [web.browser().sign_in() for _ in range(6)], tmp_path / "metadata" / "sources" / "s.yaml"
    for turn in range(4):
        pages, before = [browser.get("/sources/s/edit").text for browser in browsers], file.read_text()
        start = threading.Barrier(len(browsers))

        def save(number: int) -> int:
            text = re.sub(r"every: \d+h", f"every: {10 * turn + number + 2}h", before)  # noqa: B023  # joined below
            start.wait(10)  # noqa: B023
            form = {"text": text, "seen": field(pages[number], "seen")}  # noqa: B023
            return browsers[number].post("/sources/s/edit", form).status_code

        with ThreadPoolExecutor(len(browsers)) as at_once:
            answers = list(at_once.map(save, range(len(browsers))))
        assert sorted(answers) == [303, 400, 400, 400, 400, 400]
        assert f"every: {10 * turn + answers.index(303) + 2}h" in file.read_text()
        assert len(list((tmp_path / "home" / "web" / "earlier" / "s").iterdir())) == turn + 1
    assert [path.name for path in file.parent.iterdir()] == ["s.yaml"]


def test_an_edit_can_be_taken_back(web: Web, tmp_path: Path) -> None:
    browser, file = web.browser().sign_in(), tmp_path / "metadata" / "sources" / "s.yaml"
    first = file.read_text()

    def save(text: str) -> None:
        page = browser.get("/sources/s/edit").text
        assert browser.post("/sources/s/edit", {"text": text, "seen": field(page, "seen")}).status_code == 303

    save(first.replace("every: 1h", "every: 2h"))
    save(first.replace("every: 1h", "every: 2h"))
    page = browser.get("/sources/s/edit").text
    (link,) = re.findall(r"/sources/s/edit/earlier/[^\"]+", page)
    assert "when anna changed it" in page
    old = browser.get(link).text
    assert text_of(old).strip() == first.strip()
    assert "+triggers: [{type: interval, every: 1h}]" in html.unescape(old)
    assert file.read_text() != first, "to look writes nothing"
    answer = browser.post("/sources/s/edit", {"text": text_of(old), "seen": field(old, "seen")})
    assert answer.status_code == 303
    assert file.read_text().strip() == first.strip()
    assert browser.get("/sources/s/edit/earlier/..%2F..%2Fsecrets.key").status_code == 404
    assert browser.get("/sources/s/edit/earlier/nothing").status_code == 404
    kept = tmp_path / "home" / "web" / "earlier" / "s"
    assert len(list(kept.iterdir())) == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept.iterdir())
