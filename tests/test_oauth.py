"""OAuth2 and the other ways to be let in, against a server that is as strict as the RFCs."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from conftest import MakeWorld
from dataplatform.connectors import connecting
from dataplatform.errors import ConnectionExpiredError, SourceError
from dataplatform.reading.status import status
from dataplatform.secrets.kept import Kept
from rest_api import Api, Asked, asking, read, serving_api, source_of


@dataclass
class Provider:
    """An authorization server whose refresh tokens are good for one use, and an API that takes its newest token."""

    api: Api
    access: str = ""
    refresh: str = "refresh-0000"
    challenge: str = ""
    issued: int = 0
    lasts: int = 3600
    pending: int = 0
    slow: float = 0.0
    kept: Kept | None = None
    seen: list[dict[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def token(self, asked: Asked) -> Any:
        form = {k: v[0] for k, v in parse_qs(asked.body.decode()).items()}
        time.sleep(self.slow)
        with self.lock:
            self.seen.append(form)
            if form.get("grant_type") == "authorization_code":
                digest = base64.urlsafe_b64encode(
                    hashlib.sha256(form["code_verifier"].encode()).digest()
                ).rstrip(b"=")
                if form["code"] != "code-1" or digest.decode() != self.challenge:
                    return 400, {}, {"error": "invalid_grant"}
            elif form.get("grant_type") == "refresh_token" and form.get("refresh_token") != self.refresh:
                return 400, {}, {"error": "invalid_grant", "error_description": "used before"}
            elif form.get("grant_type", "").endswith("device_code") and self.pending:
                self.pending -= 1
                return 400, {}, {"error": "authorization_pending"}
            self.issued += 1
            self.access, self.refresh = f"access-{self.issued:04}", f"refresh-{self.issued:04}"
            return {
                "access_token": self.access,
                "refresh_token": self.refresh,
                "expires_in": self.lasts,
                "token_type": "bearer",
            }

    def things(self, asked: Asked) -> Any:
        if asked.headers.get("authorization") != f"Bearer {self.access}":
            return 401, {}, {"message": "expired"}
        if self.kept is not None:  # the token that we see used is in the store, with the one that follows
            kept = self.kept.get("connect/s")
            assert kept is not None
            assert kept["refresh_token"] == self.refresh
        return [{"id": 1}]


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with serving_api(Api()) as api:
        made = Provider(api, kept=Kept(tmp_path))
        device = {
            "device_code": "d",
            "user_code": "WXYZ",
            "verification_uri": api.url + "/device",
            "interval": 0.05,
        }
        api.routes = {"/token": made.token, "/things": made.things, "/device": lambda asked: device}
        yield made


def connector(provider: Provider, more: str = "") -> str:
    url = provider.api.url
    return (
        f"auth: {{type: oauth2, token_url: '{url}/token', client_id: me, client_secret: cl1ent-s3cret, "
        f"authorize_url: '{url}/authorize', device_url: '{url}/device', scopes: read write{more}}}"
    )


SEED = ", refresh_token: refresh-0000"


def test_rotated_tokens_are_kept_before_they_are_used(provider: Provider, tmp_path: Path) -> None:
    source = source_of(provider.api, connector(provider, SEED), e="request: /things")
    for _ in range(3):
        assert read(asking(source, "e", tmp_path)).ids == [1]
    assert provider.issued == 1, "one token is good for an hour"
    provider.lasts = 1
    provider.access = "revoked-by-the-server"
    for _ in range(3):
        assert read(asking(source, "e", tmp_path)).ids == [1]
    assert provider.issued == 4, "refused once, then over at once"
    assert "refresh-" not in (tmp_path / "secrets.enc").read_text("latin-1")
    again = source_of(
        provider.api, connector(provider, ", refresh_token: refresh-9999"), e="request: /things"
    )
    provider.refresh = "refresh-9999"
    assert read(asking(again, "e", tmp_path)).ids == [1], "another token of the person's counts"


def test_two_that_renew_one_token_at_once(provider: Provider, tmp_path: Path) -> None:
    source = source_of(
        provider.api, connector(provider, SEED), **{f"e{n}": "request: /things" for n in range(4)}
    )
    provider.slow = 0.3
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: read(asking(source, f"e{n}", tmp_path)).ids, range(4)))
    assert found == [[1]] * 4
    assert provider.issued == 1


PROCESS = """
import sys; sys.path.insert(0, sys.argv[1])
from pathlib import Path
from rest_api import Api, asking, read, source_of
source = source_of(Api(url=sys.argv[2]), sys.argv[3], e="request: /things")
print(read(asking(source, "e", Path(sys.argv[4]))).ids)
"""


def test_two_processes_that_renew_one_token_at_once(provider: Provider, tmp_path: Path) -> None:
    provider.slow = 1.0
    arguments = [
        sys.executable,
        "-c",
        PROCESS,
        str(Path(__file__).parent),
        provider.api.url,
        connector(provider, SEED),
        str(tmp_path),
    ]
    both = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [one.communicate(timeout=60)[0].strip() for one in both] == ["[1]", "[1]"]
    assert provider.issued == 1


def test_a_connection_that_has_ended(provider: Provider, make_world: MakeWorld) -> None:
    url = provider.api.url
    world = make_world(s=f"source: s\nconnector: {{type: rest, base_url: '{url}', {connector(provider, SEED)}}}\n"
                         "entities: {e: {request: /things, key: [id]}}\n")  # fmt: skip
    provider.kept = None
    assert world.run().status == "done"
    assert status(world.platform).sources["s"].connection.state == "connected"  # type: ignore[union-attr]  # it is there
    provider.access, provider.refresh = "other-token", "other-refresh"
    result = world.run()
    assert "the connection has ended" in result.failed["e"]
    assert "dataplatform connect s" in result.failed["e"]
    assert not result.entities["e"].transient
    assert world.rows("select count(*) from audit.outbox where event = 'dataplatform.source.expired'") == [
        (1,)
    ]
    assert status(world.platform).sources["s"].connection.state == "expired"  # type: ignore[union-attr]  # as above
    assert world.rows("select count(*) from silver_current.s__e") == [(1,)]
    told = json.dumps(world.rows("select payload::text from audit.outbox"))
    assert not any(secret in told for secret in ("refresh-0001", "cl1ent-s3cret"))


def test_connecting_by_the_browser_of_this_machine(provider: Provider, tmp_path: Path) -> None:
    source = source_of(
        provider.api,
        connector(provider, ", redirect_uri: 'http://127.0.0.1:8731/back'"),
        e="request: /things",
    )
    request = asking(source, "e", tmp_path)
    with pytest.raises(ConnectionExpiredError, match="not connected"):
        read(request)
    auth = connecting.oauth2_of(request)
    question = connecting.ask(request, auth)
    query = {k: v[0] for k, v in parse_qs(urlsplit(question.url).query).items()}
    assert (query["scope"], query["code_challenge_method"]) == ("read write", "S256")
    provider.challenge = query["code_challenge"]

    def browse() -> None:
        time.sleep(0.2)
        assert httpx.get("http://127.0.0.1:8731/back?code=code-1&state=guessed").status_code == 400
        assert httpx.get("http://127.0.0.1:8731/favicon.ico").status_code == 400
        assert httpx.get(f"http://127.0.0.1:8731/back?code=code-1&state={query['state']}").status_code == 200

    with ThreadPoolExecutor(1) as pool:
        person = pool.submit(browse)
        connecting.finish(question, connecting.listen(question, 10))
        person.result()
    provider.kept = None
    assert read(request).ids == [1]


def test_connecting_from_another_machine_by_the_command(provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "metadata" / "sources").mkdir(parents=True)
    text = f"source: s\nconnector: {{type: rest, base_url: '{provider.api.url}', {connector(provider)}}}\nentities: {{e: {{request: /things, key: [id]}}}}\n"
    (tmp_path / "metadata" / "sources" / "s.yaml").write_text(text)
    command = [
        sys.executable,
        "-c",
        "from dataplatform.cli.app import main; main()",
        "connect",
        "s",
        "--json",
    ]
    environment = {**os.environ, "DATAPLATFORM_HOME": str(tmp_path / "home")}

    def run(*more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*command, *more],
            cwd=tmp_path,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    process = run("--paste")
    assert process.stderr is not None
    process.stderr.readline()
    query = {k: v[0] for k, v in parse_qs(urlsplit(process.stderr.readline().strip()).query).items()}
    provider.challenge = query["code_challenge"]
    answer, errors = process.communicate(
        f"http://127.0.0.1:8723/callback?code=code-1&state={query['state']}\n", timeout=60
    )
    assert json.loads(answer)["status"] == "done", errors
    assert json.loads(answer)["renews"] is True
    answer, _ = run("--paste").communicate(
        "http://127.0.0.1:8723/callback?code=code-1&state=other\n", timeout=60
    )
    assert "belongs to another question" in json.loads(answer)["error"]
    provider.pending = 2
    answer, errors = run("--device").communicate(timeout=60)
    assert json.loads(answer)["status"] == "done", errors
    assert "type WXYZ" in errors


def test_client_credentials(provider: Provider, tmp_path: Path) -> None:
    provider.kept = None
    auth = f"auth: {{type: oauth2_client_credentials, access_token_url: '{provider.api.url}/token', client_id: me, client_secret: cl1ent-s3cret, token_params: {{audience: x}}}}"
    source = source_of(provider.api, auth, e="request: /things")
    assert read(asking(source, "e", tmp_path)).ids == [1]
    assert provider.seen[0] == {
        "grant_type": "client_credentials",
        "client_id": "me",
        "client_secret": "cl1ent-s3cret",
        "audience": "x",
    }
    provider.access = "forgotten"
    source = source_of(
        provider.api,
        auth + ", response_actions: [{status: 401, action: refresh_token}]",
        e="request: /things",
    )
    assert read(asking(source, "e", tmp_path)).ids == [1]


def test_a_session_that_the_server_forgets(tmp_path: Path) -> None:
    sessions: list[str] = []

    def login(asked: Asked) -> Any:
        if asked.json != {"user": "me", "password": "hunter22"}:
            return 403, {}, {}
        sessions.append(f"session-{len(sessions)}")
        return {"data": {"sid": sessions[-1]}}

    def things(asked: Asked) -> Any:
        good = asked.headers.get("cookie") == f"sid={sessions[-1]}" and len(sessions) > 1
        return [{"id": 1}] if good else (401, {}, {})

    with serving_api(Api({"/login": login, "/things": things})) as api:
        auth = "auth: {type: session_token, login: /login, body: {user: me, password: {secret: p}}, token_path: data.sid, name: sid, location: cookie, prefix: ''}"
        source = source_of(api, auth, e="request: /things")
        assert read(asking(source, "e", tmp_path, {"p": "hunter22"})).ids == [1]
        assert len(sessions) == 2, "the first was refused"
        with pytest.raises(SourceError, match="the login answered HTTP 403"):
            read(asking(source, "e", tmp_path, {"p": "wrong-one"}))


def test_jwt_and_ones_own(tmp_path: Path) -> None:
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "sig.py").write_text(
        "import httpx\nclass Signed(httpx.Auth):\n    def __init__(self, key): self.key = key\n"
        "    def auth_flow(self, request):\n        request.headers['X-Sig'] = self.key[::-1]\n        yield request\n"
    )
    with serving_api(
        Api({"/x": lambda asked: [{"id": asked.headers.get("x-sig") or asked.headers["authorization"]}]})
    ) as api:
        key = "k" * 40
        source = source_of(
            api,
            "auth: {type: jwt, key: {secret: k}, claims: {iss: me, sub: 7}, jwt_headers: {kid: a}}",
            e="request: /x",
        )
        (token,) = read(asking(source, "e", tmp_path, {"k": key})).ids
        claims = jwt.decode(token.removeprefix("Bearer "), key, ["HS256"], options={"verify_sub": False})
        assert (claims["iss"], claims["exp"] - claims["iat"]) == ("me", 1200)
        source = source_of(
            api, "auth: {type: custom, auth: sig.Signed, config: {key: {secret: k}}}", e="request: /x"
        )
        assert read(asking(source, "e", tmp_path, {"k": "abcdefg"})).ids == ["gfedcba"]
        source = source_of(api, "auth: {type: jwt, key: {secret: k}, algorithm: RS256}", e="request: /x")
        with pytest.raises(SourceError, match="does not sign with RS256"):
            read(asking(source, "e", tmp_path, {"k": key}))
