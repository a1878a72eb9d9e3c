"""Vault and OpenBao over hvac, against a server that speaks their HTTP API as its documentation says.

https://openbao.org/api-docs/secret/kv/kv-v2/, https://openbao.org/api-docs/auth/approle/
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from dataplatform.errors import SecretError
from dataplatform.orchestration.blocks import block_of, known_secrets, secret_blocks
from dataplatform.orchestration.rest import Rest
from dataplatform.secrets.vault import Vault
from dataplatform.settings import PrefectApi, Settings

TOKEN = "hvs.rootrootroot"
HELD = {"dataplatform/github": {"token": "ghp_1234567"}, "dataplatform/plain": {"value": "hello-there"}}


class Api(BaseHTTPRequestHandler):
    """KV 2 under secret/, KV 1 under old/, AppRole; `sealed` and `logins` of the server's class."""

    sealed = False
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
        return self._answer(404, {"errors": []})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/auth/approle/login" or body != {"role_id": "role", "secret_id": "sid-123456"}:
            return self._answer(400, {"errors": ["invalid role or secret ID"]})
        Api.logins += 1
        Api.tokens = {f"hvs.session{Api.logins}"}
        return self._answer(200, {"auth": {"client_token": f"hvs.session{Api.logins}", "lease_duration": 60}})


@pytest.fixture
def url() -> Iterator[str]:
    Api.sealed, Api.logins, Api.tokens = False, 0, {TOKEN}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


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
    Api.sealed = True
    with pytest.raises(SecretError, match="is sealed"):
        Vault(url, TOKEN).get("plain")
    with pytest.raises(SecretError, match="does not answer"):
        Vault("http://127.0.0.1:1", TOKEN).get("plain")
    assert wrong not in repr(Vault(url, wrong))


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
    rest.post("/block_documents/", block)
    store = secret_blocks(lambda: prefect_api)
    assert block_of("github/token") == "github-token"
    assert store.get("github/token") == "ghp_of_prefect"
    assert store.get("no/such") is None
    assert secret_blocks(lambda: None).get("github/token") is None
