"""Sessions and tokens: random words of which the database holds a digest, so that who reads it cannot use them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.access.tables import web_session, web_token, web_user
from dataplatform.storage.postgres import connected, transaction

Scope = Literal["read", "act", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "act", "admin")
IDLE, LONGEST = timedelta(days=14), timedelta(days=90)  # of a session
PREFIX = "dpt_"  # of an API token: scanners for secrets can know it
SETUP = timedelta(hours=24)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in; `id` is the digest that the database holds."""

    id: str
    user: str
    scope: Scope
    created_at: datetime
    seen_at: datetime
    address: str
    agent: str


@dataclass(frozen=True)
class Token:
    """An API token, without itself: it is shown once, when it is made."""

    id: str
    name: str
    scope: str
    user: str
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None


def digest(word: str) -> str:
    return hashlib.sha256(word.encode("utf-8", "surrogatepass")).hexdigest()


def covers(scope: str, needed: Scope) -> bool:
    """Whether who has `scope` may do what needs `needed`: admin may act, and who acts may read."""
    return scope in SCOPES and SCOPES.index(scope) >= SCOPES.index(needed)


def open_session(engine: Engine, user: str, address: str, agent: str) -> str:
    """The word for the cookie; old sessions are removed on the way."""
    word, now = secrets.token_urlsafe(32), datetime.now(UTC)
    row = {
        "id": digest(word), "user_name": user, "created_at": now, "seen_at": now,
        "address": address[:100], "agent": agent[:200],
    }  # fmt: skip
    with transaction(engine) as conn:
        conn.execute(web_session.delete().where(_is_over(now)))
        conn.execute(web_session.insert().values(row))
    return word


def session_of(engine: Engine, word: str) -> Session | None:
    """Whose cookie that is; None where it was signed out, is over, or never was."""
    now = datetime.now(UTC)
    query = _sessions().where(web_session.c.id == digest(word), sa.not_(_is_over(now)))
    with connected(engine) as conn:
        row = conn.execute(query).mappings().first()
    if row is None:
        return None
    found = Session(**row)
    if now - found.seen_at > _MINUTE:
        with transaction(engine) as conn:
            conn.execute(web_session.update().where(web_session.c.id == found.id).values(seen_at=now))
    return found


def sessions(engine: Engine) -> list[Session]:
    """Those that are open, the last used first."""
    query = _sessions().where(sa.not_(_is_over(datetime.now(UTC)))).order_by(web_session.c.seen_at.desc())
    with connected(engine) as conn:
        return [Session(**row) for row in conn.execute(query).mappings()]


def close_session(engine: Engine, id_: str) -> None:
    with transaction(engine) as conn:
        conn.execute(web_session.delete().where(web_session.c.id == id_))


def close_sessions_of(engine: Engine, user: str, but: str = "") -> None:
    """All of a user's, for a new password; `but`: the one that they are in."""
    c = web_session.c
    with transaction(engine) as conn:
        conn.execute(web_session.delete().where(c.user_name == user, c.id != but))


def _sessions() -> sa.Select[Any]:
    c = web_session.c
    columns: Sequence[Any] = (
        c.id, c.user_name.label("user"), web_user.c.scope, c.created_at, c.seen_at, c.address, c.agent,
    )  # fmt: skip
    return sa.select(*columns).join(web_user, web_user.c.name == c.user_name)


def _is_over(now: datetime) -> sa.ColumnElement[bool]:
    c = web_session.c
    return sa.or_(c.seen_at < now - IDLE, c.created_at < now - LONGEST)


def make_token(engine: Engine, name: str, scope: str, user: str, days: int | None) -> str:
    """The token itself, to be shown this once."""
    word, now = PREFIX + secrets.token_urlsafe(32), datetime.now(UTC)
    row = {
        "id": digest(word), "name": name[:100], "scope": scope, "user_name": user, "created_at": now,
        "expires_at": now + timedelta(days=days) if days else None,
    }  # fmt: skip
    with transaction(engine) as conn:
        conn.execute(web_token.insert().values(row))
    return word


def token_of(engine: Engine, word: str) -> Token | None:
    """What a token may do; None for one that is over, was taken back, whose maker is gone, or never was."""
    c, now = web_token.c, datetime.now(UTC)
    query = (
        _tokens().join(web_user, web_user.c.name == c.user_name).where(c.id == digest(word), _is_valid(now))
    )
    with connected(engine) as conn:
        row = conn.execute(query).mappings().first()
    if row is None:
        return None
    found = Token(**row)
    if found.used_at is None or now - found.used_at > _MINUTE:
        with transaction(engine) as conn:
            conn.execute(web_token.update().where(c.id == found.id).values(used_at=now))
    return found


def tokens(engine: Engine) -> list[Token]:
    """All of people's, the newest first."""
    c = web_token.c
    query = _tokens().where(c.scope != "setup").order_by(c.created_at.desc())
    with connected(engine) as conn:
        return [Token(**row) for row in conn.execute(query).mappings()]


def remove_token(engine: Engine, id_: str) -> None:
    with transaction(engine) as conn:
        conn.execute(web_token.delete().where(web_token.c.id == id_))


def _tokens() -> sa.Select[Any]:
    c = web_token.c
    return sa.select(c.id, c.name, c.scope, c.user_name.label("user"), c.created_at, c.expires_at, c.used_at)


def _is_valid(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(web_token.c.expires_at.is_(None), web_token.c.expires_at > now)


def make_setup_token(engine: Engine) -> str:
    """A word that makes the first user; what was made before of the kind is worth nothing then."""
    word, now = secrets.token_urlsafe(24), datetime.now(UTC)
    row = {
        "id": digest(word), "name": "the first user", "scope": "setup", "user_name": "", "created_at": now,
        "expires_at": now + SETUP,
    }  # fmt: skip
    with transaction(engine) as conn:
        conn.execute(web_token.delete().where(web_token.c.scope == "setup"))
        conn.execute(web_token.insert().values(row))
    return word


def is_setup_token(conn: sa.Connection, word: str) -> bool:
    c = web_token.c
    query = sa.select(c.id).where(c.id == digest(word), c.scope == "setup", _is_valid(datetime.now(UTC)))
    return conn.execute(query).first() is not None
