"""`POST /hooks/<source>[/<entity>]`: what others send is on the disk before the answer is 202.

Requests that come together are written in one transaction. Who asks is not signed in: each proves to know the source's
secret (connectors/hooks.py), which is compared in constant time.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from sqlalchemy.engine import Engine

from dataplatform.audit.inbox import Delivery, put_all
from dataplatform.connectors.hooks import Hook, Posted, SlackHook, allowed, key_of, lines_of
from dataplatform.connectors.push import PushConnector, PushEntity
from dataplatform.connectors.receiving import LONGEST_KEY
from dataplatform.context import Platform
from dataplatform.errors import DataplatformError, SourceError
from dataplatform.metadata.source import Source
from dataplatform.records.refs import EntityRef
from dataplatform.storage.postgres import transaction
from dataplatform.web.live import Live
from dataplatform.web.who import LiveNow

log = logging.getLogger(__name__)
router = APIRouter()
TOGETHER = 1_000  # requests written in one transaction, at most
KNOWN, ROTATED = 30.0, 5.0  # seconds for which a secret is not looked up again; where it does not do
BURST = 10.0  # seconds' worth of requests that may come at once


@dataclass
class Writer:
    """Writes deliveries, those that came meanwhile together; started with the first one."""

    engine: Engine
    _waiting: queue.SimpleQueue[tuple[Delivery, asyncio.Future[bool], asyncio.AbstractEventLoop]] = field(
        default_factory=queue.SimpleQueue
    )
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    async def written(self, delivery: Delivery) -> bool:
        """When it is on the disk; whether it was before, by its key."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()
        self._waiting.put((delivery, done, loop))
        self._start()
        return await done

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="hooks", daemon=True)
                self._thread.start()

    def _write(self) -> None:
        while True:
            group = [self._waiting.get()]
            while len(group) < TOGETHER:
                try:
                    group.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            found = self._put([delivery for delivery, _, _ in group])
            for number, (_, done, loop) in enumerate(group):
                loop.call_soon_threadsafe(
                    _tell, done, found if isinstance(found, Exception) else found[number]
                )

    def _put(self, deliveries: Sequence[Delivery]) -> list[bool] | Exception:
        try:
            with transaction(self.engine) as conn:
                return put_all(conn, deliveries)
        except Exception as error:  # each of those who wait is told, and sends again
            log.warning("what was posted could not be written: %s", error)
            return error


def _tell(done: asyncio.Future[bool], found: bool | Exception) -> None:
    if done.done():
        return  # who asked has gone
    if isinstance(found, Exception):
        done.set_exception(found)
    else:
        done.set_result(found)


@dataclass
class Bucket:
    """Requests that a source may still get: so many a minute, some seconds' worth at once."""

    left: float
    at: float

    def take(self, per_minute: int, now: float) -> float:
        """0 where one more may come, else the seconds until then."""
        most = max(1.0, per_minute * BURST / 60)
        self.left = min(most, self.left + (now - self.at) * per_minute / 60)
        self.at = now
        if self.left < 1:
            return (1 - self.left) * 60 / per_minute
        self.left -= 1
        return 0.0


@dataclass
class Hooks:
    """What the route keeps: the writer, how much has come of each source, secrets for some seconds."""

    writer: Writer
    buckets: dict[str, Bucket] = field(default_factory=dict)
    secrets: dict[str, tuple[float, Any]] = field(default_factory=dict)
    _seen: tuple[float, Platform] | None = None

    def wait(self, source: str, per_minute: int) -> float:
        now = time.monotonic()
        bucket = self.buckets.setdefault(source, Bucket(per_minute * BURST / 60, now))
        return bucket.take(per_minute, now)

    def resolve(self, platform: Platform, value: Any, oldest: float) -> Any:
        """A secret's value, looked up again where what we know is older than so many seconds."""
        found = self.secrets.get(value.secret)
        if found is None or time.monotonic() - found[0] > oldest:
            found = (time.monotonic(), platform.secrets.resolve(value))
            self.secrets[value.secret] = found
        return found[1]

    def platform(self, live: Live) -> Platform:
        """As metadata were a second ago at most: looking for changes costs a stat of each file."""
        now = time.monotonic()
        if self._seen is None or now - self._seen[0] > 1:
            self._seen = (now, live.now().platform)
        return self._seen[1]

    def allowed(self, platform: Platform, hook: Hook, posted: Posted) -> bool:
        """By the secret as we know it, then as it is now: it may have been rotated."""

        def known(value: Any) -> Any:
            return self.resolve(platform, value, KNOWN)

        def anew(value: Any) -> Any:
            return self.resolve(platform, value, ROTATED)

        return allowed(hook, posted, known) or allowed(hook, posted, anew)


