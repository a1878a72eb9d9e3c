"""What holds for every request: under which name it came, who really sent it, and which headers its answer has."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dataplatform.errors import SettingsError
from dataplatform.settings import Settings

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Trust:
    """Which names the pages have, which proxies are believed, and in which header they name who signed in."""

    hosts: frozenset[str] = frozenset()
    proxies: tuple[Network, ...] = ()
    header: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Trust:
        """Raises SettingsError for a proxy that is no address, and for a header that nobody is believed in."""
        proxies = tuple(_network(text) for text in _listed(settings.web_trusted_proxies))
        header = settings.web_trusted_header or ""
        if header and not proxies:
            raise SettingsError(
                "DATAPLATFORM_WEB_TRUSTED_HEADER is set, and no proxy is named: anybody could send that header",
                "name the proxy's address in DATAPLATFORM_WEB_TRUSTED_PROXIES",
            )
        hosts = frozenset(name.lower() for name in _listed(settings.web_hosts))
        return cls(hosts, proxies, header.lower())

    def is_proxy(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self.proxies)

    def knows_host(self, host: str) -> bool:
        """An address cannot be made to mean another machine; a name can, by whoever owns it (DNS rebinding)."""
        name = _name_of(host)
        if name in LOOPBACK or name in self.hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise SettingsError(
            f"{text!r} in DATAPLATFORM_WEB_TRUSTED_PROXIES is no address",
            "write addresses or networks, such as 172.18.0.0/16, with commas between",
        ) from None


def _name_of(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass
class Guard:
    """ASGI middleware. Puts `client`, `scheme` and `trusted_user` of a request right; unknown names are refused."""

    app: ASGIApp
    trust: Trust = field(default_factory=Trust)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        self._put_right(scope, headers)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(MutableHeaders(scope=message), scope)
            await send(message)

        if not self.trust.knows_host(headers.get("host", "")):
            text = "This name is not one of dataplatform's. Add it to DATAPLATFORM_WEB_HOSTS.\n"
            await PlainTextResponse(text, 421)(scope, receive, with_headers)
            return
        await self.app(scope, receive, with_headers)

    def _put_right(self, scope: Scope, headers: Headers) -> None:
        peer = (scope.get("client") or ("",))[0]
        state: dict[str, Any] = scope.setdefault("state", {})
        state["trusted_user"], state["address"] = "", peer
        if not self.trust.is_proxy(peer):
            return
        state["address"] = self._client(headers.getlist("x-forwarded-for"), peer)
        if headers.get("x-forwarded-proto", "").split(",")[-1].strip() == "https":
            scope["scheme"] = "https"
        if self.trust.header:
            state["trusted_user"] = headers.get(self.trust.header, "")

    def _client(self, forwarded: Iterable[str], peer: str) -> str:
        """The last address that no proxy of ours wrote of itself: those before it anybody may have written."""
        told = [part.strip() for line in forwarded for part in line.split(",") if part.strip()]
        return next((address for address in reversed(told) if not self.trust.is_proxy(address)), peer)


def _add_headers(headers: MutableHeaders, scope: Scope) -> None:
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    if not scope["path"].startswith("/static/"):
        headers.setdefault("Cache-Control", "no-store")
    if scope["scheme"] == "https":
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
