"""What lets us into sources, and until when: connections that a person made, and tokens that say their end."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from dataplatform.context import Platform
from dataplatform.errors import DataplatformError
from dataplatform.metadata.source import Source
from dataplatform.reading.connections import connections
from dataplatform.secrets.resolver import names_in


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


def endings(platform: Platform) -> Iterator[Ending]:
    """Of all sources; a secret that is not there is somebody else's to tell."""
    connected = connections(platform)
    for name, source in platform.catalog.sources.items():
        remedy = f"dataplatform connect {name}"
        if (found := connected.get(name)) is not None:
            if found.state == "expired":
                yield Ending(name, "the connection", None, remedy)
            elif (
                end := found.connection_ends_at or (None if found.renews else found.token_ends_at)
            ) is not None:
                yield Ending(name, "the connection", end, remedy)
        yield from tokens_of(platform, source)


def tokens_of(platform: Platform, source: Source) -> Iterator[Ending]:
    """Secrets of a source that are tokens with an end of their own."""
    for secret in sorted(names_in(source.model_dump(mode="python"))):
        try:
            end = end_of(platform.secrets.get(secret))
        except DataplatformError:
            continue
        if end is not None:
            yield Ending(source.source, f"the token {secret}", end, f"dataplatform secrets set {secret}")


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
