"""How one call and its answer lead to the next call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from dataplatform.connectors.own import theirs
from dataplatform.connectors.paging import (
    Cursor,
    Custom,
    HeaderCursor,
    LinkHeader,
    NextUrl,
    Offset,
    PageNumber,
    Paginator,
    SinglePage,
)
from dataplatform.errors import SourceError
from dataplatform.metadata.paths import MISSING, dig, steps

if TYPE_CHECKING:
    import httpx

Next = Callable[..., Any]


@dataclass(frozen=True)
class Call:
    """One request: where to, with what. `number` of an offset or a page is in `at`."""

    url: str
    params: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    at: int | None = None


def first_call(paginator: Paginator, call: Call) -> Call:
    """The call for the first page."""
    if isinstance(paginator, Offset):
        call = _put(call, paginator.limit_param, paginator.limit_body_path, paginator.limit, weak=True)
        given = call.params.get(paginator.offset_param)
        start = int(str(given)) if str(given).isdigit() else paginator.start
        return _at(paginator, call, start)
    if isinstance(paginator, PageNumber):
        if paginator.page_size and (paginator.size_param or paginator.size_body_path):
            call = _put(call, paginator.size_param, paginator.size_body_path, paginator.page_size, weak=True)
        given = call.params.get(paginator.page_param)
        start = int(str(given)) if str(given).isdigit() else paginator.start
        return _at(paginator, call, start)
    return call


@dataclass(frozen=True)
class Answer:
    """An answer as paging sees it: `records` are those it held."""

    response: httpx.Response
    document: Any
    records: list[Any]


def next_call(paginator: Paginator, call: Call, answer: Answer, custom: Next | None = None) -> Call | None:
    """The call after this answer; None when it was the last. `custom`: a person's own function."""
    document = answer.document
    more_path = getattr(paginator, "has_more_path", None)
    if more_path and not _truthy(_dug(document, more_path)):
        return None
    match paginator:
        case LinkHeader():
            return _to(call, answer.response.links.get(paginator.rel, {}).get("url"))
        case NextUrl():
            return _to(call, _text(_dug(document, paginator.next_path)))
        case Cursor():
            found = _text(_dug(document, paginator.cursor_path))
            return _put(call, paginator.cursor_param, paginator.cursor_body_path, found) if found else None
        case HeaderCursor():
            found = answer.response.headers.get(paginator.header, "")
            return _put(call, paginator.cursor_param, paginator.cursor_body_path, found) if found else None
        case Offset() | PageNumber():
            return _next_count(paginator, call, document, len(answer.records))
        case Custom():
            return _asked(paginator, custom, call, answer)
    return None


def counts_up(paginator: Paginator, call: Call) -> bool:
    """Whether this call is for a later page that may lie beyond the end."""
    return isinstance(paginator, Offset | PageNumber) and call.at is not None and call.at > paginator.start


def guessed(paginator: Paginator, call: Call) -> Call | None:
    """The call after this one, before its answer is known; None where only the answer tells."""
    if isinstance(paginator, Offset) and call.at is not None:
        return _bounded(paginator, call, call.at + max(1, paginator.limit - paginator.overlap))
    if isinstance(paginator, PageNumber) and call.at is not None:
        return _bounded(paginator, call, call.at + 1)
    return None


def total_of(paginator: Paginator, document: Any) -> int | None:
    """How many records the source says there are; pages and offsets shift where that changes while they are read."""
    path = getattr(paginator, "total_records_path", None) or (
        paginator.total_path if isinstance(paginator, Offset) else None
    )
    return _number(document, path)


def recognised(call: Call, answer: Answer) -> Paginator:
    """The paginator that an API's first answer speaks for; a single page where it speaks for none."""
    if answer.response.links.get("next", {}).get("url"):
        return LinkHeader(type="link_header")
    if any(_count(answer.response.headers.get(name)) > 1 for name in _PAGES):
        return PageNumber(type="page")
    document = answer.document
    if not isinstance(document, dict):
        return SinglePage()
    for path in _NEXT:
        value = _dug(document, path)
        if isinstance(value, str) and ("/" in value or value.startswith("?")):
            return NextUrl(type="next_url", next_path=path)
    for path, param in _CURSORS:
        if _text(_dug(document, path)):
            return Cursor(type="cursor", cursor_path=path, cursor_param=param)
    if isinstance(document.get("continue"), dict) and (on := set(document["continue"]) - {"continue"}):
        return _continued(sorted(on))
    return _counted(document, answer)


def _continued(names: list[str]) -> Paginator:
    """MediaWiki's `apcontinue` and its like; where several lists go on, one of them would be lost."""
    if len(names) > 1:
        raise SourceError(
            f"the answer goes on in several places: {', '.join(names)}",
            "ask for one list or property at a time, each as an entity of its own",
        )
    return Cursor(type="cursor", cursor_path=f"continue.{names[0]}", cursor_param=names[0])


