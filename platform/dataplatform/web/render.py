"""Templates, and how values are written for people."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote as url_quote

import orjson
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dataplatform import __version__
from dataplatform.project import PACKAGE
from dataplatform.reading.health import ago
from dataplatform.secrets import redact
from dataplatform.secrets.masking import PROCESS

FOLDER: Path = PACKAGE / "web"
WORDS = {"good": "well", "new": "not loaded", "warn": "look at it", "bad": "failed"}


@cache
def environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.filters |= {
        "moment": moment, "since": since, "number": number, "value": value, "short": short, "plain": plain,
        "segment": segment, "seconds": seconds,
    }  # fmt: skip
    found.globals |= {"version": __version__, "words": WORDS}
    return found


def render(request: Request, template: str, code: int = 200, /, **about: Any) -> HTMLResponse:
    """The page; `who` is None where nobody has signed in."""
    return HTMLResponse(text_of(request, template, **about), code)


def text_of(request: Request, template: str, /, **about: Any) -> str:
    """The same without an answer around it."""
    who = getattr(request.state, "who", None)
    live = request.app.state.live
    return environment().get_template(template).render(
        request=request, who=who, path=request.url.path, sign_in=live.sign_in, **about
    )  # fmt: skip


def moment(at: datetime | None) -> str:
    return f"{_utc(at):%Y-%m-%d %H:%M}" if at else ""


def _utc(at: datetime) -> datetime:
    """MongoDB gives times without a zone; they are UTC."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def since(at: datetime | None) -> str:
    if at is None:
        return "never"
    span = datetime.now(UTC) - _utc(at)
    return "just now" if span < timedelta(seconds=45) else f"{ago(span)} ago"


def number(found: float | None) -> str:
    return "" if found is None else f"{found:,}" if isinstance(found, int) else f"{found:,.2f}"


def seconds(found: float) -> str:
    return f"{found:.2f} s" if found < 10 else f"{found:.0f} s" if found < 120 else f"{found / 60:.0f} min"


def value(found: Any) -> str:
    """As it is in a cell; null is told by the template."""
    if isinstance(found, dict | list):
        return orjson.dumps(found, default=str).decode()
    if isinstance(found, datetime):
        return found.isoformat(" ", "seconds" if not found.microsecond else "microseconds")
    if isinstance(found, date):
        return found.isoformat()
    if isinstance(found, bytes | memoryview):
        return bytes(found).hex()
    return str(found)


def short(found: Any, length: int = 120) -> str:
    text = value(found)
    return text if len(text) <= length else text[: length - 1] + "…"


def plain(text: str | None) -> str:
    """A text from a log or an error, without passwords."""
    return PROCESS.masker.text(redact(text or ""))


def segment(text: Any) -> str:
    """As one part of a path."""
    return url_quote(str(text), safe="")
