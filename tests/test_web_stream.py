"""Progress as it is made: what a stream tells, when it ends, and that it holds nothing for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from conftest import MakeWorld
from dataplatform.web import stream
from dataplatform.web.jobs import Job
from web_server import HTML, YAML, Browser, Web, served


@pytest.fixture
def web(make_world: MakeWorld) -> Iterator[Web]:
    with served(make_world(s=YAML)) as found:
        yield found


def live_of(web: Web) -> Any:
    return web.serving.server.config.app.app.state.live  # type: ignore[union-attr]  # the guard around the app


@pytest.fixture
def go_on() -> Iterator[threading.Event]:
    found = threading.Event()
    yield found
    found.set()


def working(web: Web, go_on: threading.Event, kind: str = "k") -> Job:
    def work(say: Any) -> None:
        say(f"begun {HTML}")
        go_on.wait(30)
        say("nearly\nthere")

    found: Job = live_of(web).jobs.start(kind, "Some work", "anna", work, "/tables")
    return found


def events(browser: Browser, path: str, found: list[str]) -> None:
    with browser.client.stream("GET", path) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "no-transform" in answer.headers["cache-control"]
        try:
            found.extend(answer.iter_lines())
        except httpx.RemoteProtocolError:
            found.append("cut")


def until(told: Any, seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_each_change_is_told_once_and_the_end_closes(web: Web, go_on: threading.Event) -> None:
    browser, found = web.browser().sign_in(), list[str]()
    job = working(web, go_on)
    page = browser.get(f"/jobs/{job.id}").text
    assert f'sse-connect="/jobs/{job.id}/events"' in page
    watching = threading.Thread(target=events, args=(browser, f"/jobs/{job.id}/events", found))
    watching.start()
    until(lambda: live_of(web).streams.count == 1)
    time.sleep(2.5)
    go_on.set()
    watching.join(15)
    assert not watching.is_alive()
    assert [line for line in found if line.startswith("event")] == [
        "event: part",
        "event: part",
        "event: done",
    ]
    assert "data: nearly" in found
    assert "See what came of it" in "\n".join(found)
    assert HTML not in "\n".join(found)
    assert "sse-connect" not in browser.get(f"/jobs/{job.id}").text
    assert browser.get(f"/jobs/{job.id}/part").status_code == 286, "who asks instead stops, too"
    until(lambda: live_of(web).streams.count == 0)


def test_a_stream_ends_when_its_user_signs_out(web: Web, go_on: threading.Event) -> None:
    browser, other, found = web.browser().sign_in(), web.browser(), list[str]()
    other.client.cookies = browser.client.cookies
    other.csrf = browser.csrf
    job = working(web, go_on)
    watching = threading.Thread(target=events, args=(browser, f"/jobs/{job.id}/events", found))
    watching.start()
    until(lambda: live_of(web).streams.count == 1)
    other.post("/sign-out")
    watching.join(10)
    assert not watching.is_alive()
    assert "event: done" not in found
    assert web.client().get(f"/jobs/{job.id}/events").status_code == 303


def test_streams_are_few_hold_no_thread_and_leave_with_their_reader(
    web: Web, go_on: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MOST_OF_ONE", 45)
    browser = web.browser().sign_in()
    job = working(web, go_on)
    cookies, path = dict(browser.client.cookies), f"{web.url}/jobs/{job.id}/events"
    limits = httpx.Limits(max_connections=100)
    client = httpx.Client(cookies=cookies, timeout=10, limits=limits, trust_env=False)
    try:
        opened = [client.send(client.build_request("GET", path), stream=True) for _ in range(45)]
        assert {one.status_code for one in opened} == {200}
        assert client.get(path).status_code == 409
        began = time.monotonic()
        assert browser.get("/sources").status_code == 200, (
            "forty threads answer requests; none waits for a stream"
        )
        assert time.monotonic() - began < 9
        for one in opened:
            one.close()
        until(lambda: live_of(web).streams.count == 0)
        assert client.get(path, headers={"Cookie": ""}).status_code == 303
    finally:
        client.close()


def test_a_stream_of_what_is_gone_ends(
    web: Web, go_on: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    browser, found, live = web.browser().sign_in(), list[str](), live_of(web)
    job = live.jobs.start("run s", "Run s", "anna", lambda say: go_on.wait(30), id="r-1")
    watching = threading.Thread(target=events, args=(browser, f"/runs/{job.id}/events", found))
    watching.start()
    until(lambda: any(line.startswith("data") for line in found))
    live.jobs._all.clear()
    watching.join(15)
    assert not watching.is_alive()
    assert "cut" not in found
    assert not [r for r in caplog.records if r.levelname == "ERROR"], "nobody's mistake, and no traceback"


def test_none_lasts_for_ever(web: Web, go_on: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LONGEST", 1.5)
    browser, found = web.browser().sign_in(), list[str]()
    events(browser, f"/jobs/{working(web, go_on).id}/events", found)
    assert "event: part" in found
    assert "event: done" not in found
    assert browser.get("/jobs/none/events").status_code in (400, 404)
    assert browser.get("/runs/none/events").status_code == 404


def test_the_server_stops_with_streams_open(
    make_world: MakeWorld, go_on: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    found = list[str]()
    with served(make_world(s=YAML)) as web:
        browser = web.browser().sign_in()
        path = f"/jobs/{working(web, go_on).id}/events"
        watching = threading.Thread(target=events, args=(browser, path, found))
        watching.start()
        until(lambda: "event: part" in found)
        began = time.monotonic()
        web.serving.stop()
        watching.join(10)
        assert not watching.is_alive()
        assert time.monotonic() - began < 8
    assert "Traceback" not in caplog.text
