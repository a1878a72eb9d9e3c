"""OpenID Connect: a provider that says who somebody is. The code flow with PKCE; every token is checked.

In come settings and the provider's answers, out go claims that it has signed for us. Who that is here: `accounts.py`.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import jwt
import orjson

from dataplatform.access.users import RefusedError
from dataplatform.errors import SettingsError, TransientError
from dataplatform.settings import Settings

# signed by the provider's own key: never `none`, and nothing that is signed with what we know, too
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
LEEWAY = 60  # seconds by which clocks may differ
SECONDS = 10.0  # that the provider has to answer
FRESH, AGAIN = (
    3600.0,
    30.0,
)  # seconds that what it says of itself is good for; between two looks for a new key
LARGEST = 1_000_000  # bytes of an answer


@dataclass
class Provider:
    """One issuer; what it says of itself is kept for an hour."""

    issuer: str
    client_id: str
    secret: str = field(default="", repr=False)
    scopes: str = "openid"
    _about: dict[str, Any] = field(default_factory=dict, repr=False)
    _keys: jwt.PyJWKSet | None = field(default=None, repr=False)
    _about_at: float = -FRESH
    _keys_at: float = -FRESH
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def about(self) -> dict[str, Any]:
        """Its configuration (OpenID Connect Discovery 1.0)."""
        with self._lock:
            if time.monotonic() - self._about_at >= FRESH:
                found = _asked("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
                if found.get("issuer") != self.issuer:
                    raise SettingsError(
                        f"the provider calls itself {found.get('issuer')!r}, not {self.issuer!r}",
                        "write DATAPLATFORM_WEB_OIDC_ISSUER exactly as it does",
                    )
                for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                    check_address(str(found.get(name) or ""), name)
                self._about, self._about_at = found, time.monotonic()
            return self._about

    def key(self, token: str) -> jwt.PyJWK:
        """The key that a token says it is signed with; keys are read again where it is a new one."""
        kid = jwt.get_unverified_header(token).get("kid")
        found = self._known(kid, FRESH) or self._known(kid, AGAIN)
        if found is None:
            raise RefusedError("the token is signed with a key that the provider does not have", "try again")
        return found

    def _known(self, kid: str | None, fresh: float) -> jwt.PyJWK | None:
        where = str(self.about()["jwks_uri"])
        with self._lock:
            if time.monotonic() - self._keys_at >= fresh:
                self._keys, self._keys_at = jwt.PyJWKSet.from_dict(_asked("GET", where)), time.monotonic()
            keys = [k for k in (self._keys.keys if self._keys else []) if k.public_key_use in (None, "sig")]
        if kid is None:
            return keys[0] if len(keys) == 1 else None
        return next((key for key in keys if key.key_id == kid), None)


def provider_of(settings: Settings) -> Provider | None:
    """None where no issuer is named; raises SettingsError where one is wrong."""
    if not settings.web_oidc_issuer:
        return None
    if not settings.web_oidc_client_id:
        raise SettingsError(
            "DATAPLATFORM_WEB_OIDC_ISSUER is set, and DATAPLATFORM_WEB_OIDC_CLIENT_ID is not",
            "register these pages with the provider, and name the id that it gives",
        )
    check_address(settings.web_oidc_issuer, "DATAPLATFORM_WEB_OIDC_ISSUER")
    scopes = settings.web_oidc_scopes.split()
    secret = settings.web_oidc_client_secret
    return Provider(
        settings.web_oidc_issuer, settings.web_oidc_client_id, secret.get_secret_value() if secret else "",
        " ".join(scopes if "openid" in scopes else ["openid", *scopes]),
    )  # fmt: skip


def check_address(address: str, what: str) -> None:
    """https, or this machine: what goes by another way can be read and changed on it."""
    parts = urlsplit(address)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and _is_here(parts.hostname or ""):
        return
    raise SettingsError(f"{what} is {address!r}, which is not https", "a provider is reached by https")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def page_of(provider: Provider, back: str, state: str, nonce: str, verifier: str) -> str:
    """Where a person says who they are."""
    digest = hashlib.sha256(verifier.encode()).digest()
    params = {
        "response_type": "code", "client_id": provider.client_id, "redirect_uri": back, "scope": provider.scopes,
        "state": state, "nonce": nonce, "code_challenge_method": "S256",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
    }  # fmt: skip
    page = str(provider.about()["authorization_endpoint"])
    return f"{page}{'&' if '?' in page else '?'}{urlencode(params)}"


def claims_of(provider: Provider, code: str, back: str, nonce_digest: str, verifier: str) -> dict[str, Any]:
    """What the provider says of who brought the code, all of it checked; raises RefusedError where it is not right."""
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": verifier,
        "client_id": provider.client_id,
    }  # fmt: skip
    answer = _token(provider, form)
    claims = checked(provider, str(answer.get("id_token") or ""), nonce_digest)
    return {**_more(provider, str(answer.get("access_token") or ""), claims["sub"]), **claims}


def checked(provider: Provider, token: str, nonce_digest: str) -> dict[str, Any]:
    """The claims of an ID token (OpenID Connect Core 1.0, 3.1.3.7)."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token, provider.key(token).key, algorithms=ALGORITHMS, audience=provider.client_id,
            issuer=provider.issuer, leeway=LEEWAY, options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )  # fmt: skip
    except jwt.PyJWTError as error:
        raise RefusedError(f"the provider's token is not good: {error}", "try again") from None
    nonce = str(claims.get("nonce") or "")
    if not nonce or hashlib.sha256(nonce.encode()).hexdigest() != nonce_digest:
        raise RefusedError("the provider's token is not good: it answers another question", "try again")
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if (several or "azp" in claims) and claims.get("azp") != provider.client_id:
        raise RefusedError("the provider's token is not good: it is for another program", "try again")
    if not isinstance(claims["sub"], str) or not claims["sub"]:
        raise RefusedError("the provider's token is not good: it is nobody's", "try again")
    return claims


