"""Puts the app together: the guard before everything, a router for each subject, errors as pages or JSON."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pymongo.errors import PyMongoError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from dataplatform import __version__
from dataplatform.access import accounts
from dataplatform.access.oidc import provider_of
from dataplatform.access.users import RefusedError
from dataplatform.context import Platform
from dataplatform.errors import BusyError, DataplatformError, MetadataError, TransientError
from dataplatform.storage.mongo import server_errors
from dataplatform.storage.postgres import database_errors
from dataplatform.web import api, hooks, metrics
from dataplatform.web.live import Live
from dataplatform.web.pages import PAGES
from dataplatform.web.render import FOLDER, plain, render
from dataplatform.web.security import Guard, Trust
from dataplatform.web.stream import Streams
from dataplatform.web.who import NotAllowedError, NotSignedInError

log = logging.getLogger(__name__)


def create_app(platform: Platform, sign_in: bool = True) -> Guard:
    """The app of an open platform; raises SettingsError where the settings of the pages are wrong."""
    trust = Trust.of(platform.settings)
    accounts.scopes_of(platform.settings.web_oidc_groups)
    app = FastAPI(
        title="dataplatform", version=__version__, docs_url=None, redoc_url=None, openapi_url=None,
    )  # fmt: skip
    guarded = Guard(app, trust)
    app.state.live = Live(platform, trust, sign_in, hooks.Hooks(hooks.Writer(platform.engine)))
    app.state.live.streams = Streams()
    app.state.live.provider = provider_of(platform.settings)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
    for router in (*PAGES, api.router, metrics.router, hooks.router):
        app.include_router(router)
    for kind in (
        NotSignedInError, NotAllowedError, DataplatformError, HTTPException, RequestValidationError,
        DBAPIError, PyMongoError, Exception,
    ):  # fmt: skip
        app.add_exception_handler(kind, _answer)
    return guarded


def _answer(request: Request, error: Exception) -> Response:
    """An error as its reader needs it: JSON for the API, a page for a person, a line for a part of one (HTMX)."""
    status, message, remedy = _told(error)
    if request.url.path.startswith("/api/"):
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        return JSONResponse({"error": message, "remedy": remedy}, status, headers)
    if status == 401:
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        there = f"/sign-in?next={quote(here if request.method == 'GET' else '/')}"
        if "hx-request" in request.headers:
            return Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
        return RedirectResponse(there, 303)
    part = "hx-request" in request.headers
    return render(
        request, "part_error.html" if part else "error.html", status, message=message, remedy=remedy
    )


def _told(error: Exception) -> tuple[int, str, str]:
    match error:
        case NotSignedInError():
            return 401, "nobody is signed in", "sign in, or send a token: Authorization: Bearer …"
        case NotAllowedError():
            return 403, plain(str(error)), ""
        case RequestValidationError():
            return 422, _first_fault(error), "see /api/v1/openapi.json"
        case HTTPException():
            return error.status_code, str(error.detail), ""
        case DataplatformError():
            return _status(error), plain(error.message), plain(error.remedy)
    ours = _as_ours(error)
    if ours is not None:
        return _status(ours), plain(ours.message), plain(ours.remedy)
    log.error("a request failed", exc_info=error)
    return 500, "something went wrong", "the log of this process has it whole"


def _status(error: DataplatformError) -> int:
    if isinstance(error, BusyError):
        return 409
    if isinstance(error, TransientError):
        return 503
    if isinstance(error, RefusedError):
        return 403
    missing = isinstance(error, MetadataError) and error.message.startswith(
        ("there is no", "no entity", "nothing ")
    )
    missing = missing or (isinstance(error, MetadataError) and "has no record" in error.message)
    return 404 if missing else 400


def _as_ours(error: Exception) -> DataplatformError | None:
    try:
        with database_errors(), server_errors():
            raise error
    except DataplatformError as translated:
        return translated
    except Exception:
        return None


def _first_fault(error: RequestValidationError) -> str:
    first: dict[str, Any] = dict(error.errors()[0]) if error.errors() else {}
    return f"{'.'.join(map(str, first.get('loc', ())))}: {first.get('msg', 'wrong')}"
