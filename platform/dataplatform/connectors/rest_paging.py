"""Paging of REST APIs: from one call and its answer to the next call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpx

from dataplatform.metadata import connector as kinds
from dataplatform.metadata.paths import MISSING, dig


@dataclass(frozen=True)
class Call:
    """One request: where to, with what."""

    url: str
    params: dict[str, Any]


def first_call(paginator: Any, url: str, params: dict[str, Any]) -> Call:
    """The first page's call."""
    if isinstance(paginator, kinds.Offset):
        params = {paginator.limit_param: paginator.limit, paginator.offset_param: 0} | params
    if isinstance(paginator, kinds.PageNumber):
        name, size = paginator.size_param, paginator.page_size
        sized = {name: size} if name and size else {}
        params = {paginator.page_param: paginator.start} | sized | params
    return Call(url, params)


def next_call(paginator: Any, call: Call, response: httpx.Response, document: Any, count: int) -> Call | None:
    """The call after this answer, which held `count` records; None when it was the last."""
    match paginator:
        case kinds.LinkHeader():
            url = response.links.get("next", {}).get("url")
            return Call(urljoin(str(call.url), url), {}) if url else None
        case kinds.NextUrl():
            url = _text(dig(document, paginator.next_path))
            return Call(urljoin(str(call.url), url), {}) if url else None
        case kinds.Cursor():
            cursor = _text(dig(document, paginator.cursor_path))
            return Call(call.url, call.params | {paginator.cursor_param: cursor}) if cursor else None
        case kinds.Offset():
            return _next_offset(paginator, call, document, count)
        case kinds.PageNumber():
            return _next_page(paginator, call, document, count)
    return None


def counts_up(paginator: Any, call: Call) -> bool:
    """Whether this call is for a later page that may lie beyond the end."""
    match paginator:
        case kinds.Offset():
            return int(call.params[paginator.offset_param]) > 0
        case kinds.PageNumber():
            return int(call.params[paginator.page_param]) > paginator.start
    return False


def _text(value: Any) -> str:
    """Empty for everything that means there is no next page."""
    return "" if value is MISSING or value in (None, False, "", 0) else str(value)


def _next_offset(paginator: kinds.Offset, call: Call, document: Any, count: int) -> Call | None:
    """Goes on until a page is empty: a short page may only mean that the server's limit is lower."""
    offset = int(call.params[paginator.offset_param]) + count
    total = _total(document, paginator.total_path)
    done = count == 0 or (total is not None and offset >= total)
    return None if done else Call(call.url, call.params | {paginator.offset_param: offset})


def _next_page(paginator: kinds.PageNumber, call: Call, document: Any, count: int) -> Call | None:
    number = int(call.params[paginator.page_param])
    total = _total(document, paginator.total_pages_path)
    done = count == 0 or (total is not None and number - paginator.start + 1 >= total)
    return None if done else Call(call.url, call.params | {paginator.page_param: number + 1})


def _total(document: Any, path: str | None) -> int | None:
    found = dig(document, path) if path else MISSING
    return int(found) if isinstance(found, int | str) and str(found).isdigit() else None
