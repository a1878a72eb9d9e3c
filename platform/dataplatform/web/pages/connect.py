"""Connects a source by OAuth2: the provider's page asks a person, and what it gives comes back here."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from dataplatform.connectors import Request as SourceRequest
from dataplatform.connectors import connecting
from dataplatform.errors import DataplatformError, MetadataError
from dataplatform.reading.connections import connections
from dataplatform.records.refs import EntityRef
from dataplatform.requesting import request_of
from dataplatform.web.jobs import Say
from dataplatform.web.live import Live, Now
from dataplatform.web.render import render
from dataplatform.web.who import Admin, Known, LiveNow, Who

router = APIRouter()
Text = Annotated[str, Form()]


def _request(now: Now, name: str) -> SourceRequest:
    source = now.platform.catalog.source(name)
    return request_of(now.platform, EntityRef(name, next(iter(source.entities))))


@router.get("/sources/{name}/connect")
def page(request: Request, who: Admin, now: Known, live: LiveNow, name: str) -> Response:
    return _page(request, who, now, live, name)


def _page(
    request: Request, who: Who, now: Now, live: Live, name: str, error: DataplatformError | None = None
) -> Response:
    auth = connecting.oauth2_of(_request(now, name))
    asking = live.questions.of(who.name, name)
    return render(
        request, "connect.html", 400 if error else 200, name=name, state=connections(now.platform)[name].text,
        url=asking.url if asking else "", by_page=auth.authorize_url is not None, by_device=auth.device_url is not None,
        back=auth.redirect_uri, error=error.message if error else "", remedy=error.remedy if error else "",
    )  # fmt: skip


@router.post("/sources/{name}/connect")
def begin(request: Request, who: Admin, now: Known, live: LiveNow, name: str, how: Text = "page") -> Response:
    """Makes a link to the provider's page; or a code for another device, and waits until it is used."""
    asked = _request(now, name)
    auth = connecting.oauth2_of(asked)
    if how == "device":
        job = live.jobs.start(
            f"connect {name}", f"Connect {name}", who.name, lambda say: _by_device(live, asked, say),
            f"/sources/{name}",
        )  # fmt: skip
        return RedirectResponse(f"/jobs/{job.id}", 303)
    live.questions.keep(who.name, name, connecting.ask(asked, auth))
    return RedirectResponse(f"/sources/{name}/connect", 303)


def _by_device(live: Live, asked: SourceRequest, say: Say) -> None:
    def tell(where: str, code: str) -> None:
        say(f"open {where}{f' and type {code}' if code else ''}, on any device; waiting …")

    connecting.by_device(asked, connecting.oauth2_of(asked), tell)
    live.forget_access()
    say("connected")


@router.post("/sources/{name}/connect/finish")
def finish(
    request: Request, who: Admin, now: Known, live: LiveNow, name: str, answered: Text = ""
) -> Response:
    """By the address that the browser ended at, which is pasted."""
    try:
        _finish(live, who, name, answered)
    except DataplatformError as error:
        return _page(request, who, now, live, name, error)
    return RedirectResponse(f"/sources/{name}", 303)


@router.get("/oauth/callback")
def callback(request: Request, who: Admin, live: LiveNow, state: str = "") -> Response:
    """Where a provider sends a person back, if `redirect_uri` of the source is this address."""
    name = live.questions.with_state(who.name, state)
    if not name:
        raise MetadataError("nobody here waits for this answer", "begin on the source's page: Connect")
    _finish(live, who, name, str(request.url))
    return RedirectResponse(f"/sources/{name}", 303)


def _finish(live: Live, who: Who, name: str, answered: str) -> None:
    """A question is answered once, well or not."""
    asking = live.questions.take(who.name, name)
    if asking is None:
        raise MetadataError("this question is closed, or was never asked", "begin anew")
    connecting.finish(asking, answered)
    live.forget_access()
