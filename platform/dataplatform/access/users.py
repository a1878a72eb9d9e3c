"""Users and their passwords; the first one comes by a setup token, there is no default password."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.engine import Engine

from dataplatform.access import totp
from dataplatform.access.doors import SCOPES, digest, is_setup_token
from dataplatform.access.tables import web_attempt, web_session, web_token, web_user
from dataplatform.errors import TerminalError
from dataplatform.storage.postgres import connected, transaction

SHORTEST, LONGEST = 10, 1024  # characters of a password
NAME = r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}"
WINDOW = timedelta(minutes=15)
FREE = 5  # failed sign-ins of a name in the window before it has to wait
FREE_OF_ADDRESS = 20


@dataclass(frozen=True)
class User:
    """One who may sign in; `has_password`: else through a proxy only."""

    name: str
    scope: str
    has_password: bool
    created_at: datetime


class RefusedError(TerminalError):
    """Somebody may not: a wrong password, too many tries, a name that cannot be."""


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()  # argon2id; RFC 9106, low memory: 64 MiB, three passes


@cache
def _nobody() -> str:
    return _hasher().hash("nobody has this password")


def users(engine: Engine) -> list[User]:
    """By name."""
    c = web_user.c
    with connected(engine) as conn:
        rows = conn.execute(
            sa.select(c.name, c.scope, c.password.is_not(None), c.created_at).order_by(c.name)
        )
        return [User(*row) for row in rows]


def there_are_users(engine: Engine) -> bool:
    with connected(engine) as conn:
        return conn.execute(sa.select(web_user.c.name).limit(1)).first() is not None


def scope_of(engine: Engine, name: str) -> str | None:
    """None where nobody has that name."""
    with connected(engine) as conn:
        found: str | None = conn.execute(sa.select(web_user.c.scope).where(web_user.c.name == name)).scalar()
        return found


def first_user(engine: Engine, token: str, name: str, password: str) -> None:
    """Makes the first user, an admin, and uses the token up; raises RefusedError where it is not to be."""
    row = _row(name, password, "admin")
    with transaction(engine) as conn:
        conn.execute(sa.text("lock table audit.web_user in exclusive mode"))
        if not is_setup_token(conn, token):
            raise RefusedError(
                "this link is used up or over", "start dataplatform again: it prints a new one"
            )
        if conn.execute(sa.select(web_user.c.name).limit(1)).first():
            raise RefusedError("there is a first user already", "sign in")
        conn.execute(web_user.insert().values(row))
        conn.execute(web_token.delete().where(web_token.c.scope == "setup"))


def add(engine: Engine, name: str, password: str | None, scope: str) -> None:
    """A user more; no password: one who comes through a proxy. Raises RefusedError for what cannot be."""
    row = _row(name, password, scope)
    with transaction(engine) as conn:
        if conn.execute(sa.select(web_user.c.name).where(web_user.c.name == name)).first():
            raise RefusedError(f"there is a user {name} already", "choose another name")
        conn.execute(web_user.insert().values(row))


def remove(engine: Engine, name: str) -> None:
    """With their sessions and tokens; raises RefusedError for the last admin."""
    c = web_user.c
    with transaction(engine) as conn:
        conn.execute(sa.text("lock table audit.web_user in exclusive mode"))
        others = conn.execute(sa.select(c.name).where(c.scope == "admin", c.name != name).limit(1)).first()
        if others is None:
            raise RefusedError(f"{name} is the only admin", "make another one first")
        conn.execute(web_session.delete().where(web_session.c.user_name == name))
        conn.execute(web_token.delete().where(web_token.c.user_name == name))
        conn.execute(web_user.delete().where(c.name == name))


def set_password(engine: Engine, name: str, password: str) -> None:
    row = _row(name, password, "read")
    with transaction(engine) as conn:
        conn.execute(web_user.update().where(web_user.c.name == name).values(password=row["password"]))


def check_password(engine: Engine, name: str, password: str, address: str, code: str = "") -> None:
    """Raises RefusedError where that is not the user's password and code, or where there were too many tries."""
    keys = {digest(f"name {name}"): FREE, digest(f"address {address}"): FREE_OF_ADDRESS}
    _refuse_too_many(engine, keys)
    c = web_user.c
    with connected(engine) as conn:
        row = conn.execute(sa.select(c.password, c.totp, c.totp_step).where(c.name == name)).first()
    known = row.password if row else None
    if not _is(known or _nobody(), password[:LONGEST]) or row is None or known is None:
        _note_failure(engine, keys)
        raise RefusedError("the name or the password is wrong", "try again")
    step = totp.step_of(row.totp, code, row.totp_step or -1) if row.totp else None
    if row.totp and step is None:
        _note_failure(engine, keys)
        raise RefusedError("the code is missing, wrong or used", "write the one that your app shows now")
    with transaction(engine) as conn:
        conn.execute(web_attempt.delete().where(web_attempt.c.who == next(iter(keys))))
        if row.totp:
            once = web_user.update().where(c.name == name, sa.func.coalesce(c.totp_step, -1) < step)
            if not conn.execute(once.values(totp_step=step)).rowcount:
                raise RefusedError("this code was used just now", "wait for the next one")
        if _hasher().check_needs_rehash(known):
            conn.execute(web_user.update().where(c.name == name).values(password=_hasher().hash(password)))


