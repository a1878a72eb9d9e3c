"""OAuth2: asks for tokens, refreshes them, keeps what a provider rotates. Used by REST sources and
`dataplatform connect`.

A refresh token may be good for one use. So the new one is in the store, on the disk, before the new access token is
used; and of two runs that need a new one, the second waits and takes what the first was given.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from dataplatform.connectors.auth import ClientCredentialsAuth, OAuth2Auth
from dataplatform.connectors.contract import Request
from dataplatform.errors import ConnectionExpiredError, SourceError, SourceUnavailableError
from dataplatform.secrets.kept import PREFIX, Kept

EARLY = 60.0  # seconds before its end that a token is renewed
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True)
class Client:
    """A client of an authorization server, secrets resolved; `source` is the name it is kept under."""

    source: str
    token_url: str
    client_id: str
    client_secret: str
    auth: OAuth2Auth | ClientCredentialsAuth
    params: Mapping[str, Any]
    kept: Kept | None
    note: Callable[[str], str]
    timeout: float = 60.0

    @property
    def name(self) -> str:
        return PREFIX + self.source


def client_of(request: Request, auth: OAuth2Auth | ClientCredentialsAuth) -> Client:
    """The client that a source's metadata describe."""

    def text(value: Any) -> str:
        return str(request.resolve(value)) if value is not None else ""

    secret = text(auth.client_secret)
    if secret:
        request.noted.note(secret)
    kept = Kept(request.home) if request.home else None
    params = {k: v for k, v in request.resolve(auth.token_params).items() if v is not None}
    return Client(
        request.source.source, text(auth.token_url), text(auth.client_id), secret, auth, params, kept,
        request.noted.note, request.timeout,
    )  # fmt: skip


def seed_of(request: Request, auth: OAuth2Auth) -> str:
    """The refresh token that a person wrote; empty where `connect` is to give one."""
    seed = str(request.resolve(auth.refresh_token)) if auth.refresh_token is not None else ""
    return request.noted.note(seed)


def access_token(client: Client, seed: str = "", refused: str = "") -> str:
    """A token that is good now. `refused`: one the API would not take, whatever its end; never that one again.

    Raises ConnectionExpiredError where a person has to connect again, SourceUnavailableError where the server is away.
    """
    if client.kept is None:
        raise SourceError(f"source {client.source}: there is no place to keep its tokens")
    tokens = client.kept.get(client.name)
    if _good(tokens, seed, refused):
        return client.note(str((tokens or {})["access_token"]))
    with client.kept.alone(client.name):
        tokens = client.kept.get(client.name)  # somebody beside us may have been faster
        if _good(tokens, seed, refused):
            return client.note(str((tokens or {})["access_token"]))
        return client.note(_refreshed(client, tokens or {}, seed))


def _good(tokens: dict[str, Any] | None, seed: str, refused: str) -> bool:
    if not tokens or not tokens.get("access_token") or _other_seed(tokens, seed):
        return False
    return tokens["access_token"] != refused and float(tokens.get("expires_at") or 0) - EARLY > time.time()


def _other_seed(tokens: Mapping[str, Any], seed: str) -> bool:
    """Whether a person wrote another refresh token than the one that these tokens came from."""
    return bool(seed) and tokens.get("seed") != _digest(seed)


def _digest(seed: str) -> str:
    return hashlib.sha256(seed.encode()).hexdigest()[:32] if seed else ""


def _refreshed(client: Client, tokens: Mapping[str, Any], seed: str) -> str:
    refresh = seed if _other_seed(tokens, seed) or not tokens else str(tokens.get("refresh_token") or "")
    if not refresh:
        raise ConnectionExpiredError(
            f"source {client.source}: it is not connected", f"dataplatform connect {client.source}"
        )
    client.note(refresh)
    try:
        answer = ask(client, {"grant_type": "refresh_token", "refresh_token": refresh})
    except ConnectionExpiredError:
        if tokens and client.kept is not None:  # `status` tells it from now on
            client.kept.put(client.name, {**tokens, "refused": True})
        raise
    keep(client, answer, seed, refresh)
    return str(answer["access_token"])


def keep(client: Client, answer: Mapping[str, Any], seed: str = "", refresh: str = "") -> dict[str, Any]:
    """Writes what the server gave; returned from, it is on the disk."""
    now = time.time()
    lasts = float(answer.get("expires_in") or client.auth.expires_in.total_seconds())
    tokens: dict[str, Any] = {
        "access_token": str(answer["access_token"]),
        "refresh_token": str(answer.get("refresh_token") or refresh),
        "expires_at": now + lasts,
        "refreshed_at": now,
        "scope": str(answer.get("scope") or " ".join(client.auth.scopes)),
        "seed": _digest(seed),
    }
    if answer.get("refresh_token_expires_in") or answer.get("refresh_expires_in"):
        more = float(answer.get("refresh_token_expires_in") or answer.get("refresh_expires_in") or 0)
        tokens["connection_ends_at"] = now + more
    client.note(tokens["access_token"])
    client.note(tokens["refresh_token"])
    assert client.kept is not None
    client.kept.put(client.name, tokens)
    return tokens


def ask(client: Client, form: Mapping[str, str], url: str = "") -> dict[str, Any]:
    """The token endpoint's answer. Raises ConnectionExpiredError for a grant that is good no more."""
    data = {**client.params, **form}
    basic = None
    if client.auth.client_auth == "basic":
        basic = httpx.BasicAuth(client.client_id, client.client_secret)
    else:
        data["client_id"] = client.client_id
        if client.client_secret:
            data["client_secret"] = client.client_secret
    if client.auth.scopes and form.get("grant_type") not in (
        "refresh_token",
        "authorization_code",
        DEVICE_GRANT,
    ):
        data["scope"] = " ".join(client.auth.scopes)
    try:
        answer = httpx.post(
            url or client.token_url,
            data=data,
            auth=basic,
            timeout=client.timeout,
            headers={"Accept": "application/json"},
        )
    except httpx.TransportError as error:
        raise SourceUnavailableError(
            f"source {client.source}: the token server did not answer: {type(error).__name__}",
            "try again later",
        ) from None
    return _told(client, answer)


class PendingError(Exception):
    """The person has not answered yet (device flow). `slower`: we asked too often."""

    def __init__(self, slower: bool = False) -> None:
        super().__init__("pending")
        self.slower = slower


def _told(client: Client, answer: httpx.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        document = None
    if (
        answer.is_success
        and isinstance(document, dict)
        and ("access_token" in document or "device_code" in document)
    ):
        return document
    said = document if isinstance(document, dict) else {}
    code = str(said.get("error") or "")
    if code in ("authorization_pending", "slow_down"):
        raise PendingError(code == "slow_down")
    words = f"HTTP {answer.status_code} {code} {said.get('error_description') or ''}".strip()
    if answer.status_code >= 500 or answer.status_code == 429:
        raise SourceUnavailableError(
            f"source {client.source}: the token server answered {words}", "try again later"
        )
    if code in ("invalid_grant", "expired_token", "access_denied"):
        raise ConnectionExpiredError(
            f"source {client.source}: the connection has ended ({words})",
            f"connect again: dataplatform connect {client.source}",
        )
    raise SourceError(
        f"source {client.source}: the token server answered {words}",
        "check token_url, client_id and client_secret",
    )
