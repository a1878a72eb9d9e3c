"""Puts credentials on requests when they are sent: no page describes them, and no log has them."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from dataplatform.connectors import oauth
from dataplatform.connectors.auth import (
    Auth,
    BunqAuth,
    ClientCredentialsAuth,
    CustomAuth,
    JwtAuth,
    OAuth2Auth,
    SessionTokenAuth,
    httpx_auth,
)
from dataplatform.connectors.contract import Request
from dataplatform.connectors.own import theirs, thing_at
from dataplatform.connectors.rest.limits import retry_after
from dataplatform.errors import SourceError, SourceUnavailableError
from dataplatform.metadata.paths import MISSING, dig

Sent = Generator[httpx.Request, httpx.Response]


class Placed(httpx.Auth):
    """A key in a header, a query parameter or a cookie."""

    def __init__(self, name: str, key: str, location: str) -> None:
        self.name, self.key, self.location = name, key, location

    def auth_flow(self, request: httpx.Request) -> Sent:
        place(request, self.name, self.key, self.location)
        yield request


def place(request: httpx.Request, name: str, key: str, location: str) -> None:
    """Puts the key where it goes, in place of what stands there."""
    if location == "header":
        request.headers[name] = key
    elif location in ("query", "param"):
        request.url = request.url.copy_set_param(name, key)
    else:
        others = [
            c for c in request.headers.get("cookie", "").split("; ") if c and not c.startswith(f"{name}=")
        ]
        request.headers["cookie"] = "; ".join([*others, f"{name}={key}"])


@dataclass
class Renewed(httpx.Auth):
    """A token that ends. One that the API refuses (401) is renewed once, and the request sent again.

    `token(refused)` gives one that is good, and never the refused one. `put` places it on a request.
    """

    token: Callable[[str], str]
    put: Callable[[httpx.Request, str], None]
    requires_response_body = False

    def sync_auth_flow(self, request: httpx.Request) -> Sent:
        """httpx's own would read the answer's body here, however long it is."""
        used = self.token("")
        self.put(request, used)
        response = yield request
        if response.status_code == 401:
            self.put(request, self.token(used))
            yield request


def _bearer(request: httpx.Request, token: str) -> None:
    request.headers["Authorization"] = f"Bearer {token}"


@dataclass
class _Remembered:
    """A token in memory, shared by the threads of one extraction."""

    make: Callable[[], tuple[str, float]]  # the token, and when it ends
    token: str = ""
    ends: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, refused: str) -> str:
        with self.lock:
            if not self.token or self.token == refused or time.time() > self.ends:
                self.token, self.ends = self.make()
            return self.token


def credentials(request: Request, auth: Auth, base_url: str) -> httpx.Auth | None:
    """What puts the source's credentials on each request."""

    def resolved(value: Any) -> str:
        return str(request.resolve(value))

    def credential(value: Any) -> str:
        return request.noted.note(resolved(value))  # also one that was written as it is

    match auth:
        case OAuth2Auth():
            client, seed = oauth.client_of(request, auth), oauth.seed_of(request, auth)
            return Renewed(lambda refused: oauth.access_token(client, seed, refused), _bearer)
        case ClientCredentialsAuth():
            return Renewed(_Remembered(lambda: _of_client(request, auth)), _bearer)
        case SessionTokenAuth():
            return Renewed(
                _Remembered(lambda: _logged_in(request, auth, base_url)),
                lambda sent, token: place(sent, auth.name, auth.prefix + token, auth.location),
            )
        case JwtAuth():
            return Renewed(
                _Remembered(lambda: _signed(request, auth)),
                lambda sent, token: place(sent, "Authorization", auth.prefix + token, "header"),
            )
        case BunqAuth():
            from dataplatform.connectors.rest import bunq  # makes keys: only for who has an account there

            return bunq.Signed(bunq.Sessions.of(request, auth, base_url))
        case CustomAuth():
            return _own(request, auth)
    return httpx_auth(auth, resolved, credential)


def _of_client(request: Request, auth: ClientCredentialsAuth) -> tuple[str, float]:
    client = oauth.client_of(request, auth)
    answer = oauth.ask(client, {"grant_type": "client_credentials"})
    lasts = float(answer.get("expires_in") or auth.expires_in.total_seconds())
    return request.noted.note(str(answer["access_token"])), time.time() + max(0.0, lasts - oauth.EARLY)