@router.post("/hooks/{source}")
async def source_hook(source: str, request: Request, live: LiveNow) -> Response:
    """To the source's only entity."""
    return await _received(source, "", request, live)


@router.post("/hooks/{source}/{entity}")
async def entity_hook(source: str, entity: str, request: Request, live: LiveNow) -> Response:
    """To one entity of the source."""
    return await _received(source, entity, request, live)


async def _received(name: str, entity: str, request: Request, live: Live) -> Response:
    hooks: Hooks = live.hooks
    platform = await run_in_threadpool(hooks.platform, live)
    source = platform.catalog.sources.get(name)
    if source is None or not isinstance(source.connector, PushConnector) or source.connector.auth is None:
        return _answer(
            404, "nothing is received here", "`connector: {type: push, auth: …}` of a source says what is"
        )
    connector, auth = source.connector, source.connector.auth
    body = await _body(request, connector.max_bytes)
    if body is None:
        return _answer(
            413, f"the body is longer than {connector.max_bytes:,} bytes", "send less, or raise `max_bytes`"
        )
    headers = {key.lower(): value for key, value in request.headers.items()}
    posted = Posted(headers, body, time.time())
    try:
        if not await run_in_threadpool(hooks.allowed, platform, auth, posted):
            return _answer(401, "the signature or token is not right, or too old", "")
    except DataplatformError as error:  # the secret is not there, or its store does not answer
        log.warning("a request to the source %s was refused: %s", name, error)
        return _answer(503, "who sends this cannot be checked now", "see the log of dataplatform")
    if seconds := hooks.wait(name, connector.per_minute):
        return _answer(429, "too many requests", "wait a little", {"Retry-After": str(int(seconds) + 1)})
    return await _kept(source, entity, posted, live)


async def _kept(source: Source, entity: str, posted: Posted, live: Live) -> Response:
    """What somebody sent who may: on the disk, then the answer."""
    known = entity or (next(iter(source.entities)) if len(source.entities) == 1 else "")
    if known not in source.entities:
        names = ", ".join(source.entities)
        return _answer(
            404, f"{source.source} has no entity {entity!r}", f"/hooks/{source.source}/… one of: {names}"
        )
    about = source.entities[known]
    try:
        lines, document = lines_of(posted.body, about.records if isinstance(about, PushEntity) else None)
        key = _key(posted, document)
    except SourceError as error:
        return _answer(400, error.message, error.remedy)
    assert isinstance(source.connector, PushConnector)
    if isinstance(source.connector.auth, SlackHook) and _is_challenge(document):
        return JSONResponse({"challenge": document["challenge"]})
    if not lines:
        return JSONResponse({"status": "accepted", "records": 0, "repeated": False}, 202)
    try:
        repeated = await live.hooks.writer.written(Delivery(EntityRef(source.source, known), lines, key))
    except DataplatformError:
        return _answer(503, "it could not be written now", "send it again", {"Retry-After": "5"})
    return JSONResponse({"status": "accepted", "records": len(lines), "repeated": repeated}, 202)


def _key(posted: Posted, document: Any) -> str | None:
    key = key_of(posted, document)
    if key is not None and (len(key) > LONGEST_KEY or not key.isprintable()):
        raise SourceError(f"an idempotency key has 1 to {LONGEST_KEY} printable characters", "a UUID will do")
    return key


def _is_challenge(document: Any) -> bool:
    return (
        isinstance(document, dict) and document.get("type") == "url_verification" and "challenge" in document
    )


async def _body(request: Request, most: int) -> bytes | None:
    """None where it is longer; no more of it is read then."""
    if int(request.headers.get("content-length") or 0) > most:
        return None
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > most:
            return None
        parts.append(part)
    return b"".join(parts)


def _answer(status: int, error: str, remedy: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": error, "remedy": remedy}, status, headers)
