"""Who an account of an OpenID Connect provider is here, and sign-ins that are under way.

An account is known by its issuer and subject, which the provider never gives to another; by its name it is taken for a
user only once, and only for one that has no password: a name may be chosen by anybody who has an account there.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.access.doors import SCOPES, Scope, digest
from dataplatform.access.tables import web_oidc, web_session, web_token, web_user
from dataplatform.access.users import NAME, RefusedError
from dataplatform.errors import SettingsError
from dataplatform.settings import Settings
from dataplatform.storage.postgres import transaction

LONGEST = timedelta(minutes=10)  # that a person has at the provider


@dataclass(frozen=True)
class Underway:
    """A sign-in that was begun; `user`: who links an account to themselves, else empty."""

    nonce: str
    verifier: str
    there: str
    user: str


@dataclass(frozen=True)
class Words:
    """What goes to the provider, and into the browser's cookie; the database has digests."""

    state: str
    browser: str
    nonce: str
    verifier: str


def begin(engine: Engine, there: str, user: str = "") -> Words:
    """Notes a sign-in; those that nobody came back from go."""
    words = Words(*(secrets.token_urlsafe(32) for _ in range(4)))
    now = datetime.now(UTC)
    row = {
        "id": digest(f"{words.state} {words.browser}"), "nonce": digest(words.nonce), "verifier": words.verifier,
        "there": there, "user_name": user or None, "at": now,
    }  # fmt: skip
    with transaction(engine) as conn:
        conn.execute(web_oidc.delete().where(web_oidc.c.at < now - LONGEST))
        conn.execute(web_oidc.insert().values(row))
    return words


def take(engine: Engine, state: str, browser: str) -> Underway:
    """The sign-in that this browser began, which is used up with that; raises RefusedError where there is none."""
    c = web_oidc.c
    found = c.id == digest(f"{state} {browser}")
    query = web_oidc.delete().where(found).returning(c.nonce, c.verifier, c.there, c.user_name, c.at)
    with transaction(engine) as conn:
        row = conn.execute(query).first()
    if row is None or datetime.now(UTC) - row.at > LONGEST:
        raise RefusedError(
            "this sign-in was not begun in this browser, is over, or was used", "sign in again"
        )
    return Underway(row.nonce, row.verifier, row.there, row.user_name or "")


def scopes_of(text: str) -> dict[str, Scope]:
    """`admins=admin, family=read` by group; raises SettingsError for what is none."""
    found: dict[str, Scope] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        group, _, scope = part.rpartition("=")
        if scope.strip() not in SCOPES or not group.strip():
            raise SettingsError(
                f"{part!r} in DATAPLATFORM_WEB_OIDC_GROUPS is no group with its scope",
                f"such as admins=admin, family=read; scopes: {', '.join(SCOPES)}",
            )
        found[group.strip()] = scope.strip()  # type: ignore[assignment]  # it is one of SCOPES
    return found


def user_of(engine: Engine, settings: Settings, claims: Mapping[str, Any]) -> str:
    """The user that an account is, made where a group of theirs lets them in; raises RefusedError for nobody."""
    account, name = f"{claims['iss']} {claims['sub']}", _name(settings, claims)
    by_group = _by_group(settings, claims)
    c = web_user.c
    with transaction(engine) as conn:
        conn.execute(sa.text("lock table audit.web_user in exclusive mode"))
        known = conn.execute(sa.select(c.name, c.scope, c.by_group).where(c.oidc == account)).first()
        if known is None:
            return _first_time(conn, account, name, by_group)
        if by_group and (known.by_group or SCOPES.index(by_group) > SCOPES.index(known.scope)):
            conn.execute(web_user.update().where(c.name == known.name).values(scope=by_group, by_group=True))
        if by_group or not known.by_group:
            return str(known.name)
        conn.execute(web_session.delete().where(web_session.c.user_name == known.name))
    raise RefusedError(
        f"{known.name} is in no group any more that is let in", "ask who looks after the provider"
    )


def link(engine: Engine, user: str, claims: Mapping[str, Any]) -> None:
    """From now on the account signs in as that user, who has shown both."""
    account, c = f"{claims['iss']} {claims['sub']}", web_user.c
    with transaction(engine) as conn:
        conn.execute(sa.text("lock table audit.web_user in exclusive mode"))
        other = conn.execute(sa.select(c.name).where(c.oidc == account, c.name != user)).scalar()
        if other is not None:
            raise RefusedError(f"this account is {other}'s", "sign in as that user, or unlink it there")
        conn.execute(web_user.update().where(c.name == user).values(oidc=account))


def unlink(engine: Engine, user: str) -> None:
    """Raises RefusedError where nothing would be left to sign in with."""
    c = web_user.c
    with transaction(engine) as conn:
        linked = web_user.update().where(c.name == user, c.password.is_not(None)).values(oidc=None)
        if not conn.execute(linked).rowcount:
            raise RefusedError(f"{user} has no password, and could not sign in any more", "set one first")


def is_linked(engine: Engine, user: str) -> bool:
    with transaction(engine) as conn:
        return bool(
            conn.execute(sa.select(web_user.c.oidc.is_not(None)).where(web_user.c.name == user)).scalar()
        )


def _first_time(conn: sa.Connection, account: str, name: str, by_group: Scope | None) -> str:
    c = web_user.c
    there = conn.execute(sa.select(c.password, c.oidc).where(c.name == name)).first()
    if there is not None and (there.password is not None or there.oidc is not None):
        raise RefusedError(
            f"there is a user {name} who signs in another way",
            "sign in by password, and link this account in Settings" if there.oidc is None else
            "the provider has given that name to another account: an admin removes the user first",
        )  # fmt: skip
    if there is None and by_group is None:
        raise RefusedError(
            f"the provider says you are {name}, and there is no such user here", "an admin adds one"
        )
    values = {"oidc": account, **({"scope": by_group, "by_group": True} if by_group else {})}
    if there is None:
        conn.execute(web_user.insert().values(name=name, created_at=datetime.now(UTC), **values))
        conn.execute(web_token.delete().where(web_token.c.scope == "setup"))
    else:
        conn.execute(web_user.update().where(c.name == name).values(values))
    return name


def _name(settings: Settings, claims: Mapping[str, Any]) -> str:
    claim = settings.web_oidc_name
    name = claims.get(claim)
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        raise RefusedError(
            f"the provider's claim {claim} is no name that a user can have here",
            "DATAPLATFORM_WEB_OIDC_NAME names another claim, DATAPLATFORM_WEB_OIDC_SCOPES asks for more of them",
        )
    if claim == "email" and claims.get("email_verified") is not True:
        raise RefusedError("the provider has not verified this address", "verify it there")
    return name


def _by_group(settings: Settings, claims: Mapping[str, Any]) -> Scope | None:
    """The widest scope that a group of theirs has."""
    known = scopes_of(settings.web_oidc_groups)
    said = claims.get(settings.web_oidc_groups_claim)
    groups = [said] if isinstance(said, str) else said if isinstance(said, list) else []
    return max(
        (known[g] for g in groups if isinstance(g, str) and g in known), key=SCOPES.index, default=None
    )
