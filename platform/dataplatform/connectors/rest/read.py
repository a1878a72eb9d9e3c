"""Reads an entity of an API: partitions, windows and pages in their order, what is unchanged, how far the cursor came.

Imported only where an API is read.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass, replace
from queue import Full, Queue
from typing import Any, TypeVar

import httpx
import orjson
import xxhash

from dataplatform.connectors.contract import Item, Part, Records, Request, Since, State, of_kind
from dataplatform.connectors.cursors import greatest
from dataplatform.connectors.own import thing_at
from dataplatform.connectors.paging import Custom, SinglePage
from dataplatform.connectors.rest import plan
from dataplatform.connectors.rest.answer import Content, carried
from dataplatform.connectors.rest.client import gate_of, session_of
from dataplatform.connectors.rest.filling import uses
from dataplatform.connectors.rest.gone import told
from dataplatform.connectors.rest.model import RestConnector, RestEntity
from dataplatform.connectors.rest.pages import Reading, conditional_page, pages
from dataplatform.errors import SourceError
from dataplatform.metadata.cursor import Value, later
from dataplatform.metadata.paths import MISSING, dig

T = TypeVar("T")
U = TypeVar("U")


def read(request: Request, since: Since) -> Iterator[Item]:
    """Responses as they came, one page each; at the end how far the cursor came."""
    connector, entity = of_kind(request, RestConnector, RestEntity)
    _refuse_window(request, entity, since)
    with _opened(connector, request) as (client, gate):
        reading = _reading(request, client, gate)
        found = _Newest(entity)
        if _is_conditional(entity, reading):
            yield from _conditional(reading, since, found)
        else:
            with ahead(_contents(reading, since, found)) as contents:
                for content in contents:
                    found.note(content)
                    yield from told(content, entity)
        state = found.state(since)
        if state is not None and since.window is None:
            yield State(state)


@contextmanager
def ahead(items: Iterator[T], most: int = 2) -> Iterator[Iterator[T]]:
    """The same items, read a little ahead by a thread: a page is asked for while the one before is landed."""
    ready: Queue[tuple[T | None, BaseException | None]] = Queue(most)
    stop = threading.Event()

    def put(item: T | None, error: BaseException | None = None) -> None:
        while not stop.is_set():
            with suppress(Full):
                ready.put((item, error), timeout=0.2)
                break

    def run() -> None:
        try:
            for item in items:
                put(item)
                if stop.is_set():
                    break
            put(None)
        except BaseException as error:  # raised where the items are read
            put(None, error)

    def given() -> Iterator[T]:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item

    thread = threading.Thread(target=copy_context().run, args=(run,), name="rest-ahead", daemon=True)
    thread.start()
    try:
        yield given()
    finally:
        stop.set()
        thread.join()


def _refuse_window(request: Request, entity: RestEntity, since: Since) -> None:
    cursor = entity.cursor
    bounded = cursor and (cursor.param or cursor.filter or uses(entity.request, "since"))
    if since.window is not None and not bounded:
        raise SourceError(
            f"entity {request.name}: --from and --to need a cursor that the API is asked with",
            "say `cursor: {field: …, param: …, end_param: …}` or use {since} and {until} in the request",
        )


@contextmanager
def _opened(connector: RestConnector, request: Request) -> Iterator[tuple[httpx.Client, Any]]:
    timeout = connector.timeout.total_seconds() if connector.timeout else request.timeout
    gate = gate_of(request, connector)
    try:
        with httpx.Client(timeout=timeout, follow_redirects=False) as client:
            yield client, gate
    finally:
        gate.close()


def _reading(request: Request, client: httpx.Client, gate: Any) -> Reading:
    connector, entity = of_kind(request, RestConnector, RestEntity)
    session = session_of(request, connector, entity, client, gate)
    paginator = entity.request.paginator or connector.paginator
    if entity.request.export is not None and entity.request.paginator is None:
        paginator = SinglePage()
    return Reading(request, connector, entity, session, paginator, _custom(request, paginator))


def _custom(request: Request, paginator: Any) -> Callable[..., Any] | None:
    if not isinstance(paginator, Custom):
        return None
    thing = thing_at(request.connectors, paginator.function)
    return thing(**request.resolve(paginator.config)) if isinstance(thing, type) else thing  # type: ignore[no-any-return]  # a person's own


class _Newest:
    """How far the cursor came, of the entity and of its parent where that is incremental."""

    def __init__(self, entity: RestEntity) -> None:
        self.entity = entity
        self.own: Value | None = None
        self.parent: Value | None = None
        self.incremental = bool(entity.parent and entity.parent.incremental)

    def note(self, content: Content) -> None:
        self.own = greatest(self.own, content.records, self.entity.cursor)

    def state(self, since: Since) -> Any:
        if not self.incremental:
            return self.own
        before = since.state if isinstance(since.state, Mapping) else {}
        found = {
            "cursor": later(before.get("cursor"), self.own),
            "parent": later(before.get("parent"), self.parent),
        }
        return {name: value for name, value in found.items() if value is not None} or None


def _contents(reading: Reading, since: Since, found: _Newest) -> Iterator[Content]:
    """What all partitions hold, in their order."""
    start = plan.begin(reading.entity.cursor, since)
    all_windows = plan.windows(reading.entity, since, start)

    def of(partition: plan.Partition) -> Iterator[Content]:
        for window in all_windows:
            for content in pages(reading, partition, window, start):
                yield _fitting(reading, content, partition, start, since)

    partitions = _partitions(reading, since, found)
    if reading.entity.parent_name is None and len(reading.entity.request.each) == 0:
        for partition in partitions:
            yield from of(partition)
        return
    for contents in side_by_side(reading.connector.concurrency, partitions, of):
        yield from contents


def side_by_side(
    most: int, inputs: Iterator[T], of: Callable[[T], Iterator[U]]
) -> Iterator[Iterator[U] | list[U]]:
    """What each of the inputs gives, in their order, so many at a time. One at a time, nothing is held in memory."""
    if most == 1:
        for one in inputs:
            yield of(one)
        return
    pool = ThreadPoolExecutor(most, thread_name_prefix="rest")
    running: deque[Future[list[U]]] = deque()
    try:
        for one in inputs:
            running.append(pool.submit(lambda one=one: list(of(one))))  # type: ignore[misc]  # bound now
            if len(running) >= most:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _partitions(reading: Reading, since: Since, found: _Newest) -> Iterator[plan.Partition]:
    eaches = plan.eaches(reading.entity)
    if reading.entity.parent_name is None:
        for each in eaches:
            yield plan.Partition({"each": each}, {})
        return
    for partition in plan.of_parents(reading.entity, _parents(reading, since, found)):
        for each in eaches:
            yield replace(partition, values={**partition.values, "each": each})


def _parents(reading: Reading, since: Since, found: _Newest) -> Iterator[dict[str, Any]]:
    """Records of the parent, read from its own request; each once."""
    name = reading.entity.parent_name or ""
    source = reading.request.source
    request = replace(reading.request, name=name, entity=source.entities[name])
    parent = _reading(request, reading.session.client, reading.session.gate)
    before = since.state.get("parent") if isinstance(since.state, Mapping) else None
    asked = Since(state=before) if found.incremental else Since()
    own, seen = _Newest(parent.entity), set()
    where = reading.entity.parent.where if reading.entity.parent else None
    for content in _contents(parent, asked, own):
        found.parent = (
            greatest(found.parent, content.records, parent.entity.cursor) if found.incremental else None
        )
        for record in content.records:
            mark = (
                xxhash.xxh3_128_digest(orjson.dumps(record, option=orjson.OPT_SORT_KEYS))
                if isinstance(record, dict)
                else b""
            )
            if (
                not isinstance(record, dict)
                or mark in seen
                or (where and dig(record, where) in (MISSING, None, False, 0, "", []))
            ):
                continue
            seen.add(mark)
            yield record


def _fitting(
    reading: Reading, content: Content, partition: plan.Partition, start: Any, since: Since
) -> Content:
    """With the parent's fields, and without what is older where the API cannot filter."""
    cursor = reading.entity.cursor
    if cursor is not None and cursor.filter and start is not None:
        last = since.window[1] if since.window else None

        def keep(record: Any) -> bool:
            value = dig(record, cursor.field) if isinstance(record, dict) else None
            value = None if value is MISSING else value
            return not plan.is_older(value, start) and not (
                last and value != last and plan.is_older(last, value)
            )

        if not all(map(keep, content.records)):
            return carried(content, dict(partition.carry), reading.entity.request.records, keep)
    return (
        carried(content, dict(partition.carry), reading.entity.request.records)
        if partition.carry
        else content
    )