def _count(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


_PAGES = (
    "x-total-pages",
    "x-wp-totalpages",
    "x-pagination-page-count",
    "x-pagination-total-pages",
    "x-page-count",
)
_NEXT = (
    "next", "next_url", "nextLink", "@odata.nextLink", "links.next", "links.next.href", "_links.next",
    "_links.next.href",
    "paging.next", "pagination.next", "pagination.next_url", "meta.next", "meta.pagination.links.next",
)  # fmt: skip
_CURSORS = (
    ("next_cursor", "cursor"), ("nextPageToken", "pageToken"), ("next_page_token", "page_token"),
    ("cursors.next", "cursor"),
    ("meta.next_cursor", "cursor"), ("pagination.next_cursor", "cursor"), ("paging.cursors.after", "after"),
    ("response_metadata.next_cursor", "cursor"), ("continuation", "continuation"), ("next_token", "next_token"),
)  # fmt: skip


def _counted(document: Mapping[str, Any], answer: Answer) -> Paginator:
    """Pages that the answer numbers, or an offset with a limit and a total."""
    for scope in ("", "meta.", "pagination.", "meta.pagination."):
        for page, pages in (
            ("page", "total_pages"),
            ("current_page", "last_page"),
            ("page", "pages"),
            ("current_page", "total_pages"),
            ("page", "page_count"),
        ):
            if _number(document, scope + page) is not None and (_number(document, scope + pages) or 0) > 1:
                start = _number(document, scope + page) or 0
                return PageNumber(type="page", start=start, total_pages_path=scope + pages)
        for name in ("total", "total_count"):
            total, limit = _number(document, f"{scope}{name}"), _number(document, f"{scope}limit")
            offset = _number(document, f"{scope}offset")
            if total and limit and offset is not None and total > len(answer.records):
                return Offset(type="offset", limit=limit, total_path=f"{scope}{name}")
    return SinglePage()


def resumed(paginator: Paginator, call: Call) -> Call:
    """The first call as the paginator that was recognised would have made it."""
    if isinstance(paginator, Offset | PageNumber):
        return replace(call, at=paginator.start)
    return call


def _next_count(paginator: Offset | PageNumber, call: Call, document: Any, count: int) -> Call | None:
    """Goes on until a page is empty: a short page may only mean that the server's limit is lower."""
    at = call.at if call.at is not None else paginator.start
    if count == 0 and (paginator.stop_after_empty_page or not _knows_its_end(paginator, document)):
        return None
    if isinstance(paginator, Offset):
        if count and count <= paginator.overlap and at > paginator.start:
            return None  # nothing but what was there before
        following = at + max(1, (count or paginator.limit) - paginator.overlap)
        total = _number(document, paginator.total_path)
        if total is not None and at + count >= total:
            return None
        return None if total is not None and following >= total else _bounded(paginator, call, following)
    pages = _number(document, paginator.total_pages_path)
    if pages is not None and at - paginator.start + 1 >= pages:
        return None
    return _bounded(paginator, call, at + 1)


def _knows_its_end(paginator: Offset | PageNumber, document: Any) -> bool:
    """Whether something other than an empty page ends the reading."""
    path = paginator.total_path if isinstance(paginator, Offset) else paginator.total_pages_path
    return paginator.has_more_path is not None or _number(document, path) is not None


def _bounded(paginator: Offset | PageNumber, call: Call, at: int) -> Call | None:
    if isinstance(paginator, Offset):
        beyond = paginator.maximum_offset is not None and at >= paginator.maximum_offset
    else:
        beyond = paginator.maximum_page is not None and at > paginator.maximum_page
    return None if beyond else _at(paginator, call, at)


def _at(paginator: Offset | PageNumber, call: Call, at: int) -> Call:
    if isinstance(paginator, Offset):
        return replace(_put(call, paginator.offset_param, paginator.offset_body_path, at), at=at)
    return replace(_put(call, paginator.page_param, paginator.page_body_path, at), at=at)


def _to(call: Call, url: str | None) -> Call | None:
    """The address it leads to; relative to the one that was asked."""
    return Call(urljoin(call.url, url), {}, call.body, call.headers) if url else None


def _put(call: Call, param: str | None, body_path: str | None, value: Any, weak: bool = False) -> Call:
    """The value as a parameter or in the body. `weak`: what a person wrote there stays."""
    if body_path:
        there = dig(call.body, body_path) if weak else MISSING
        return call if there is not MISSING else replace(call, body=with_value(call.body, body_path, value))
    if param is None or (weak and param in call.params):
        return call
    return replace(call, params=call.params | {param: value})


def with_value(body: Any, path: str, value: Any) -> Any:
    """A copy of the body with the value at the path; objects on the way are made."""
    first, *rest = steps(path)
    inner = dict(body) if isinstance(body, Mapping) else {}
    inner[first] = with_value(inner.get(first), ".".join(rest), value) if rest else value
    return inner


def _asked(paginator: Custom, custom: Next | None, call: Call, answer: Answer) -> Call | None:
    try:
        given = custom(call, answer.response, answer.document, answer.records) if custom else None
    except Exception as error:  # whatever a person's function raises is theirs to mend
        raise theirs(paginator.function, error) from error
    if given is None:
        return None
    if isinstance(given, str):
        return _to(call, given)
    if not isinstance(given, Mapping) or set(given) - {"url", "params", "body", "headers"}:
        raise SourceError(
            f"the paginator {paginator.function} returned {given!r:.80}",
            "it returns None, an address, or a mapping with url, params, body or headers",
        )
    changes = dict(given)
    if "url" in changes:
        changes = {"params": {}} | changes | {"url": urljoin(call.url, str(changes["url"]))}
    return replace(call, **changes)


def _dug(document: Any, path: str) -> Any:
    return dig(document, path)


def _truthy(value: Any) -> bool:
    return value is not MISSING and value not in (None, False, 0, "", "false", "False", "0", "no", [])


def _text(value: Any) -> str:
    """Empty for everything that means there is no next page."""
    empty = value is MISSING or value in (None, False, "", 0) or isinstance(value, dict | list)
    return "" if empty else str(value)


def _number(document: Any, path: str | None) -> int | None:
    found = dig(document, path) if path else MISSING
    if isinstance(found, bool) or not isinstance(found, int | str):
        return None
    return int(found) if str(found).isdigit() else None
