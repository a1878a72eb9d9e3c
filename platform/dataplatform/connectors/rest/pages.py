"""The pages of one series: one after the other, or those that can be guessed side by side; read again where
they shift."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import httpx

from dataplatform.connectors.contract import Request
from dataplatform.connectors.paging import Auto, Offset, PageNumber, Paginator
from dataplatform.connectors.rest import export, plan, turning
from dataplatform.connectors.rest.answer import Content, TruncatedError, content
from dataplatform.connectors.rest.client import IgnoredError, ResetError, Session, send
from dataplatform.connectors.rest.model import RestConnector, RestEntity
from dataplatform.connectors.rest.turning import Answer, Call
from dataplatform.errors import SourceError, SourceUnavailableError
from dataplatform.metadata.paths import MISSING, dig

PASSES = 3  # so often pages that shift are read; then the run comes again
RESETS = 1_000


@dataclass(frozen=True)
class Reading:
    """One entity that is read."""

    request: Request
    connector: RestConnector
    entity: RestEntity
    session: Session
    paginator: Paginator
    custom: turning.Next | None = None

    def first(self, partition: plan.Partition, window: plan.Window) -> Call:
        call = plan.call_for(
            self.request, self.connector, self.entity, self.session.base_url, partition, window
        )
        return turning.first_call(self.paginator, call)


@dataclass
class _Page:
    """An answer that was read: what it held, and the call that it answers."""

    call: Call
    content: Content
    response: httpx.Response | None

    @property
    def answer(self) -> Answer:
        assert self.response is not None
        return Answer(self.response, self.content.document, self.content.records)


class _ShiftedError(Exception):
    """Records came or went while pages were read."""


def pages(reading: Reading, partition: plan.Partition, window: plan.Window, start: Any) -> Iterator[Content]:
    """What each page holds."""
    for _ in range(PASSES):
        try:
            yield from _resettable(reading, partition, window, start)
            return
        except _ShiftedError:
            continue
    raise SourceUnavailableError(
        f"{reading.session.name}: records came or went while its pages were read, {PASSES} times over",
        "run again when it is quieter; nothing was landed",
    )


def _resettable(
    reading: Reading, partition: plan.Partition, window: plan.Window, start: Any
) -> Iterator[Content]:
    """A paging that an answer resets begins again where the cursor has come to; without progress it ends."""
    from dataplatform.connectors.cursors import greatest

    newest, cursor = None, reading.entity.cursor
    for _ in range(RESETS):
        try:
            for page in _run(reading, reading.first(partition, window)):
                newest = greatest(newest, page.content.records, cursor)
                yield page.content
                if _is_past(reading, page, start):
                    return
            return
        except ResetError:
            value = plan.written(newest, cursor.format) if cursor and newest is not None else None
            if value is None or value == window.since:
                raise SourceError(
                    f"{reading.session.name}: an answer resets the paging, and the cursor has not moved since",
                    "smaller windows (`cursor: {step: …}`) may help",
                ) from None
            window = replace(window, since=value)


def _is_past(reading: Reading, page: _Page, start: Any) -> bool:
    """With the newest first: whether all of the page is older than what is wanted."""
    cursor = reading.entity.cursor
    if cursor is None or cursor.order != "desc" or start is None or not page.content.records:
        return False
    values = [dig(r, cursor.field) if isinstance(r, dict) else None for r in page.content.records]
    known = [v for v in values if v is not MISSING and v is not None]
    return bool(known) and all(plan.is_older(v, start) for v in known)


def _run(reading: Reading, call: Call) -> Iterator[_Page]:
    """One pass over the pages."""
    watch, page, paginator = _Watch(reading), _get(reading, call), reading.paginator
    if page is not None:
        watch.see(page)
        yield page
    if page is not None and page.response is not None and isinstance(paginator, Auto):
        paginator = turning.recognised(page.call, page.answer)
        page.call = turning.resumed(paginator, page.call)
        reading = replace(reading, paginator=paginator)
        watch.recognise(reading, page)
    ahead = _Ahead(reading, paginator)
    try:
        while page is not None and page.response is not None:
            following = turning.next_call(paginator, page.call, page.answer, reading.custom)
            if following is None or page.response.status_code == 404:
                break
            watch.ask(following)
            page = ahead.get(following)
            if page is not None:
                watch.see(page)
                yield page
    finally:
        ahead.close()


class _Watch:
    """Sees that a series of pages ends, and stays what it was while it is read."""

    def __init__(self, reading: Reading) -> None:
        self.reading, self.seen, self.count = reading, set[int](), 0
        self.total: int | None = None
        self.last: list[Any] = []

    def recognise(self, reading: Reading, page: _Page) -> None:
        """How it pages is known only now; the first page is seen again with that."""
        self.reading, self.count = reading, 0
        self.see(page)

    def ask(self, call: Call) -> None:
        name, most = self.reading.session.name, self.reading.connector.max_pages
        if self.count >= most:
            raise SourceError(
                f"{name}: more than {most} pages",
                "raise `max_pages` in the connector, or check the paginator",
            )
        mark = hash(repr(call))
        if mark in self.seen:
            raise SourceError(
                f"{name}: the paginator asks for the same page again",
                "check the paginator's paths and parameters against the API's documentation",
            )
        self.seen.add(mark)

    def see(self, page: _Page) -> None:
        if self.count == 0:
            self.seen.add(hash(repr(page.call)))
        self.count += 1
        paginator = self.reading.paginator
        if not isinstance(paginator, Offset | PageNumber) or page.response is None:
            return
        total = turning.total_of(paginator, page.content.document)
        if self.total is not None and total is not None and total != self.total:
            raise _ShiftedError
        self.total = total if total is not None else self.total
        overlap = paginator.overlap if isinstance(paginator, Offset) else 0
        if overlap and self.last and page.content.records[: len(self.last)] != self.last:
            raise _ShiftedError
        self.last = page.content.records[-overlap:] if overlap else []


class _Ahead:
    """Asks for pages that can be guessed before their turn; a wrong guess is thrown away."""

    def __init__(self, reading: Reading, paginator: Paginator) -> None:
        self.reading, self.paginator = reading, paginator
        most = reading.connector.concurrency
        counts = isinstance(paginator, Offset | PageNumber) and most > 1
        self.most = most if counts else 0
        self.pool: ThreadPoolExecutor | None = None
        self.running: deque[tuple[Call, Future[_Page | None]]] = deque()

    def get(self, call: Call) -> _Page | None:
        if not self.most:
            return _get(self.reading, call)
        if self.running and self.running[0][0] != call:
            self._drop()
        self._fill(call)
        _, future = self.running.popleft()
        page = future.result()
        if page is None or not page.content.records:
            self._drop()
        return page

    def _fill(self, call: Call) -> None:
        if self.pool is None:
            self.pool = ThreadPoolExecutor(self.most, thread_name_prefix="rest")
        following: Call | None = self.running[-1][0] if self.running else None
        while len(self.running) < self.most:
            following = call if not self.running else turning.guessed(self.paginator, following or call)
            if following is None:
                break
            self.running.append((following, self.pool.submit(_get, self.reading, following)))

    def _drop(self) -> None:
        for _, future in self.running:
            future.cancel()
        self.running.clear()

    def close(self) -> None:
        self._drop()
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)


def _get(reading: Reading, call: Call) -> _Page | None:
    """The page that answers; None where there is none (an answer that counts as nothing)."""
    beyond = turning.counts_up(reading.paginator, call)
    for attempt in range(reading.connector.retries + 1):
        try:
            if reading.entity.request.export is not None:
                return _exported(reading, call)
            response = send(reading.session, call, beyond)
            if response.status_code == 404 and beyond:
                return None  # many APIs answer 404 beyond the last page
            return _Page(call, _content(reading, call, response), response)
        except IgnoredError:
            return None
        except TruncatedError as error:
            if attempt == reading.connector.retries:
                raise SourceUnavailableError(f"{reading.session.name}: {error}", "try again later") from None
            time.sleep(min(8.0, 0.25 * 2**attempt))
    raise AssertionError("retries are at least none")


def _exported(reading: Reading, call: Call) -> _Page | None:
    """The results of a job, which may be several files, as one page of pages."""
    wanted = reading.entity.request.export
    assert wanted is not None
    found = [
        _content(reading, got, response) for got, response in export.results(reading.session, wanted, call)
    ]
    if not found:
        return None
    records = [record for one in found for record in one.records]
    return _Page(call, Content(None, records, [page for one in found for page in one.pages]), None)


def _content(reading: Reading, call: Call, response: httpx.Response) -> Content:
    session, wanted = reading.session, reading.entity.request
    if response.status_code == 204 and reading.paginator.type not in ("single", "single_page"):
        return Content(None, [], [])
    return content(wanted, response, session.name, session.described(call), reading.connector.max_bytes)


def conditional_page(
    reading: Reading, call: Call, etag: str, modified: str
) -> tuple[Content | None, httpx.Response | None]:
    """The page, or an answer 304 where it is what the validators name; nothing where the answer counts as nothing."""
    validators = {"If-None-Match": etag, "If-Modified-Since": modified}
    asked = replace(call, headers={**call.headers, **{k: v for k, v in validators.items() if v}})
    page = None
    for attempt in range(reading.connector.retries + 1):
        try:
            response = send(reading.session, asked)
            if response.status_code == 304 and (etag or modified):
                return None, response
            page = _Page(call, _content(reading, call, response), response)
            break
        except IgnoredError:
            return None, None
        except TruncatedError as error:
            if attempt == reading.connector.retries:
                raise SourceUnavailableError(f"{reading.session.name}: {error}", "try again later") from None
            time.sleep(min(8.0, 0.25 * 2**attempt))
    assert page is not None
    return page.content, page.response
