"""CalDAV and CardDAV on Debian's Radicale, a server of the test's own; and on servers that know less of the protocol."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import MakeWorld, World, serving
from dataplatform.connectors import Page
from dataplatform.connectors.dav import extract
from dataplatform.connectors.testing import check_extract, request_for
from test_replica_set import free_port

RADICALE = shutil.which("radicale")
pytestmark = pytest.mark.skipif(not RADICALE, reason="apt-get install radicale")
AUTH = ("ann", "hunter2")
EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20260101T000000Z\r\n"
    "DTSTART;TZID=Europe/Amsterdam:20260105T090000\r\nSUMMARY:{title}\r\nRRULE:FREQ=DAILY;COUNT=3\r\nEND:VEVENT\r\n"
    "BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nRECURRENCE-ID;TZID=Europe/Amsterdam:20260106T090000\r\n"
    "DTSTART;TZID=Europe/Amsterdam:20260106T110000\r\nSUMMARY:later\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
CARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nN:B;Änn;;;\r\nFN:{title}\r\nEMAIL;TYPE=HOME:a@x\r\nEND:VCARD\r\n"
MAKE = (
    '<D:mkcol xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:A="urn:ietf:params:xml:ns:carddav"><D:set><D:prop>'
    "<D:resourcetype><D:collection/>{kind}</D:resourcetype><D:displayname>{name}</D:displayname></D:prop></D:set></D:mkcol>"
)


class Server:
    """Radicale, and what another program of the same person does there."""

    def __init__(self, port: int, folder: Path) -> None:
        self.url, self.folder = f"http://127.0.0.1:{port}", folder

    def make(self, name: str, kind: str) -> None:
        self.ask("MKCOL", f"/ann/{name}/", MAKE.format(kind=kind, name=f"My {name}"))

    def ask(self, method: str, path: str, body: str = "") -> None:
        answer = httpx.request(method, self.url + path, content=body.encode(), auth=AUTH)
        assert answer.status_code in (200, 201, 204, 207), answer.text


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    port = free_port()
    (tmp_path / "users").write_text("ann:hunter2\n")
    assert RADICALE
    argv = [RADICALE, "--config", "", "--server-hosts", f"127.0.0.1:{port}", "--auth-type", "htpasswd", "--auth-htpasswd-filename", str(tmp_path / "users"),
            "--auth-htpasswd-encryption", "plain", "--storage-filesystem-folder", str(tmp_path / "dav")]  # fmt: skip
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL, cwd="/") as process:
        try:
            found, until = Server(port, tmp_path / "dav"), time.monotonic() + 30
            while True:
                try:
                    found.ask("PROPFIND", "/")
                    break
                except httpx.TransportError:
                    assert time.monotonic() < until
                    time.sleep(0.1)
            found.make("calendar", "<C:calendar/>")
            found.make("people", "<A:addressbook/>")
            yield found
        finally:
            process.terminate()
            process.wait(10)


def source(url: str, password: str = "hunter2", more: str = "") -> str:
    return (
        f"source: s\nconnector: {{type: dav, url: '{url}', username: ann, password: {password}, page_size: 2}}\n"
        f"entities:\n  events: {{kind: calendar, max_quarantine: 100%{more}}}\n  people: {{kind: addressbook}}\n"
    )


def counts(world: World, entity: str = "events") -> Any:
    result = world.run("s", entity)
    assert not result.failed, result.failed
    return result.entities[entity].counts


def titles(world: World) -> list[str]:
    return [row[0] for row in world.rows("select summary from silver_current.s__events order by 1")]


def test_calendars_and_address_books(make_world: MakeWorld, server: Server) -> None:
    for number in range(5):
        server.ask("PUT", f"/ann/calendar/{number}.ics", EVENT.format(uid=number, title=f"Größe {number}"))
    server.ask("PUT", "/ann/people/1.vcf", CARD.format(uid=1, title="Änn B"))
    world = make_world(s=source(server.url))
    assert counts(world).inserted == 5
    assert counts(world, "people").inserted == 1
    assert world.rows("select name, collection from silver.s__people") == [("Änn B", "My people")]
    [(start, rrule, overrides)] = world.rows(
        "select dtstart::timestamptz::text, rrule, (select count(*) from silver.s__events__overrides) from silver.s__events limit 1"
    )
    assert (start, rrule, overrides) == ("2026-01-05 08:00:00+00", "FREQ=DAILY;COUNT=3", 5)
    assert counts(world).read == 0
    server.ask("PUT", "/ann/calendar/1.ics", EVENT.format(uid=1, title="changed"))
    server.ask("DELETE", "/ann/calendar/2.ics")
    server.ask("PUT", "/ann/calendar/9.ics", EVENT.format(uid=9, title="new"))
    again = counts(world)
    assert again.inserted == 2
    assert titles(world) == ["Größe 0", "Größe 3", "Größe 4", "changed", "new"]
    assert world.rows("select dp_deleted from silver.s__events where summary = 'Größe 2'") == [(True,)]
    shutil.rmtree(next(server.folder.glob("**/calendar")) / ".Radicale.cache")  # it forgets its tokens
    server.ask("DELETE", "/ann/calendar/3.ics")
    counts(world)
    assert titles(world) == ["Größe 0", "Größe 4", "changed", "new"]
    server.ask("DELETE", "/ann/calendar/")
    server.make("other", "<C:calendar/>")
    counts(world)
    assert titles(world) == []


def test_what_is_asked_for(make_world: MakeWorld, server: Server) -> None:
    server.make("home", "<C:calendar/>")
    server.ask("PUT", "/ann/calendar/1.ics", EVENT.format(uid=1, title="work"))
    server.ask("PUT", "/ann/home/1.ics", EVENT.format(uid=1, title="home"))
    world = make_world(s=source(server.url, more=", collections: [ho*]"))
    assert counts(world).inserted == 1
    assert titles(world) == ["home"]
    direct = make_world(d=source(f"{server.url}/ann/calendar/").replace("source: s", "source: d"))
    assert not direct.run("d", "events").failed
    assert direct.rows("select summary from silver_current.d__events") == [("work",)]
    assert "HTTP 401" in make_world(s=source(server.url, "wrong")).run("s", "events").failed["events"]
    assert (
        "no calendar that matches"
        in make_world(s=source(server.url, more=", collections: [x]")).run("s", "events").failed["events"]
    )
    assert (
        make_world(s=source(f"http://127.0.0.1:{free_port()}"))
        .run("s", "events")
        .entities["events"]
        .transient
    )


def test_a_broken_object_and_the_contract(make_world: MakeWorld, server: Server) -> None:
    server.ask("PUT", "/ann/people/1.vcf", CARD.format(uid=1, title="A"))
    world = make_world(s=source(server.url))
    counts(world, "people")
    pages = check_extract(
        extract, request_for(world.platform.catalog.sources["s"], "people"), secrets=["hunter2"]
    )
    assert sum(len(p.data) for p in pages if isinstance(p, Page)) == 1


class Plain(BaseHTTPRequestHandler):
    """A server of few words: no sync-collection, no ctag, prefixes of its own, a broken event; `objects` is what it has."""

    objects: dict[str, str] = {}  # noqa: RUF012  # http.server makes the object

    def do_PROPFIND(self) -> None:
        self._body()
        head = '<x:response xmlns:x="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><x:href>/cal/</x:href><x:propstat><x:prop><x:resourcetype><x:collection/><c:calendar/></x:resourcetype>TOKEN</x:prop><x:status>HTTP/1.1 200 OK</x:status></x:propstat></x:response>'
        head = head.replace("TOKEN", f"<x:sync-token>{self.token}</x:sync-token>" if self.token else "")
        each = "".join(
            f'<x:response xmlns:x="DAV:"><x:href>/cal/{n}</x:href><x:propstat><x:prop><x:getetag>"{hash(t)}"</x:getetag><x:resourcetype/></x:prop><x:status>HTTP/1.1 200 OK</x:status></x:propstat></x:response>'
            for n, t in self.objects.items()
        )
        self._answer(
            207,
            f'<x:multistatus xmlns:x="DAV:">{head}{each if self.headers["Depth"] == "1" else ""}</x:multistatus>',
        )

    kept_back: str | None = None
    as_error = False
    token = ""

    def do_REPORT(self) -> None:
        body = self._body()
        if "sync-collection" in body and self.token:
            listed = [] if self.token in body else list(self.objects)  # nothing has changed since that token
            each = "".join(
                f"<D:response><D:href>/cal/{n}</D:href><D:propstat><D:prop/><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
                for n in listed
            )
            told = f"{each}<D:sync-token>{self.token}</D:sync-token>"
            return self._answer(207, f'<D:multistatus xmlns:D="DAV:">{told}</D:multistatus>')
        if "sync-collection" in body:
            return self._answer(403, "")
        each = "".join(
            f'<D:response><D:href>/cal/{n}</D:href><D:propstat><D:prop><D:getetag>"{hash(t)}"</D:getetag><C:calendar-data>{t}</C:calendar-data></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>'
            for n, t in self.objects.items() if f"/cal/{n}<" in body and n != self.kept_back
        )  # fmt: skip
        if self.as_error:
            each += f"<D:response><D:href>/cal/{self.kept_back}</D:href><D:propstat><D:prop><D:getetag/><C:calendar-data/></D:prop><D:status>HTTP/1.1 500 Internal Server Error</D:status></D:propstat></D:response>"
        return self._answer(
            207,
            f'<D:multistatus xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">{each}</D:multistatus>',
        )

    def _body(self) -> str:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_a_server_of_few_words(make_world: MakeWorld) -> None:
    Plain.objects = {
        "a.ics": EVENT.format(uid="a", title="A"),
        "b.ics": EVENT.format(uid="b", title="B"),
        "x.ics": "BEGIN:VCALENDAR",
    }
    with serving(Plain) as where:
        world = make_world(s=source(f"http://{where}/cal/"))
        found = counts(world)
        assert (found.inserted, found.quarantined) == (2, 1)
        assert "/cal/x.ics" in world.quarantine()[0].reason
        assert counts(world).read == 0
        Plain.objects = {"a.ics": EVENT.format(uid="a", title="A2"), "x.ics": "BEGIN:VCALENDAR"}
        counts(world)
        assert titles(world) == ["A2"]


@pytest.mark.parametrize("token", ["", "urn:t1"])
@pytest.mark.parametrize("as_error", [False, True])
def test_an_object_that_the_server_keeps_back_is_asked_for_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, as_error: bool, token: str
) -> None:
    monkeypatch.setattr(Plain, "objects", {f"{n}.ics": EVENT.format(uid=n, title=n) for n in "abc"})
    monkeypatch.setattr(Plain, "token", token)
    monkeypatch.setattr(Plain, "as_error", as_error)
    monkeypatch.setattr(Plain, "kept_back", "b.ics")
    with serving(Plain) as where:
        world = make_world(s=source(f"http://{where}/cal/"))
        assert (found := counts(world)).inserted == 2
        assert found.quarantined == 1
        assert "/cal/b.ics: the server lists it and does not give it" in world.quarantine()[0].reason
        monkeypatch.setattr(Plain, "kept_back", None)
        monkeypatch.setattr(Plain, "as_error", False)
        assert counts(world).inserted == 1
        assert titles(world) == ["a", "b", "c"]
        assert counts(world).read == 0


class Elsewhere(Plain):
    """It tells a home on another host."""

    to = ""

    def do_PROPFIND(self) -> None:
        asked = self._body()
        name = "c:calendar-home-set" if "calendar-home-set" in asked else "x:current-user-principal"
        told = (
            f"<{name}><x:href>{self.to}/cal/</x:href></{name}>"
            if "calendar-home-set" in asked
            else f"<{name}><x:href>/me/</x:href></{name}>"
        )
        self._answer(
            207,
            f'<x:multistatus xmlns:x="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><x:response><x:href>/</x:href><x:propstat><x:prop>{told}</x:prop><x:status>HTTP/1.1 200 OK</x:status></x:propstat></x:response></x:multistatus>',
        )


def test_the_password_goes_to_hosts_that_are_named(make_world: MakeWorld) -> None:
    Plain.objects = {"a.ics": EVENT.format(uid="a", title="A")}
    with serving(Plain) as there, serving(Elsewhere) as where:
        Elsewhere.to = f"http://localhost:{there.rpartition(':')[2]}"
        text = source(f"http://{where}/")
        assert (
            "sends us on to another server, localhost"
            in make_world(s=text).run("s", "events").failed["events"]
        )
        world = make_world(s=text.replace("page_size", "hosts: [localhost], page_size"))
        assert counts(world).inserted == 1
        assert counts(world).read == 0


class BehindAPage(Plain):
    """Its own address is a web page, as Nextcloud's: the calendars are found by `/.well-known/caldav`."""

    def do_PROPFIND(self) -> None:
        if self.path == "/":
            self._body()
            return self._answer(405, "")
        if self.path == "/cal/":
            return super().do_PROPFIND()
        asked = self._body()
        name, href = (
            ("c:calendar-home-set", "/cal/")
            if "calendar-home-set" in asked
            else ("x:current-user-principal", "/me/")
        )
        return self._answer(
            207,
            '<x:multistatus xmlns:x="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><x:response><x:href>/</x:href><x:propstat>'
            f"<x:prop><{name}><x:href>{href}</x:href></{name}></x:prop><x:status>HTTP/1.1 200 OK</x:status></x:propstat></x:response></x:multistatus>",
        )


def test_the_address_of_a_server_that_is_a_web_page(make_world: MakeWorld) -> None:
    Plain.objects = {"a.ics": EVENT.format(uid="a", title="A")}
    with serving(BehindAPage) as where:
        assert counts(make_world(s=source(f"http://{where}/"))).inserted == 1
