"""Sign-in by an OpenID Connect provider: there and back, and an account that is linked to a user."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from dataplatform.access import accounts, oidc
from dataplatform.access.oidc import Provider
from dataplatform.access.users import RefusedError
from dataplatform.errors import DataplatformError, MetadataError
from dataplatform.web.live import Live
from dataplatform.web.pages.access import inside, opened, sign_in_with
from dataplatform.web.who import LiveNow, Reader, known

router = APIRouter()
COOKIE = "dataplatform_oidc"
PATH = "/sign-in/oidc"


@router.get(PATH)
def there(request: Request, live: LiveNow, next: str = "/") -> Response:
    """To the provider's page."""
    return _begun(request, live, inside(next))


@router.post("/settings/oidc")
def link(request: Request, who: Reader, live: LiveNow) -> Response:
    """The same, for a user who has signed in and wants to be known by that account, too.

    A form may not lead to another host (the pages' policy), so a page between does.
    """
    if who.how != "session":
        raise MetadataError("only who has signed in here can link an account", "sign in")
    return _begun(request, live, "/settings", who.name)


@router.post("/settings/oidc/remove")
def unlink(who: Reader, live: LiveNow) -> Response:
    accounts.unlink(live.first.engine, who.name)
    return RedirectResponse("/settings", 303)


def _begun(request: Request, live: Live, there: str, user: str = "") -> Response:
    provider = _provider(live)
    try:
        words = accounts.begin(live.first.engine, there, user)
        url = oidc.page_of(provider, back_of(request, live), words.state, words.nonce, words.verifier)
    except DataplatformError as error:
        return sign_in_with(request, there, f"{error.message}: {error.remedy}", 503)
    answer = RedirectResponse(url, 303) if not user else HTMLResponse(headers={"Refresh": f"0; url={url}"})
    answer.set_cookie(
        COOKIE, words.browser, max_age=int(accounts.LONGEST.total_seconds()), path=PATH, httponly=True,
        samesite="lax", secure=request.url.scheme == "https",
    )  # fmt: skip
    return answer


@router.get(f"{PATH}/callback")
def back(
    request: Request, live: LiveNow, state: str = "", code: str = "", error: str = "", iss: str = ""
) -> Response:
    """Where the provider sends a person back: a session is opened, or why not is said."""
    engine = live.first.engine
    there = "/"
    try:
        provider = _provider(live)
        begun = accounts.take(engine, state, request.cookies.get(COOKIE, ""))
        there = begun.there
        if iss and iss != provider.issuer:  # RFC 9207: an answer of another provider is mixed in
            raise RefusedError("this answer is another provider's", "sign in again")
        if error or not code:
            raise RefusedError(f"the provider says {error[:100] or 'nothing'}", "sign in again")
        claims = oidc.claims_of(provider, code, back_of(request, live), begun.nonce, begun.verifier)
        if begun.user:
            return _linked(request, live, begun.user, claims)
        name = accounts.user_of(engine, live.settings, claims)
    except DataplatformError as refused:
        return sign_in_with(request, there, f"{refused.message}: {refused.remedy}", 401)
    answer = opened(request, name, there)
    answer.delete_cookie(COOKIE, path=PATH)
    return answer


def _linked(request: Request, live: Live, user: str, claims: dict[str, object]) -> Response:
    """Only for who still is that user: another may have signed in meanwhile."""
    who = known(request)
    if who is None or who.how != "session" or who.name != user:
        raise RefusedError("whoever began this is not signed in any more", "begin again")
    accounts.link(live.first.engine, user, claims)
    return RedirectResponse("/settings", 303)


def back_of(request: Request, live: Live) -> str:
    """The address to register with the provider."""
    base = (live.settings.web_url or str(request.base_url)).rstrip("/")
    return f"{base}{PATH}/callback"


def _provider(live: Live) -> Provider:
    if live.provider is None:
        raise MetadataError("there is no provider of sign-ins here", "set DATAPLATFORM_WEB_OIDC_ISSUER")
    found: Provider = live.provider
    return found
