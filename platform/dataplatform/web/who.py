"""Who sends a request, what they may, and whether they meant it (CSRF)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from sqlalchemy.engine import Engine
from starlette.datastructures import FormData

from dataplatform.access import doors, users
from dataplatform.access.doors import Scope, covers
from dataplatform.web.live import Live, Now

COOKIE = "dataplatform_session"
SAFE = {"GET", "HEAD", "OPTIONS"}


class NotSignedInError(Exception):
    """Nobody is known: a page sends to the sign-in, the API answers 401."""


class NotAllowedError(Exception):
    """Somebody is known, and may not. The text says why."""


@dataclass(frozen=True)
class Who:
    """Somebody. `how` they are known: session, token, header (by a proxy) or off (nobody need sign in)."""

    name: str
    scope: str
    how: Literal["session", "token", "header", "off"]
    session: str = ""
    csrf: str = ""

    def may(self, needed: Scope) -> bool:
        return covers(self.scope, needed)


def live_of(request: Request) -> Live:
    return request.app.state.live  # type: ignore[no-any-return]


def now_of(request: Request) -> Now:
    return live_of(request).now()


def engine_of(request: Request) -> Engine:
    return live_of(request).first.engine


def known(request: Request) -> Who | None:
    """Who sends it; None where nobody is known."""
    live = live_of(request)
    engine = live.first.engine
    bearer = request.headers.get("authorization", "")
    if bearer[:7].lower() == "bearer ":
        token = doors.token_of(engine, bearer[7:].strip())
        return Who(token.user, token.scope, "token") if token and token.scope != "setup" else None
    if not live.sign_in:
        return Who("you", "admin", "off", csrf=_csrf(live.secret, "off"))
    if word := request.cookies.get(COOKIE):
        session = doors.session_of(engine, word)
        if session is not None:
            return Who(session.user, session.scope, "session", session.id, _csrf(word.encode(), "csrf"))
    if name := request.state.trusted_user:
        scope = users.scope_of(engine, name)
        if scope is None:
            raise NotAllowedError(
                f"the proxy says you are {name}, and there is no such user here: an admin adds one"
            )
        return Who(name, scope, "header", csrf=_csrf(live.secret, name))
    return None


def _csrf(key: bytes, text: str) -> str:
    """Follows from what only this session has, so nothing need be kept of it."""
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def needs(scope: Scope) -> Callable[..., Any]:
    """A dependency: who sends the request, where they may; a change is refused without the page's own token."""

    async def checked(request: Request, who: Annotated[Who | None, Depends(known)]) -> Who:
        if who is None:
            raise NotSignedInError
        request.state.who = who
        if request.method not in SAFE and who.how != "token":
            await _refuse_forged(request, who)
        if not who.may(scope):
            raise NotAllowedError(f"{who.name} may {who.scope}; this needs {scope}")
        return who

    return checked


async def _refuse_forged(request: Request, who: Who) -> None:
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise NotAllowedError("this request came from another site")
    said = request.headers.get("x-csrf-token", "")
    kind = request.headers.get("content-type", "")
    if not said and kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        said = str((await request.form()).get("csrf", ""))
    if not hmac.compare_digest(said.encode(), who.csrf.encode()):
        raise NotAllowedError("this page is too old, or the request is not its own: open it again")


async def form_of(request: Request) -> FormData:
    """All that a form sends, where its fields are not known before."""
    return await request.form()


Reader = Annotated[Who, Depends(needs("read"))]
Actor = Annotated[Who, Depends(needs("act"))]
Admin = Annotated[Who, Depends(needs("admin"))]
LiveNow = Annotated[Live, Depends(live_of)]
Known = Annotated[Now, Depends(now_of)]
