"""What lets us into sources, and until when: connections that a person made, and tokens that say their end."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dataplatform.context import Platform
from dataplatform.errors import DataplatformError
from dataplatform.reading.connections import Connection, connections
from dataplatform.secrets.resolver import names_in

CONNECTION = "the connection"
SOON = timedelta(days=7)  # before it ends, people are told


@dataclass(frozen=True)
class Ending:
    """What ends of a source, when (UTC; None: it has, nobody knows when), and what to do."""

    source: str
    what: str
    at: datetime | None
    remedy: str

    def text(self, now: datetime) -> str:
        if self.at is None:
            return f"{self.what} has ended: {self.remedy}"
        when = "ended" if self.at < now else "ends"
        return f"{self.what} {when} on {self.at:%Y-%m-%d %H:%M} UTC: {self.remedy}"


@dataclass(frozen=True)
class Missing:
    """A secret that a source names and no store gives, and why."""

    source: str
    secret: str
    error: str
    remedy: str


@dataclass(frozen=True)
class Access:
    """What lets us into sources: what of it ends, what is missing, and who was never connected."""

    endings: tuple[Ending, ...] = ()
    missing: tuple[Missing, ...] = ()
    unconnected: frozenset[str] = frozenset()


NOTHING = Access()


def access(platform: Platform) -> Access:
    """Of all sources. Each secret is looked for once, in stores that may be far away."""
    connected = connections(platform)
    found = [*_of_connections(connected)]
    missing: list[Missing] = []
    looked: dict[str, datetime | DataplatformError | None] = {}
    for name, source in platform.catalog.sources.items():
        for secret in sorted(names_in(source.model_dump(mode="python"))):
            if secret not in looked:
                looked[secret] = _looked(platform, secret)
            end = looked[secret]
            if isinstance(end, DataplatformError):
                missing.append(Missing(name, secret, end.message, end.remedy or ""))
            elif end is not None:
                found.append(Ending(name, f"the token {secret}", end, f"dataplatform secrets set {secret}"))
    never = frozenset(name for name, one in connected.items() if one.state == "never")
    return Access(tuple(found), tuple(missing), never)


def endings(platform: Platform) -> tuple[Ending, ...]:
    """Of all sources; a secret that is not there is somebody else's to tell."""
    return access(platform).endings


def _of_connections(connected: Mapping[str, Connection]) -> Iterator[Ending]:
    for name, found in connected.items():
        remedy = f"dataplatform connect {name}"
        end = found.connection_ends_at or (None if found.renews else found.token_ends_at)
        if found.state == "expired":
            yield Ending(name, CONNECTION, None, remedy)
        elif found.state == "connected" and end is not None:
            yield Ending(name, CONNECTION, end, remedy)


def _looked(platform: Platform, secret: str) -> datetime | DataplatformError | None:
    try:
        return end_of(platform.secrets.get(secret))
    except DataplatformError as error:
        return error


def end_of(token: str) -> datetime | None:
    """`exp` of a JSON Web Token (RFC 7519, 4.1.4); None for what is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(int(claims["exp"]), UTC)
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