def _note_failure(engine: Engine, keys: Iterable[str]) -> None:
    now = datetime.now(UTC)
    with transaction(engine) as conn:
        conn.execute(web_attempt.delete().where(web_attempt.c.at < now - WINDOW))
        conn.execute(web_attempt.insert(), [{"who": key, "at": now} for key in keys])


def has_code(engine: Engine, name: str) -> bool:
    """Whether the user has a second factor."""
    with connected(engine) as conn:
        query = sa.select(web_user.c.totp.is_not(None)).where(web_user.c.name == name)
        return bool(conn.execute(query).scalar())


def set_code(engine: Engine, name: str, secret: str, code: str) -> None:
    """From now on a code is asked for; raises RefusedError unless the app shows it already."""
    try:
        step = totp.step_of(secret, code)
    except ValueError:
        step = None
    if step is None:
        raise RefusedError(
            "that is not the code of this secret", "look whether the clocks are right, then again"
        )
    with transaction(engine) as conn:
        values = {"totp": secret, "totp_step": step}
        conn.execute(web_user.update().where(web_user.c.name == name).values(values))


def remove_code(engine: Engine, name: str) -> None:
    with transaction(engine) as conn:
        conn.execute(web_user.update().where(web_user.c.name == name).values(totp=None, totp_step=None))


def _refuse_too_many(engine: Engine, keys: dict[str, int]) -> None:
    c, since = web_attempt.c, datetime.now(UTC) - WINDOW
    query = sa.select(c.who, sa.func.count()).where(c.who.in_(keys), c.at > since).group_by(c.who)
    with connected(engine) as conn:
        found: dict[str, int] = {row[0]: row[1] for row in conn.execute(query)}
    if any(found.get(key, 0) >= free for key, free in keys.items()):
        raise RefusedError("there were too many tries", "wait a quarter of an hour, then try again")


def _is(known: str, password: str) -> bool:
    try:
        return _hasher().verify(known, password)
    except (VerificationError, InvalidHashError):
        return False


def _row(name: str, password: str | None, scope: str) -> dict[str, object]:
    if not re.fullmatch(NAME, name):
        raise RefusedError(f"{name!r} cannot be a name", "letters, digits and . _ @ + - ; a hundred at most")
    if scope not in SCOPES:
        raise RefusedError(f"{scope!r} is no scope", f"legal: {', '.join(SCOPES)}")
    if password is not None and not SHORTEST <= len(password) <= LONGEST:
        raise RefusedError(
            f"a password has {SHORTEST} characters or more", "a few words of your own are a good one"
        )
    hashed = None if password is None else _hasher().hash(password)
    return {"name": name, "password": hashed, "scope": scope, "created_at": datetime.now(UTC)}
