"""Settings: is right what people wrote, which secrets are there (never what they are), users, sessions, tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from dataplatform.access import accounts, doors, totp, users
from dataplatform.access.doors import SCOPES
from dataplatform.errors import DataplatformError, MetadataError
from dataplatform.reading.reader import can_ask
from dataplatform.secrets.resolver import names_in
from dataplatform.web.live import Live, Now
from dataplatform.web.render import render
from dataplatform.web.who import Admin, Known, LiveNow, Reader, Who

router = APIRouter()
Text = Annotated[str, Form()]


@dataclass(frozen=True)
class SecretAbout:
    """A secret that metadata name: which store has it, or what to do; never its value."""

    name: str
    sources: tuple[str, ...]
    store: str
    remedy: str


def secrets_of(now: Now) -> list[SecretAbout]:
    """By name."""
    used: dict[str, list[str]] = {}
    for name, source in now.platform.catalog.sources.items():
        for secret in names_in(source.model_dump(mode="python")):
            used.setdefault(secret, []).append(name)
    return [_secret(now, name, tuple(sorted(sources))) for name, sources in sorted(used.items())]


def _secret(now: Now, name: str, sources: tuple[str, ...]) -> SecretAbout:
    try:
        found = now.platform.secrets.find(name)
    except DataplatformError as error:
        return SecretAbout(name, sources, "", error.message)
    return SecretAbout(name, sources, found[0] if found else "", f"dataplatform secrets set {name}")


@router.get("/settings")
def page(request: Request, who: Reader, now: Known, live: LiveNow) -> Response:
    return _page(request, who, now, live)


def _page(request: Request, who: Who, now: Now, live: Live, token: str = "", said: str = "") -> Response:
    engine, admin = live.first.engine, who.may("admin")
    api = live.prefect()
    return render(
        request, "settings.html", problems=[str(p) for p in now.platform.catalog.problems],
        model_errors=now.model_errors, sources=len(now.platform.catalog.sources),
        models=len(now.platform.catalog.models), secrets=secrets_of(now), users=users.users(engine) if admin else [],
        sessions=doors.sessions(engine) if admin else [], tokens=doors.tokens(engine) if admin else [], scopes=SCOPES,
        token=token, said=said, has_code=users.has_code(engine, who.name), secret=(secret := totp.new_secret()),
        provider=live.provider is not None, linked=accounts.is_linked(engine, who.name),
        uri=totp.uri(secret, who.name), sql=can_ask(engine, live.settings) if admin else "",
        servers={
            "Postgres": engine.url.render_as_string(hide_password=True), "MongoDB": now.platform.bronze.db.name,
            "Raw files": now.platform.raw.root,
            "Prefect": api.url if api else "not running: runs are done by this process",
            "LLM": live.settings.llm_url or "none",
        },
    )  # fmt: skip


@router.post("/settings/tokens")
def make_token(
    request: Request, who: Admin, now: Known, live: LiveNow, name: Text, scope: Text, days: Text = "90"
) -> Response:
    """Shown on the answer itself, and nowhere else ever again."""
    if scope not in SCOPES or not name.strip() or not (days == "" or days.isdecimal()):
        raise MetadataError(
            "a token has a name, a scope and a number of days", f"scopes: {', '.join(SCOPES)}"
        )
    if who.how == "off":
        raise MetadataError("a token is somebody's, and nobody need sign in here", "let people sign in first")
    lasts = min(int(days), 3650) if days else None
    word = doors.make_token(live.first.engine, name.strip(), scope, who.name, lasts)
    return _page(request, who, now, live, token=word)


@router.post("/settings/tokens/{id_}/remove")
def remove_token(who: Admin, live: LiveNow, id_: str) -> Response:
    doors.remove_token(live.first.engine, id_)
    return RedirectResponse("/settings#tokens", 303)


@router.post("/settings/sessions/{id_}/remove")
def remove_session(who: Admin, live: LiveNow, id_: str) -> Response:
    doors.close_session(live.first.engine, id_)
    return RedirectResponse("/settings#sessions", 303)


@router.post("/settings/users")
def add_user(who: Admin, live: LiveNow, name: Text, scope: Text, password: Text = "") -> Response:
    users.add(live.first.engine, name.strip(), password or None, scope)
    return RedirectResponse("/settings#users", 303)


@router.post("/settings/users/{name}/remove")
def remove_user(who: Admin, live: LiveNow, name: str) -> Response:
    users.remove(live.first.engine, name)
    return RedirectResponse("/settings#users", 303)


@router.post("/settings/password")
def password(request: Request, who: Reader, live: LiveNow, old: Text, new: Text, code: Text = "") -> Response:
    """One's own; every other session of theirs ends."""
    if who.how != "session":
        raise MetadataError("only who has signed in here has a password to change", "sign in")
    engine = live.first.engine
    users.check_password(engine, who.name, old, request.state.address, code)
    users.set_password(engine, who.name, new)
    doors.close_sessions_of(engine, who.name, but=who.session)
    return RedirectResponse("/settings", 303)


@router.post("/settings/code")
def set_code(request: Request, who: Reader, live: LiveNow, secret: Text, code: Text, old: Text) -> Response:
    """From now on a code is asked for. The password again: a page that was left open is not enough."""
    _sign_in_again(request, who, live, old, "")
    users.set_code(live.first.engine, who.name, secret, code)
    return RedirectResponse("/settings", 303)


@router.post("/settings/code/remove")
def remove_code(request: Request, who: Reader, live: LiveNow, old: Text, code: Text) -> Response:
    _sign_in_again(request, who, live, old, code)
    users.remove_code(live.first.engine, who.name)
    return RedirectResponse("/settings", 303)


def _sign_in_again(request: Request, who: Who, live: Live, password: str, code: str) -> None:
    if who.how != "session":
        raise MetadataError("only who has signed in here has a password and a code", "sign in")
    users.check_password(live.first.engine, who.name, password, request.state.address, code)
