"""bunq's way to be let in: a key pair, an installation, a device, a session; each request is signed (RSA, SHA-256).

As doc.bunq.com says in November 2026 (API context, signing, errors): the body alone is signed, PKCS #1 v1.5, in base64;
`/installation` takes the public key and gives a token, with which `/device-server` and `/session-server` are asked.
The key pair and the tokens are kept in the store (`bunq/SOURCE`) before anything is done with them. A session that is
refused is followed by one new one. The signatures of bunq's answers are not looked at: TLS says who answers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from dataplatform.connectors.auth import BunqAuth
from dataplatform.connectors.contract import Request
from dataplatform.connectors.rest.limits import retry_after
from dataplatform.errors import SourceError, SourceUnavailableError
from dataplatform.secrets.kept import Kept
from dataplatform.secrets.masking import Noted

_EARLY = 60.0  # seconds before its end that a session is followed by another
_LASTS = 600.0  # seconds, where bunq does not say: a person chooses it in the app
_REFUSED = (400, 401, 403)
_ALWAYS = {
    "Cache-Control": "no-cache", "User-Agent": "dataplatform", "X-Bunq-Language": "en_US", "X-Bunq-Region": "nl_NL",
    "X-Bunq-Geolocation": "0 0 0 0 000",
}  # fmt: skip


class _RefusedError(Exception):
    """bunq said no. `words`: its own; `status` 401: it does not know the token, or not the signature."""

    def __init__(self, words: str, status: int = 0) -> None:
        super().__init__(words)
        self.words, self.status = words, status


@dataclass
class Sessions:
    """The sessions of one source, over threads, processes and runs."""

    source: str
    base_url: str
    key: str
    auth: BunqAuth
    kept: Kept
    noted: Noted
    timeout: float

    @classmethod
    def of(cls, request: Request, auth: BunqAuth, base_url: str) -> Sessions:
        """Raises SourceError where there is no place to keep keys."""
        if request.home is None:
            raise SourceError(f"source {request.source.source}: there is no place to keep bunq's keys")
        key = request.noted.note(str(request.resolve(auth.key)))
        return cls(
            request.source.source, base_url.rstrip("/"), key, auth, Kept(request.home), request.noted, request.timeout
        )  # fmt: skip

    @property
    def name(self) -> str:
        return f"bunq/{self.source}"

    def good(self, refused: str = "") -> dict[str, Any]:
        """What is kept, with a session that is good now and not the refused one.

        Raises SourceError where bunq does not take the API key, SourceUnavailableError where it is away.
        """
        if self._is_good(found := self.kept.get(self.name) or {}, refused):
            return self._noted(found)
        with self.kept.alone(self.name):
            found = self.kept.get(self.name) or {}  # somebody beside us may have been faster
            if self._is_good(found, refused):
                return self._noted(found)
            return self._noted(self._renewed(found))

    def _is_good(self, found: Mapping[str, Any], refused: str) -> bool:
        session = found.get("session")
        lasting = float(found.get("ends_at") or 0) - _EARLY > time.time()
        return bool(session) and session != refused and lasting and self._is_ours(found)

    def _is_ours(self, found: Mapping[str, Any]) -> bool:
        """Of this API key and this server: another one has an installation of its own."""
        return bool(found.get("installed")) and found.get("of") == self._of()

    def _of(self) -> str:
        return hashlib.sha256(f"{self.base_url}\0{self.key}".encode()).hexdigest()[:32]

    def _noted(self, found: dict[str, Any]) -> dict[str, Any]:
        for part in ("session", "token", "private_key"):
            self.noted.note_parts(self.noted.note(str(found[part])))
        return found

    def _renewed(self, found: dict[str, Any]) -> dict[str, Any]:
        """A new session; of an installation that bunq knows no more, a new one of that, too, once."""
        try:
            if self._is_ours(found):
                try:
                    return self._session(found)
                except _RefusedError:
                    found = {}
            return self._session(self._installed(found))
        except _RefusedError as error:
            raise SourceError(
                f"source {self.source}: bunq refuses the API key: {error.words}",
                "make another in bunq's app (Profile → Security & Settings → Developers → API keys), set the secret, "
                "run again; a key is for one IP address unless it is made for all: `permitted_ips`",
            ) from None

    def _installed(self, found: dict[str, Any]) -> dict[str, Any]:
        """A key pair that bunq knows, and this program as a device of it; what an earlier try has come to is used."""
        known = found.get("of") == self._of() and bool(found.get("token"))
        found = found if known else self._introduced()
        try:
            self._register(found)
        except _RefusedError as error:
            if not known or error.status != 401:
                raise
            found = self._introduced()
            self._register(found)
        found["installed"] = True
        self.kept.put(self.name, found)
        return found

    def _introduced(self) -> dict[str, Any]:
        private, public = _key_pair()
        said = self._ask("installation", {"client_public_key": public}, "", private)
        found = {"of": self._of(), "private_key": private, "token": _token_in(said), "installed": False}
        self.kept.put(self.name, found)
        return found

    def _register(self, found: Mapping[str, Any]) -> None:
        about: dict[str, Any] = {"description": self.auth.device, "secret": self.key}
        if self.auth.permitted_ips:
            about["permitted_ips"] = list(self.auth.permitted_ips)
        self._ask("device-server", about, found["token"], found["private_key"])

    def _session(self, found: dict[str, Any]) -> dict[str, Any]:
        said = self._ask("session-server", {"secret": self.key}, found["token"], found["private_key"])
        lasts = next((float(one["session_timeout"]) for one in said if one.get("session_timeout")), _LASTS)
        found = {**found, "session": _token_in(said), "ends_at": time.time() + lasts}
        self.kept.put(self.name, found)
        return found

    def _ask(self, path: str, document: Mapping[str, Any], token: str, private: str) -> list[dict[str, Any]]:
        """What the objects of the answer hold. Raises _RefusedError, SourceError, SourceUnavailableError."""
        body = json.dumps(document).encode()
        headers = {"Content-Type": "application/json", **signed(body, token, private)}
        try:
            answer = httpx.post(
                f"{self.base_url}/{path}", content=body, headers=headers, timeout=self.timeout
            )
        except httpx.TransportError as error:
            raise SourceUnavailableError(
                f"source {self.source}: bunq did not answer: {type(error).__name__}", "try again later"
            ) from None
        words = f"HTTP {answer.status_code} to {path}{_words_of(answer)}"
        if answer.status_code in _REFUSED:
            raise _RefusedError(words, answer.status_code)
        if answer.status_code in (429, 491) or answer.status_code >= 500:
            raise SourceUnavailableError(
                f"source {self.source}: bunq answered {words}", "try again later", retry_after=retry_after(answer)
            )  # fmt: skip
        try:
            return [inner for one in answer.json()["Response"] for inner in one.values()]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SourceError(
                f"source {self.source}: {words} is no answer of bunq's",
                "is `base_url` https://api.bunq.com/v1?",
            ) from None


@dataclass
class Signed(httpx.Auth):
    """Puts the session and the signature on each request; a session that is refused (401) is renewed once."""

    sessions: Sessions
    requires_request_body = True

    def sync_auth_flow(self, request: httpx.Request) -> Any:
        request.read()
        used = self.sessions.good()
        self._put(request, used)
        response = yield request
        if response.status_code == 401:
            self._put(request, self.sessions.good(used["session"]))
            yield request

    @staticmethod
    def _put(request: httpx.Request, found: Mapping[str, Any]) -> None:
        request.headers.update(signed(request.content, found["session"], found["private_key"]))


def signed(body: bytes, token: str, private: str) -> dict[str, str]:
    """The headers of a request; without a token (the first one) there is nothing to sign for."""
    always = {**_ALWAYS, "X-Bunq-Client-Request-Id": str(uuid.uuid4())}
    if not token:
        return always
    key = serialization.load_pem_private_key(private.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    signature = base64.b64encode(key.sign(body, padding.PKCS1v15(), hashes.SHA256())).decode()
    return {**always, "X-Bunq-Client-Authentication": token, "X-Bunq-Client-Signature": signature}


def _key_pair() -> tuple[str, str]:
    """A private and a public key, both in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


def _token_in(said: list[dict[str, Any]]) -> str:
    found = next((one["token"] for one in said if isinstance(one.get("token"), str)), "")
    if not found:
        raise _RefusedError("the answer holds no token")
    return str(found)


def _words_of(answer: httpx.Response) -> str:
    try:
        errors = answer.json()["Error"]
        return ": " + "; ".join(str(one["error_description"]) for one in errors)
    except (ValueError, KeyError, TypeError):
        return ""