def _logged_in(request: Request, auth: SessionTokenAuth, base_url: str) -> tuple[str, float]:
    where = f"source {request.source.source}: the login"
    answer = _login_answer(request, auth, urljoin(base_url.rstrip("/") + "/", auth.login.lstrip("/")), where)
    if not answer.is_success:
        hint = (
            "check the user's name and password" if answer.status_code in (400, 401, 403) else "check `login`"
        )
        raise SourceError(f"{where} answered HTTP {answer.status_code}", hint)
    token = _token_in(answer, auth)
    if not isinstance(token, str | int) or token == "":
        field = "token_pattern" if auth.token_pattern else "token_path"
        raise SourceError(f"{where} gave no token at `{getattr(auth, field)}`", f"correct `{field}`")
    return request.noted.note(str(token)), time.time() + auth.lasts.total_seconds()


@retry(
    retry=retry_if_exception_type(SourceUnavailableError),
    stop=stop_after_attempt(4),
    wait=lambda state: _patience(state.outcome.exception() if state.outcome else None, state.attempt_number),
    reraise=True,
)
def _login_answer(request: Request, auth: SessionTokenAuth, url: str, where: str) -> httpx.Response:
    """What the login says; a server that is busy is asked again, some times."""
    body = request.resolve(auth.body)
    sent: dict[str, Any] = (
        {"data" if auth.form else "json": body} if auth.method == "POST" else {"params": body}
    )
    headers = {k: str(request.resolve(v)) for k, v in auth.headers.items()}
    try:
        answer = httpx.request(auth.method, url, headers=headers, timeout=request.timeout, **sent)
    except httpx.TransportError as error:
        raise SourceUnavailableError(
            f"{where} did not answer: {type(error).__name__}", "try again later"
        ) from None
    if answer.status_code == 429 or answer.status_code >= 500:
        raise SourceUnavailableError(
            f"{where} answered HTTP {answer.status_code}", "try again later", retry_after=retry_after(answer)
        )
    return answer


def _patience(error: BaseException | None, tries: int) -> float:
    """Seconds: as long as the server asks, within reason."""
    asked = getattr(error, "retry_after", None)
    return float(min(asked if asked is not None else 0.5 * 2**tries, 30.0))


def _token_in(answer: httpx.Response, auth: SessionTokenAuth) -> Any:
    if auth.token_pattern:
        found = re.search(auth.token_pattern, answer.text)
        return found[1].strip() if found else MISSING
    try:
        return dig(answer.json(), auth.token_path)
    except ValueError:
        return MISSING


def _signed(request: Request, auth: JwtAuth) -> tuple[str, float]:
    import jwt  # only by who signs

    now = time.time()
    claims = {k: v for k, v in request.resolve(auth.claims).items() if v is not None}
    claims = {"iat": int(now), "exp": int(now + auth.lasts.total_seconds())} | claims
    key: Any = request.noted.note_parts(request.noted.note(str(request.resolve(auth.key))))
    try:
        key = base64.b64decode(key) if auth.base64_key else key
        token = jwt.encode(claims, key, auth.algorithm, dict(auth.jwt_headers) or None)
    except (ValueError, TypeError, NotImplementedError, jwt.PyJWTError) as error:
        raise SourceError(
            f"source {request.source.source}: the key does not sign with {auth.algorithm}: {error}",
            "RS, PS, ES and EdDSA sign with a private key in PEM, HS with a secret",
        ) from None
    return request.noted.note(token), now + auth.lasts.total_seconds() * 0.9


def _own(request: Request, auth: CustomAuth) -> httpx.Auth:
    try:
        made = thing_at(request.connectors, auth.auth)(**request.resolve(auth.config))
    except TypeError as error:
        raise theirs(auth.auth, error) from error
    if not isinstance(made, httpx.Auth):
        raise SourceError(f"{auth.auth} is no httpx.Auth", "derive your class from httpx.Auth")
    return _Guarded(made, auth.auth)


class _Guarded(httpx.Auth):
    """A person's own, whose errors are told as theirs."""

    def __init__(self, inner: httpx.Auth, place: str) -> None:
        self.inner, self.place = inner, place

    def sync_auth_flow(self, request: httpx.Request) -> Sent:
        flow = self.inner.sync_auth_flow(request)
        try:
            answer = yield next(flow)
            while True:
                answer = yield flow.send(answer)
        except StopIteration:
            return
        except (httpx.HTTPError, SourceError, GeneratorExit):
            raise
        except Exception as error:
            raise theirs(self.place, error) from error
        finally:
            flow.close()