def _is_conditional(entity: RestEntity, reading: Reading) -> bool:
    wanted = entity.request
    plain = entity.parent_name is None and not wanted.each and wanted.export is None and wanted.verb == "GET"
    stepped = entity.cursor is not None and (entity.cursor.step is not None or entity.cursor.filter)
    return wanted.conditional and plain and not stepped and isinstance(reading.paginator, SinglePage)


@dataclass(frozen=True)
class _Known:
    """What a part's digest says of an answer: how the server names its content, the content, and how it was read."""

    etag: str
    modified: str
    content: str
    how: str

    def text(self) -> str:
        return orjson.dumps(self).decode()


def _conditional(reading: Reading, since: Since, found: _Newest) -> Iterator[Item]:
    """A single page, which may be what it was in the batch before."""
    start = plan.begin(reading.entity.cursor, since)
    (window,) = plan.windows(reading.entity, since, start)
    call = reading.first(plan.Partition(), window)
    about = reading.session.described(call)
    name = f"{about['url']}?{'&'.join(f'{k}={v}' for k, v in sorted(about['params'].items()))}".rstrip("?")
    how = hashlib.sha256(reading.entity.request.model_dump_json().encode()).hexdigest()[:16]
    known = _known(since.digests.get(name, ""), how)
    content, response = conditional_page(
        reading, call, known.etag if known else "", known.modified if known else ""
    )
    if response is not None and response.status_code == 304 and known is not None:
        yield Records([], kind="unchanged", part=Part(name, since.digests[name]))
        return
    if content is None:
        return
    etag, modified = (
        (response.headers.get(h, "") for h in ("etag", "last-modified")) if response is not None else ("", "")
    )
    found.note(content)
    if not (etag or modified) or response is None:
        yield from told(content, reading.entity)
    else:
        now = _Known(etag, modified, xxhash.xxh3_128_hexdigest(response.content), how)
        if known is not None and known.content == now.content:
            yield Records([], kind="unchanged", part=Part(name, since.digests[name]))
        else:
            part = Part(name, now.text())
            marked = replace(content, pages=[replace(page, part=part) for page in content.pages])
            yield from told(marked, reading.entity)


def _known(digest: str, how: str) -> _Known | None:
    try:
        known = _Known(**orjson.loads(digest))
    except (orjson.JSONDecodeError, TypeError):
        return None
    return known if known.how == how else None
