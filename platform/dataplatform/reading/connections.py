"""Sources that a person has connected by OAuth2: until when the provider lets us in, as far as it said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from dataplatform.context import Platform
from dataplatform.secrets.kept import PREFIX, Kept


@dataclass(frozen=True)
class Connection:
    """`state`: connected, expired (connect it again) or never. `token_ends_at`: of what is renewed by itself
    while `renews`."""

    state: str
    token_ends_at: datetime | None = None
    connection_ends_at: datetime | None = None
    renews: bool = False

    @property
    def text(self) -> str:
        """In words, for a person."""
        if self.state != "connected":
            return "not connected" if self.state == "never" else "the connection has ended"
        if self.connection_ends_at:
            return f"connected until {self.connection_ends_at:%Y-%m-%d %H:%M} UTC"
        if self.renews:
            return "connected"
        return f"connected until {self.token_ends_at:%Y-%m-%d %H:%M} UTC, nothing renews it"


def connections(platform: Platform) -> dict[str, Connection]:
    """By source; only those whose metadata ask for a connection."""
    kept = Kept(platform.settings.home_path)
    return {
        name: _of(kept, name)
        for name, source in platform.catalog.sources.items()
        if getattr(getattr(source.connector, "auth", None), "type", "") == "oauth2"
    }


def _of(kept: Kept, source: str) -> Connection:
    tokens = kept.get(PREFIX + source)
    if not tokens:
        return Connection("never")
    now = datetime.now(UTC)
    ends, whole = _time(tokens.get("expires_at")), _time(tokens.get("connection_ends_at"))
    renews = bool(tokens.get("refresh_token"))
    over = (whole is not None and whole < now) or (not renews and ends is not None and ends < now)
    return Connection("expired" if over or tokens.get("refused") else "connected", ends, whole, renews)


def _time(seconds: object) -> datetime | None:
    return datetime.fromtimestamp(float(seconds), UTC) if isinstance(seconds, int | float) else None
