"""Connects a source by OAuth2: a person says yes once, on this machine or another; what they are given is kept.

`dataplatform connect` calls this. Nothing is printed here: `tell` says what a person has to do.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from dataplatform.connectors import oauth
from dataplatform.connectors.auth import OAuth2Auth
from dataplatform.connectors.contract import Request
from dataplatform.connectors.registry import connect_of
from dataplatform.errors import ConnectionExpiredError, SourceError

LONGEST = 300.0  # seconds that a person has


@dataclass(frozen=True)
class Asking:
    """A question that is open: the page that asks it, and what tells the answer to it from any other."""

    client: oauth.Client
    auth: OAuth2Auth
    url: str
    state: str
    verifier: str


def oauth2_of(request: Request) -> OAuth2Auth:
    """How the source is connected; raises SourceError for one that is not."""
    auth = getattr(request.source.connector, "auth", None)
    if isinstance(auth, OAuth2Auth):
        return auth
    if connect_of(request.source) is not None:
        raise SourceError(
            f"the source {request.source.source} is connected at a terminal",
            f"dataplatform connect {request.source.source}",
        )
    kind = getattr(auth, "type", "none")
    raise SourceError(
        f"the source {request.source.source} is not connected by a person: its auth is `{kind}`",
        "`auth: {type: oauth2, authorize_url: …, token_url: …, client_id: …}` is; a token is set by "
        "`dataplatform secrets set`",
    )


def ask(request: Request, auth: OAuth2Auth) -> Asking:
    """The page that a person is to open."""
    client = oauth.client_of(request, auth)
    if auth.authorize_url is None:
        raise SourceError(f"source {client.source}: it has no `authorize_url`", "use --device, or name one")
    state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(64)
    params = {
        "response_type": "code", "client_id": client.client_id, "redirect_uri": auth.redirect_uri, "state": state,
        **({"scope": " ".join(auth.scopes)} if auth.scopes else {}), **auth.authorize_params,
    }  # fmt: skip
    if auth.pkce:
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        params |= {"code_challenge": challenge, "code_challenge_method": "S256"}
    page = str(request.resolve(auth.authorize_url))
    url = f"{page}{'&' if '?' in page else '?'}{urlencode(params)}"
    return Asking(client, auth, url, state, verifier)


def finish(asking: Asking, answered: str) -> dict[str, Any]:
    """Keeps what the provider gives for the address that it sent the person back to, or for the code alone."""
    code = _code(asking, answered.strip())
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": asking.auth.redirect_uri}
    if asking.auth.pkce:
        form["code_verifier"] = asking.verifier
    return _kept(asking.client, oauth.ask(asking.client, form))


def _code(asking: Asking, answered: str) -> str:
    if "?" not in answered and "=" not in answered:
        return asking.client.note(answered)
    query = urlsplit(answered).query or answered.partition("?")[2] or answered
    said = {name: values[0] for name, values in parse_qs(query).items()}
    if said.get("error"):
        raise ConnectionExpiredError(
            f"source {asking.client.source}: the provider says {said['error']} "
            f"{said.get('error_description', '')}".strip(),
            f"try again: dataplatform connect {asking.client.source}",
        )
    if said.get("state") != asking.state:
        raise SourceError(
            "this answer belongs to another question: its state is not the one that was sent",
            f"open the newest link; dataplatform connect {asking.client.source}",
        )
    if not said.get("code"):
        raise SourceError("the address holds no code", "paste all of the address that the browser ended at")
    return asking.client.note(said["code"])


def _kept(client: oauth.Client, answer: dict[str, Any]) -> dict[str, Any]:
    assert client.kept is not None
    with client.kept.alone(client.name):
        return oauth.keep(client, answer)


def can_listen(auth: OAuth2Auth) -> bool:
    """Whether the provider sends a person back to this machine."""
    parts = urlsplit(auth.redirect_uri)
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1") and bool(parts.port)


def listen(asking: Asking, seconds: float = LONGEST) -> str:
    """Waits on this machine for the person to come back; the address that they came to."""
    parts = urlsplit(asking.auth.redirect_uri)
    came: list[str] = []
    there = threading.Event()

    class Back(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            ours = urlsplit(self.path).path == (parts.path or "/")
            ours = ours and asking.state in parse_qs(urlsplit(self.path).query).get("state", [])
            text = (
                b"Connected. You may close this page."
                if ours
                else b"This is not the answer that is waited for."
            )
            self.send_response(200 if ours else 400)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            if ours:
                came.append(self.path)
                there.set()

        def log_message(self, format: str, *args: Any) -> None:
            """The address holds a code."""

    try:
        server = HTTPServer((parts.hostname or "127.0.0.1", parts.port or 80), Back)
    except OSError as error:
        raise SourceError(
            f"{asking.auth.redirect_uri} cannot be listened at: {error.strerror}",
            "end what listens there, or use --paste",
        ) from None
    server.timeout = 0.2
    end = time.monotonic() + seconds
    with server:
        while not there.is_set() and time.monotonic() < end:
            server.handle_request()
    if not came:
        raise SourceError(f"nobody came back within {seconds:.0f} s", "try again, or use --paste or --device")
    return came[0]


def by_device(request: Request, auth: OAuth2Auth, tell: Callable[[str, str], None]) -> dict[str, Any]:
    """The device flow (RFC 8628): `tell(address, code)` says where on any device to type what; waits for it."""
    client = oauth.client_of(request, auth)
    if auth.device_url is None:
        raise SourceError(
            f"source {client.source}: it has no `device_url`", "connect without --device, or name one"
        )
    given = oauth.ask(client, {"scope": " ".join(auth.scopes)}, str(request.resolve(auth.device_url)))
    names = ("verification_uri_complete", "verification_uri", "verification_url")
    where = next((str(given[name]) for name in names if given.get(name)), "")
    tell(where, str(given.get("user_code") or ""))
    wait, end = (
        float(given.get("interval") or 5),
        time.monotonic() + float(given.get("expires_in") or LONGEST),
    )
    while time.monotonic() < end:
        time.sleep(wait)
        try:
            form = {"grant_type": oauth.DEVICE_GRANT, "device_code": str(given["device_code"])}
            return _kept(client, oauth.ask(client, form))
        except oauth.PendingError as pending:
            wait += 5 if pending.slower else 0
    raise ConnectionExpiredError(
        f"source {client.source}: the code was not used in time",
        f"dataplatform connect {client.source} --device",
    )