def _token(provider: Provider, form: dict[str, str]) -> dict[str, Any]:
    about = provider.about()
    headers: dict[str, str] = {}
    if provider.secret:
        ways = about.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if "client_secret_basic" in ways:
            pair = f"{quote(provider.client_id, safe='')}:{quote(provider.secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form = {**form, "client_secret": provider.secret}
    return _asked("POST", str(about["token_endpoint"]), data=form, headers=headers)


def _more(provider: Provider, access_token: str, subject: str) -> dict[str, Any]:
    """Claims that some providers give at their userinfo endpoint only; of the same person, or none."""
    where = provider.about().get("userinfo_endpoint")
    if not where or not access_token:
        return {}
    check_address(str(where), "userinfo_endpoint")
    found = _asked("GET", str(where), headers={"Authorization": f"Bearer {access_token}"})
    return found if found.get("sub") == subject else {}


def _asked(
    method: str, address: str, data: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What the provider answers, a JSON object; redirects are not followed: credentials go where they were sent."""
    try:
        with httpx.Client(timeout=SECONDS) as client, client.stream(
            method, address, data=data, headers=headers
        ) as answer:  # fmt: skip
            body = b""
            for part in answer.iter_bytes():
                body += part
                if len(body) > LARGEST:
                    raise RefusedError("the provider's answer is too long", "try again")
            status = answer.status_code
    except httpx.HTTPError as error:
        raise TransientError(
            f"the provider of sign-ins cannot be reached: {type(error).__name__}",
            "try again, or sign in by password",
        ) from None
    return _document(status, body)


def _document(status: int, body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except ValueError:
        found = None
    if status == 200 and isinstance(found, dict):
        return found
    if status >= 500 or status == 429:
        raise TransientError(
            f"the provider of sign-ins answers {status}", "try again, or sign in by password"
        )
    said = str(found.get("error", "")) if isinstance(found, dict) else ""
    raise RefusedError(f"the provider of sign-ins answers {status} {said[:100]}".strip(), "try again")
