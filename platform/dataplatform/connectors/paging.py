"""Paging of REST APIs: what a person writes, and how one call and its answer lead to the next call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urljoin

from pydantic import Field

from dataplatform.metadata.base import Metadata
from dataplatform.metadata.paths import MISSING, dig

if TYPE_CHECKING:
    import httpx


class SinglePage(Metadata):
    """The response is all there is."""

    type: Literal["single"] = "single"


class LinkHeader(Metadata):
    """Follows `Link: <…>; rel="next"` (RFC 8288)."""

    type: Literal["link_header"]


class Offset(Metadata):
    """Raises an offset by what a page held, until a page is shorter than the limit."""

    type: Literal["offset"]
    limit: int = Field(default=100, ge=1, description="Records asked for in a page.")
    limit_param: str = Field(default="limit", description="Parameter that carries the limit.")
    offset_param: str = Field(default="offset", description="Parameter that carries the offset.")
    total_path: str | None = Field(
        default=None, description="Path of the total count in the response, if it has one."
    )


class PageNumber(Metadata):
    """Counts pages up until one is empty or shorter than `page_size`."""

    type: Literal["page"]
    start: int = Field(default=1, ge=0, description="Number of the first page.")
    page_param: str = Field(default="page", description="Parameter that carries the number.")
    page_size: int | None = Field(default=None, ge=1, description="Records of a full page.")
    size_param: str | None = Field(default=None, description="Parameter of the page's size.")
    total_pages_path: str | None = Field(
        default=None, description="Path of the number of pages in the response."
    )


class Cursor(Metadata):
    """Passes on the cursor found in the response."""

    type: Literal["cursor"]
    cursor_path: str = Field(description="Path of the next cursor in the response.")
    cursor_param: str = Field(default="cursor", description="Parameter that carries it.")


class NextUrl(Metadata):
    """Follows the address found in the response."""

    type: Literal["next_url"]
    next_path: str = Field(default="next", description="Path of the next address.")


Paginator = Annotated[
    SinglePage | LinkHeader | Offset | PageNumber | Cursor | NextUrl, Field(discriminator="type")
]


@dataclass(frozen=True)
class Call:
    """One request: where to, with what."""

    url: str
    params: dict[str, Any]


def first_call(paginator: Paginator, url: str, params: dict[str, Any]) -> Call:
    """The first page's call."""
    if isinstance(paginator, Offset):
        params = {paginator.limit_param: paginator.limit, paginator.offset_param: 0} | params
    if isinstance(paginator, PageNumber):
        name, size = paginator.size_param, paginator.page_size
        sized = {name: size} if name and size else {}
        params = {paginator.page_param: paginator.start} | sized | params
    return Call(url, params)


def next_call(
    paginator: Paginator, call: Call, response: httpx.Response, document: Any, count: int
) -> Call | None:
    """The call after this answer, which held `count` records; None when it was the last."""
    match paginator:
        case LinkHeader():
            url = response.links.get("next", {}).get("url")
            return Call(urljoin(str(call.url), url), {}) if url else None
        case NextUrl():
            url = _text(dig(document, paginator.next_path))
            return Call(urljoin(str(call.url), url), {}) if url else None
        case Cursor():
            cursor = _text(dig(document, paginator.cursor_path))
            return Call(call.url, call.params | {paginator.cursor_param: cursor}) if cursor else None
        case Offset():
            return _next_offset(paginator, call, document, count)
        case PageNumber():
            return _next_page(paginator, call, document, count)
    return None


def counts_up(paginator: Paginator, call: Call) -> bool:
    """Whether this call is for a later page that may lie beyond the end."""
    match paginator:
        case Offset():
            return int(call.params[paginator.offset_param]) > 0
        case PageNumber():
            return int(call.params[paginator.page_param]) > paginator.start
    return False


def _text(value: Any) -> str:
    """Empty for everything that means there is no next page."""
    return "" if value is MISSING or value in (None, False, "", 0) else str(value)


def _next_offset(paginator: Offset, call: Call, document: Any, count: int) -> Call | None:
    """Goes on until a page is empty: a short page may only mean that the server's limit is lower."""
    offset = int(call.params[paginator.offset_param]) + count
    total = _total(document, paginator.total_path)
    done = count == 0 or (total is not None and offset >= total)
    return None if done else Call(call.url, call.params | {paginator.offset_param: offset})


def _next_page(paginator: PageNumber, call: Call, document: Any, count: int) -> Call | None:
    number = int(call.params[paginator.page_param])
    total = _total(document, paginator.total_pages_path)
    done = count == 0 or (total is not None and number - paginator.start + 1 >= total)
    return None if done else Call(call.url, call.params | {paginator.page_param: number + 1})


def _total(document: Any, path: str | None) -> int | None:
    found = dig(document, path) if path else MISSING
    return int(found) if isinstance(found, int | str) and str(found).isdigit() else None
