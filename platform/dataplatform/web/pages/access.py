"""Sign in, sign out, the first user."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from dataplatform.access import doors, users
from dataplatform.access.users import RefusedError
from dataplatform.web.render import render
from dataplatform.web.who import COOKIE, NotAllowedError, Reader, known, live_of

router = APIRouter()
Text = Annotated[str, Form()]


@router.get("/sign-in")
def sign_in_page(request: Request, next: str = "/") -> Response:
    if known(request) is not None:
        return RedirectResponse(inside(next), 303)
    return _page(request, next)


def sign_in_with(request: Request, next: str, error: str, status: int) -> Response:
    """The page that says why it did not go well."""
    return _page(request, next, error, status=status)


def _page(request: Request, next: str, error: str = "", name: str = "", status: int = 200) -> Response:
    first = not users.there_are_users(live_of(request).first.engine)
    return render(
        request, "sign_in.html", status, title="Sign in", error=error, form=not first, action="/sign-in",
        hidden={"next": inside(next)}, name=name, button="Sign in", setup=False,
        provider=f"/sign-in/oidc?next={quote(inside(next), safe='')}" if live_of(request).provider else "",
        hint="There is no user yet. The program that serves these pages printed a link when it started: open that."
        if first else "",
    )  # fmt: skip


@router.post("/sign-in")
def sign_in(request: Request, name: Text, password: Text, next: Text = "/", code: Text = "") -> Response:
    _same_site(request)
    engine = live_of(request).first.engine
    try:
        users.check_password(engine, name, password, request.state.address, code)
    except RefusedError as error:
        status = 429 if "too many" in error.message else 401
        return _page(request, next, f"{error.message}: {error.remedy}", name, status)
    return opened(request, name, inside(next))


@router.get("/setup")
def setup_page(request: Request, token: str = "") -> Response:
    there = users.there_are_users(live_of(request).first.engine)
    return render(
        request, "sign_in.html", title="The first user", error="", form=bool(token) and not there, action="/setup",
        hidden={"token": token}, name="", button="Make it", setup=True, provider="",
        hint="There is one already: sign in." if there else
        "Choose a name, and a password of ten characters or more." if token else
        "Open the link that the program printed when it started.",
    )  # fmt: skip


@router.post("/setup")
def setup(request: Request, token: Text, name: Text, password: Text, again: Text) -> Response:
    _same_site(request)
    error = "the two passwords are not the same" if password != again else ""
    try:
        if not error:
            users.first_user(live_of(request).first.engine, token, name, password)
    except RefusedError as refused:
        error = f"{refused.message}: {refused.remedy}"
    if error:
        return render(
            request, "sign_in.html", 400, title="The first user", error=error, form=True, action="/setup",
            hidden={"token": token}, name=name, button="Make it", setup=True, hint="", provider="",
        )  # fmt: skip
    return opened(request, name, "/")


@router.post("/sign-out")
def sign_out(request: Request, who: Reader) -> Response:
    """Ends the session in the database: the cookie is worth nothing from now on, wherever it was copied to."""
    if who.session:
        doors.close_session(live_of(request).first.engine, who.session)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE, path="/")
    return answer


def opened(request: Request, name: str, there: str) -> Response:
    """Always a new session: one that somebody else chose is not taken over."""
    agent = request.headers.get("user-agent", "")
    word = doors.open_session(live_of(request).first.engine, name, request.state.address, agent)
    answer = RedirectResponse(there, 303)
    answer.set_cookie(
        COOKIE, word, max_age=int(doors.LONGEST.total_seconds()), path="/", httponly=True, samesite="lax",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return answer


def inside(next: str) -> str:
    """A path of ours; anything that would lead elsewhere is the first page."""
    there = urlsplit(next)
    ours = next.startswith("/") and not next.startswith(("//", "/\\")) and not (there.scheme or there.netloc)
    return next if ours and "\\" not in next and next.isprintable() else "/"


def _same_site(request: Request) -> None:
    """Before there is a session there is no token of it: the browser says where a form was."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none") or (
        origin and origin != "null" and urlsplit(origin).netloc != request.headers.get("host")
    ):
        raise NotAllowedError("this form was on another site")
