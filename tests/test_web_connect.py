"""What lets us into sources: told on Health before it ends, and mended from there."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import MakeWorld
from dataplatform.secrets.kept import Kept
from rest_api import Api, Asked, serving_api
from web_server import Web, served

OAUTH = """
source: s
connector:
  type: rest
  base_url: {api}
  auth: {{type: oauth2, token_url: "{api}/token", authorize_url: "{api}/authorize", client_id: me, redirect_uri: "{back}"}}
entities: {{e: {{request: /things, key: [id]}}}}
"""
TOKEN = """
source: t
connector: {type: rest, base_url: "http://127.0.0.1:1", auth: {type: bearer, token: {secret: t/token}}}
entities: {e: {request: /things, key: [id]}}
"""


def jwt(days: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + days * 86400}).encode()).decode()
    return f"e30.{claims.rstrip('=')}.c2ln"


@pytest.fixture
def api() -> Iterator[Api]:
    def token(asked: Asked) -> object:
        form = {k: v[0] for k, v in parse_qs(asked.body.decode()).items()}
        if form.get("code") != "good":
            return 400, {}, {"error": "invalid_grant"}
        return {
            "access_token": "a" * 20,
            "refresh_token": "r" * 20,
            "expires_in": 3600,
            "token_type": "bearer",
        }

    with serving_api(Api()) as found:
        found.routes = {"/token": token}
        yield found


@pytest.fixture
def web(make_world: MakeWorld, api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("DATAPLATFORM_SECRET_T_TOKEN", jwt(3))
    world = make_world(s=OAUTH.format(api=api.url, back="http://127.0.0.1:9/back"), t=TOKEN)
    with served(world) as found:
        yield found


def state_of(page: str) -> str:
    link = page.split('target="_blank"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    return parse_qs(urlsplit(link).query)["state"][0]


def test_health_tells_what_ends_and_connects_it(web: Web, tmp_path: Path, api: Api) -> None:
    browser = web.browser().sign_in()
    page = browser.get("/").text
    assert "the token t/token ends on" in page
    assert 'href="/sources/t/edit#secrets"' in page
    assert "nobody has connected it yet" in page
    assert 'href="/sources/s/connect"' in page
    assert 'href="/sources/s/connect"' in browser.get("/sources/s").text
    assert browser.post("/sources/s/connect").status_code == 303
    state = state_of(browser.get("/sources/s/connect").text)
    wrong = browser.post(
        "/sources/s/connect/finish", {"answered": "http://127.0.0.1:9/back?code=good&state=forged"}
    )
    assert wrong.status_code == 400
    assert "belongs to another question" in wrong.text
    again = browser.post("/sources/s/connect/finish", {"answered": f"?code=good&state={state}"})
    assert "this question is closed" in again.text, "a question is answered once"
    browser.post("/sources/s/connect")
    state = state_of(browser.get("/sources/s/connect").text)
    done = browser.post(
        "/sources/s/connect/finish", {"answered": f"http://127.0.0.1:9/back?code=good&state={state}"}
    )
    assert (done.status_code, done.headers["location"]) == (303, "/sources/s")
    kept = Kept(tmp_path / "home").get("connect/s")
    assert kept is not None
    assert kept["refresh_token"] == "r" * 20
    assert "nobody has connected" not in browser.get("/").text, "it is known at once"


def test_the_provider_may_send_the_person_back_to_these_pages(web: Web, tmp_path: Path) -> None:
    browser = web.browser().sign_in()
    browser.post("/sources/s/connect")
    state = state_of(browser.get("/sources/s/connect").text)
    assert browser.get("/oauth/callback?code=good&state=forged").status_code == 400
    assert web.client().get(f"/oauth/callback?code=good&state={state}").status_code == 303, "to sign in"
    assert Kept(tmp_path / "home").get("connect/s") is None
    assert browser.get(f"/oauth/callback?code=good&state={state}").headers["location"] == "/sources/s"
    assert Kept(tmp_path / "home").get("connect/s") is not None
    assert browser.get(f"/oauth/callback?code=good&state={state}").status_code == 400, "not twice"


def test_an_ended_token_is_bad(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAPLATFORM_SECRET_T_TOKEN", jwt(-1))
    browser = web.browser().sign_in()
    found = web.api("read").get("/api/v1/sources/t").json()
    assert found[0]["state"] == "bad"
    assert found[0]["findings"][-1]["mend"] == "secret" or found[0]["findings"][0]["kind"] == "access"
    assert "the token t/token ended on" in browser.get("/?state=bad").text
