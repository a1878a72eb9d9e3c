"""Vault and OpenBao over hvac, against a server that speaks their HTTP API as its documentation says.

https://openbao.org/api-docs/secret/kv/kv-v2/, https://openbao.org/api-docs/auth/approle/
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conftest import serving
from dataplatform.errors import SecretError, ServerError
from dataplatform.orchestration.blocks import block_of, known_secrets, secret_blocks
from dataplatform.orchestration.rest import Rest
from dataplatform.secrets.vault import Vault
from dataplatform.settings import PrefectApi, Settings

TOKEN = "hvs.rootrootroot"
HELD = {
    "dataplatform/github": {"token": "ghp_1234567"},
    "dataplatform/plain": {"value": "hello-there"},
    "dataplatform/bank/home": {"user": "jan-1234", "pin": "903211"},
}


class Api(BaseHTTPRequestHandler):
    """KV 2 under secret/, KV 1 under old/, AppRole; `sealed` and `logins` of the server's class."""

    sealed = False
    may_list = True
    logins = 0
    tokens: ClassVar[set[str]] = {TOKEN}

    def log_message(self, *args: Any) -> None: ...

    def _answer(self, code: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        path = self.path.removeprefix("/v1/")
        if Api.sealed:
            return self._answer(503, {"errors": ["Vault is sealed"]})
        if self.headers.get("X-Vault-Token") not in Api.tokens:
            return self._answer(403, {"errors": ["permission denied"]})
        if path.startswith("old/") and (found := HELD.get(path[4:])):
            return self._answer(200, {"data": found})
        if path.startswith("secret/data/") and (found := HELD.get(path[12:])):
            return self._answer(200, {"data": {"data": found, "metadata": {"version": 1}}})
        if path == "secret/data/dataplatform/deleted":
            return self._answer(
                404, {"data": {"data": None, "metadata": {"deletion_time": "2026-01-01T00:00:00Z"}}}
            )
        if path.startswith("secret/") and not path.startswith("secret/data/"):
            told = "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use."
            return self._answer(404, {"errors": [], "warnings": [told]})
        return self._answer(404, {"errors": []})

    def do_LIST(self) -> None:
        if self.headers.get("X-Vault-Token") not in Api.tokens or not Api.may_list:
            return self._answer(403, {"errors": ["permission denied"]})
        folder = (
            self.path.removeprefix("/v1/").removeprefix("secret/metadata/").removeprefix("old/").rstrip("/")
            + "/"
        )
        below = [path.removeprefix(folder) for path in HELD if path.startswith(folder)]
        keys = sorted({rest.partition("/")[0] + ("/" if "/" in rest else "") for rest in below})
        return self._answer(200, {"data": {"keys": keys}}) if keys else self._answer(404, {"errors": []})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/auth/approle/login" or body != {"role_id": "role", "secret_id": "sid-123456"}:
            return self._answer(400, {"errors": ["invalid role or secret ID"]})
        Api.logins += 1
        Api.tokens = {f"hvs.session{Api.logins}"}
        return self._answer(200, {"auth": {"client_token": f"hvs.session{Api.logins}", "lease_duration": 60}})


@pytest.fixture
def url() -> Iterator[str]:
    Api.sealed, Api.may_list, Api.logins, Api.tokens = False, True, 0, {TOKEN}
    with serving(Api) as where:
        yield f"http://{where}"


@pytest.mark.parametrize("more", [{}, {"mount": "old", "version": 1}])
def test_a_field_of_a_secret_or_a_secret_of_one_value(url: str, more: dict[str, Any]) -> None:
    vault = Vault(url, TOKEN, **more)
    assert vault.get("github/token") == "ghp_1234567"
    assert vault.get("plain") == "hello-there"
    for missing in ("github/other", "nothing", "a/b/c", "deleted"):
        assert vault.get(missing) is None
    assert "bao kv put" in vault.remedy("a/b")


def test_a_role_signs_in_by_itself_and_again_when_its_token_has_expired(url: str) -> None:
    vault = Vault(url, role=("role", "sid-123456"))
    assert vault.get("plain") == "hello-there"
    assert Api.logins == 1
    Api.tokens = set()
    assert vault.get("plain") == "hello-there"
    assert Api.logins == 2


def test_what_goes_wrong_is_said_without_a_secret(url: str) -> None:
    wrong = "hvs.wrongwrong"
    with pytest.raises(
        SecretError, match="does not let us read secret/dataplatform/plain: permission denied"
    ):
        Vault(url, wrong).get("plain")
    with pytest.raises(SecretError, match="does not let us read") as refused:
        Vault(url, role=("role", "other-secret")).get("plain")
    assert "other-secret" not in str(refused.value)
    with pytest.raises(SecretError, match="does not let us read") as named:
        Vault(url.replace("//", "//me:pa55word@"), wrong).get("plain")
    assert "pa55word" not in str(named.value)
    Api.sealed = True
    with pytest.raises(ServerError, match="is sealed"):  # a task tries again
        Vault(url, TOKEN).get("plain")
    with pytest.raises(ServerError, match="does not answer") as away:
        Vault("http://me:pa55word@127.0.0.1:1", TOKEN).get("plain")
    assert "pa55word" not in str(away.value)
    assert wrong not in repr(Vault(url, wrong))


def test_an_engine_with_versions_that_is_asked_as_one_without_is_said(url: str) -> None:
    with pytest.raises(SecretError, match="has versions") as told:
        Vault(url, TOKEN, version=1).get("plain")
    assert "DATAPLATFORM_VAULT_KV=2" in told.value.remedy


class Page(BaseHTTPRequestHandler):
    """Something else that answers at the address: a proxy's page."""

    def log_message(self, *args: Any) -> None: ...

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")


def test_what_is_no_vault_is_said() -> None:
    expected = pytest.raises(ServerError, match="answers something else than Vault does")
    with serving(Page) as where, expected:
        Vault(f"http://{where}", TOKEN).get("plain")


@pytest.mark.parametrize("more", [{}, {"mount": "old", "version": 1}])
def test_names_are_told_where_we_may_list(url: str, more: dict[str, Any]) -> None:
    assert Vault(url, TOKEN, **more).names() == ["bank/home/pin", "bank/home/user", "github/token", "plain"]
    Api.may_list = False
    assert Vault(url, TOKEN, **more).names() == []
    assert Vault(url, TOKEN, prefix="empty").names() == []


def program(home: Path, *args: str, code: int = 0, stdin: str = "", **env: str) -> tuple[dict[str, Any], str]:
    """What `dataplatform secrets … --json` says, and all that was written."""
    argv = [str(Path(sys.executable).with_name("dataplatform")), "secrets", *args, "--json"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DATAPLATFORM_")}
    env = (
        clean | {"DATAPLATFORM_HOME": str(home), "DATAPLATFORM_METADATA": str(home.parent / "metadata")} | env
    )
    done = subprocess.run(
        argv, env=env, cwd=home.parent, capture_output=True, text=True, input=stdin, check=False
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout), done.stdout + done.stderr


def test_secrets_of_another_store_move_in(url: str, tmp_path: Path) -> None:
    sources = tmp_path / "metadata" / "sources"
    sources.mkdir(parents=True)
    (sources / "s.yaml").write_text(
        "source: s\nconnector: {type: rest, base_url: http://x, headers: {A: {secret: bank/home/pin}, B: {secret: none/such}}}\n"
        "entities:\n  e: {request: {path: /}, key: [id]}\n"
    )
    vault = {"DATAPLATFORM_VAULT_URL": url, "DATAPLATFORM_VAULT_TOKEN": TOKEN}
    home = tmp_path / "home"
    moved, written = program(home, "import", "--from", "vault", **vault)
    assert moved["secrets"] == ["bank/home/pin", "bank/home/user", "github/token", "plain"]
    assert program(home, "get", "bank/home/user")[0]["value"] == "jan-1234"
    program(home, "import", "--from", "vault", **vault)  # the same again is no other value
    program(home, "set", "plain", stdin="mine-1234")
    refused, more = program(home, "import", "--from", "vault", code=1, **vault)
    assert "another value: plain" in refused["error"]
    assert not any(value in written + more for held in HELD.values() for value in held.values())
    for wrong in (("--from", "local"), ("--from", "nowhere"), (), ("-", "--from", "vault")):
        program(home, "import", *wrong, code=1, **vault)


def test_a_store_that_cannot_be_asked_hides_no_other(tmp_path: Path) -> None:
    home = tmp_path / "home"
    program(home, "set", "my/token", stdin="t0ps3cret")
    found, written = program(
        home,
        "list",
        DATAPLATFORM_VAULT_URL="http://127.0.0.1:1",
        DATAPLATFORM_SECRET_OTHER_TOKEN="0thersecret",
    )
    assert found["about"] == [
        {"name": "my/token", "stores": ["local"], "sources": []},
        {"name": "other_token", "stores": ["environment"], "sources": []},
    ]
    assert "does not answer" in found["silent"]["vault"]
    assert "t0ps3cret" not in written
    assert "0thersecret" not in written


def test_what_is_no_secret_is_not_taken_in(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for wrong in ('{"a": null}', '{"a": {"b": [1]}}', '{"a": true}', "[1]"):
        program(home, "import", "-", code=1, stdin=wrong)
    assert program(home, "import", "-", stdin='{"pin": 1234567}')[0]["secrets"] == ["pin"]
    given = "DATAPLATFORM_SECRETS_KEY=k3y-of-the-store\nDATAPLATFORM_SECRET_A_B=s3cret-of-a-b\nPREFECT_API_URL=http://x\n"
    taken, written = program(home, "import", "-", stdin=given)
    assert taken["secrets"] == ["a_b"]
    assert "left where they are: DATAPLATFORM_SECRETS_KEY, PREFECT_API_URL" in written


def test_a_home_that_was_open_is_closed_by_whatever_asks_its_store(tmp_path: Path) -> None:
    home = tmp_path / "home"
    program(home, "set", "a", stdin="v1234567")
    home.chmod(0o755)
    for name in ("secrets.enc", "secrets.key"):
        (home / name).chmod(0o644)
    _, written = program(home, "list")
    assert [path.stat().st_mode & 0o777 for path in (home, *sorted(home.iterdir()))] == [0o700, 0o600, 0o600]
    assert f"{home} was open to others" in written


def test_the_settings_name_the_stores(url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    settings = Settings(home=tmp_path, vault_url=url, vault_token_file=tmp_path / "token")
    secrets = known_secrets(settings)
    assert [store.name for store in secrets.stores] == ["environment", "docker", "local", "vault", "prefect"]
    assert secrets.find("github/token") == ("vault", "ghp_1234567")
    monkeypatch.setenv("DATAPLATFORM_SECRET_GITHUB_TOKEN", "nearer-by")
    assert secrets.find("github/token") == ("environment", "nearer-by")
    only = settings.model_copy(update={"secret_stores": "vault"})
    assert known_secrets(only).find("github/token") == ("vault", "ghp_1234567")


@pytest.mark.prefect
def test_secret_blocks_of_prefect(prefect_api: PrefectApi) -> None:
    rest = Rest(prefect_api)
    type_ = rest.get("/block_types/slug/secret")["id"]
    schemas = {"block_schemas": {"block_type_id": {"any_": [type_]}}}
    schema = rest.post("/block_schemas/filter", schemas)[0]["id"]
    block = {
        "name": "github-token",
        "data": {"value": "ghp_of_prefect"},
        "block_type_id": type_,
        "block_schema_id": schema,
    }
    made = rest.post("/block_documents/", block)["id"]
    store = secret_blocks(lambda: prefect_api)
    assert block_of("github/token") == "github-token"
    assert store.get("github/token") == "ghp_of_prefect"
    assert store.get("no/such") is None
    assert "github-token" in store.names()
    assert secret_blocks(lambda: None).get("github/token") is None
    rest.call("DELETE", f"/block_documents/{made}")  # the server is the other tests', too
    assert store.get("github/token") is None
