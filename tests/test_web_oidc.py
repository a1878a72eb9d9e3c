"""Sign-in by OpenID Connect against a real provider on loopback: who gets in, and each forgery that does not."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import jwt
import pytest
from conftest import MakeWorld, World
from dataplatform.access import accounts, users
from dataplatform.access.oidc import provider_of
from dataplatform.errors import SettingsError
from dataplatform.settings import Settings
from oidc_provider import CLIENT, SECRET, Provider, other_key, providing, rsa_key
from pydantic import SecretStr
from web_server import NAME, PASSWORD, YAML, Web, served


@pytest.fixture
def provider() -> Iterator[Provider]:
    with providing() as found:
        yield found


def with_oidc(world: World, provider: Provider, **more: Any) -> World:
    from dataclasses import replace

    own = {
        "web_oidc_issuer": provider.url, "web_oidc_client_id": CLIENT, "web_oidc_client_secret": SecretStr(SECRET), **more,
    }  # fmt: skip
    settings = world.platform.settings.model_copy(update=own)
    return replace(world, platform=replace(world.platform, settings=settings))


@pytest.fixture
def web(make_world: MakeWorld, provider: Provider) -> Iterator[Web]:
    with served(with_oidc(make_world(s=YAML), provider, web_oidc_groups="boss=admin, kin=read")) as found:
        yield found


def go(client: httpx.Client, path: str = "/sign-in/oidc") -> str:
    """To the provider and back: the address of the callback."""
    answer = client.get(path)
    assert answer.status_code == 303, answer.text
    return httpx.get(answer.headers["location"]).headers["location"]


def sign_in(web: Web, path: str = "/sign-in/oidc") -> tuple[httpx.Client, httpx.Response]:
    client = web.client()
    return client, client.get(go(client, path))


def refused(web: Web, said: str) -> None:
    client, answer = sign_in(web)
    assert (answer.status_code, said in answer.text) == (401, True), answer.text
    assert client.get("/").status_code == 303, "there is no session"


def test_who_is_in_a_group_comes_in_and_the_scope_follows_it(web: Web, provider: Provider) -> None:
    assert "/sign-in/oidc?next=" in web.client().get("/sign-in").text
    provider.claims = {"sub": "u-7", "preferred_username": "ben", "groups": ["kin", "choir"]}
    client, answer = sign_in(web, "/sign-in/oidc?next=/tables%3Fq%3Dx")
    assert (answer.status_code, answer.headers["location"]) == (303, "/tables?q=x")
    assert client.get("/runs").status_code == 200
    assert client.get("/sources/add").status_code == 403
    provider.claims["groups"] = ["boss"]
    sign_in(web)
    assert client.get("/sources/add").status_code == 200
    provider.claims |= {"groups": ["choir"], "preferred_username": "bernard"}
    refused(web, "ben is in no group any more")
    assert client.get("/runs").status_code == 303, "what was open is closed"


def test_claims_may_be_at_the_userinfo_endpoint_and_keys_may_change(web: Web, provider: Provider) -> None:
    provider.claims, provider.thin = {"sub": "u-7", "preferred_username": "ben", "groups": "kin"}, True
    assert sign_in(web)[1].status_code == 303
    live = web.serving.server.config.app.app.state.live  # type: ignore[union-attr]  # the guard around the app
    provider.keys = {"k2": other_key()}
    refused(web, "does not have")
    live.provider._keys_at -= 60  # half a minute has passed
    assert sign_in(web)[1].status_code == 303
    assert provider.asked.count("/jwks") == 2


def test_a_name_is_taken_over_by_nobody(web: Web, provider: Provider) -> None:
    engine = web.world.platform.engine
    refused(web, f"there is a user {NAME} who signs in another way")
    users.add(engine, "carl", None, "act")
    provider.claims = {"sub": "u-9", "preferred_username": "carl"}
    assert sign_in(web)[1].status_code == 303, "an admin has made that user for it"
    provider.claims = {"sub": "u-10", "preferred_username": "carl"}
    refused(web, "another account")
    provider.claims = {"sub": "u-11", "preferred_username": "eve"}
    refused(web, "there is no such user here")
    provider.claims = {"sub": "u-12", "preferred_username": "<b>", "groups": ["boss"]}
    refused(web, "is no name that a user can have here")
    assert {u.name for u in users.users(engine)} == {NAME, "carl"}


def test_an_account_is_linked_by_who_has_shown_both(web: Web, provider: Provider) -> None:
    browser = web.browser().sign_in()
    assert browser.client.post("/settings/oidc").status_code == 403, "another site's form does not"
    begun = browser.post("/settings/oidc")
    url = begun.headers["refresh"].partition("url=")[2]
    there = httpx.get(url).headers["location"]
    assert web.client().get(there).status_code == 401, "not in another browser"
    assert browser.client.get(there).headers["location"] == "/settings"
    assert "signs in as you" in browser.get("/settings").text
    provider.claims["preferred_username"] = "renamed"
    client, answer = sign_in(web)
    assert answer.status_code == 303
    assert NAME in client.get("/").text
    browser.post("/settings/oidc/remove")
    refused(web, "there is no such user here")


TWISTS: dict[str, tuple[Any, str]] = {
    "wrong nonce": (lambda c: {**c, "nonce": "of another question"}, "answers another question"),
    "no nonce": (lambda c: {k: v for k, v in c.items() if k != "nonce"}, "answers another question"),
    "wrong audience": (lambda c: {**c, "aud": "others"}, "Audience"),
    "one of several audiences": (
        lambda c: {**c, "aud": [CLIENT, "others"], "azp": "others"},
        "another program",
    ),
    "wrong issuer": (lambda c: {**c, "iss": "http://127.0.0.1:1"}, "issuer"),
    "expired": (lambda c: {**c, "iat": time.time() - 900, "exp": time.time() - 300}, "expired"),
    "no end": (lambda c: {k: v for k, v in c.items() if k != "exp"}, "exp"),
    "not yet": (lambda c: {**c, "iat": time.time() + 900, "exp": time.time() + 1200}, "not yet valid"),
    "nobody's": (lambda c: {**c, "sub": ""}, "nobody"),
}


@pytest.mark.parametrize("what", TWISTS)
def test_a_token_that_is_not_right_opens_nothing(web: Web, provider: Provider, what: str) -> None:
    provider.claims = {"sub": "u-7", "preferred_username": "ben", "groups": ["boss"]}
    provider.twist, said = TWISTS[what]
    refused(web, said)
    assert [u.name for u in users.users(web.world.platform.engine)] == [NAME]


def test_a_forged_signature_opens_nothing(web: Web, provider: Provider) -> None:
    provider.claims = {"sub": "u-7", "preferred_username": "ben", "groups": ["boss"]}
    stranger, public = rsa_key(), json.dumps(provider.jwks()["keys"][0])
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    forged = {
        "by another key": lambda c: jwt.encode(c, stranger, "RS256", {"kid": "k1"}),
        "by a key that is named nowhere": lambda c: jwt.encode(c, stranger, "RS256", {"kid": "k9"}),
        "by what everybody knows": lambda c: jwt.encode(c, public, "HS256", {"kid": "k1"}),
        "by the client's secret": lambda c: jwt.encode(c, SECRET.ljust(40), "HS256", {"kid": "k1"}),
        "not at all": lambda c: (
            f"{none}.{base64.urlsafe_b64encode(json.dumps(c).encode()).decode().rstrip('=')}."
        ),
        "changed afterwards": lambda c: _changed(provider, c),
        "no token": lambda c: "",
        "rubbish": lambda c: "a.b.c",
    }
    for how, sign in forged.items():
        provider.sign = sign
        client, answer = sign_in(web)
        assert answer.status_code == 401, how
        assert client.get("/").status_code == 303, how
    assert [u.name for u in users.users(web.world.platform.engine)] == [NAME]


def _changed(provider: Provider, claims: dict[str, Any]) -> str:
    provider.sign, kept = None, provider.sign
    head, _, tail = provider.signed(claims).split(".")
    provider.sign = kept
    told = {**claims, "sub": "somebody else"}
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip('=')}.{tail}"


def test_an_answer_is_good_once_and_for_the_browser_that_asked(web: Web, provider: Provider) -> None:
    provider.claims = {"sub": "u-7", "preferred_username": "ben", "groups": ["boss"]}
    client = web.client()
    there = go(client)
    victim = web.client()
    assert victim.get(there).status_code == 401, "nobody is signed in as somebody else by a link"
    go(victim)
    assert victim.get(there).status_code == 401, "also with a question of their own open"
    first = client.get(there)
    assert first.status_code == 303
    client.cookies.delete("dataplatform_session")
    assert client.get(there).status_code == 401, "a state is good for once"
    path, query = urlsplit(there).path, parse_qs(urlsplit(there).query)
    assert client.get(f"{path}?code={query['code'][0]}&state=forged").status_code == 401
    assert client.get(f"{path}?code={query['code'][0]}").status_code == 401
    told = client.get(f"{urlsplit(go(client)).path}?error=access_denied%3Cb%3E&state=x").text
    assert "access_denied<b>" not in told
    other = go(client)
    assert (
        client.get(other.replace(quote(provider.url, safe=":/"), "http://127.0.0.1:1")).status_code == 401
    ), "mix-up"
    late = go(client)
    with web.world.platform.engine.begin() as conn:
        conn.execute(accounts.web_oidc.update().values(at=accounts.web_oidc.c.at - accounts.LONGEST))
    assert client.get(late).status_code == 401


@pytest.mark.parametrize(
    "next", ["//evil.example", "https://evil.example/x", "/\\evil.example", "javascript:alert(1)"]
)
def test_the_way_back_leads_nowhere_else(web: Web, provider: Provider, next: str) -> None:
    provider.claims = {"sub": "u-7", "preferred_username": "ben", "groups": ["kin"]}
    assert sign_in(web, f"/sign-in/oidc?next={quote(next)}")[1].headers["location"] == "/"


def test_an_address_counts_where_it_is_verified(make_world: MakeWorld, provider: Provider) -> None:
    world = with_oidc(make_world(s=YAML), provider, web_oidc_name="email", web_url="http://127.0.0.1:1")
    with served(world) as web:
        users.add(world.platform.engine, "ben@example.org", None, "read")
        provider.claims = {"sub": "u-7", "email": "ben@example.org"}
        client = web.client()
        there = go(client)
        assert there.startswith("http://127.0.0.1:1/sign-in/oidc/callback"), "as DATAPLATFORM_WEB_URL says"
        assert "has not verified" in client.get(there.replace("http://127.0.0.1:1", web.url)).text
        provider.claims["email_verified"] = True
        there = go(client).replace("http://127.0.0.1:1", web.url)
        assert client.get(there).status_code == 303


def test_the_first_user_may_come_by_a_group(make_world: MakeWorld, provider: Provider) -> None:
    provider.claims = {"sub": "u-7", "preferred_username": "ben", "groups": ["boss"]}
    with served(
        with_oidc(make_world(s=YAML), provider, web_oidc_groups="boss=admin"), first_user=False
    ) as web:
        token = web.serving.address.setup.partition("token=")[2]
        assert sign_in(web)[1].status_code == 303
        form = {"token": token, "name": "eve", "password": PASSWORD, "again": PASSWORD}
        assert web.client().post("/setup", data=form).status_code == 400, (
            "the printed link is worth nothing now"
        )


def test_a_provider_that_is_gone_or_not_itself_is_told_and_passwords_go_on(
    make_world: MakeWorld, provider: Provider
) -> None:
    world = with_oidc(make_world(s=YAML), provider, web_oidc_issuer="http://127.0.0.1:9")
    with served(world) as web:
        answer = web.client().get("/sign-in/oidc")
        assert (answer.status_code, "cannot be reached" in answer.text) == (503, True)
        web.browser().sign_in()
    assert provider_of(Settings()) is None
    for wrong, said in (
        ({"web_oidc_issuer": "http://auth.example.org", "web_oidc_client_id": "x"}, "not https"),
        ({"web_oidc_issuer": "https://auth.example.org"}, "CLIENT_ID"),
    ):
        with pytest.raises(SettingsError, match=said):
            provider_of(Settings().model_copy(update=wrong))
    with pytest.raises(SettingsError, match="scopes"):
        accounts.scopes_of("boss=king")
    mine = provider_of(
        Settings().model_copy(update={"web_oidc_issuer": f"{provider.url}/", "web_oidc_client_id": "x"})
    )
    assert mine is not None
    with pytest.raises(SettingsError, match="calls itself"):
        mine.about()
