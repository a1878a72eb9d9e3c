"""Progress as it is made: a part of a page again and again while it changes, as server-sent events.

A stream holds a connection and no thread; it is made anew once a second. It ends when the work does, when whoever
watches is signed out, and after ten minutes in any case: the page then asks by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from dataplatform.errors import BusyError, DataplatformError
from dataplatform.web.who import Who, known

EVERY = 1.0  # seconds between two looks
LONGEST = 600.0  # seconds of a stream
BEAT = 15.0  # seconds without a change until a word is sent: a proxy closes what is silent
MOST, MOST_OF_ONE = (
    60,
    10,
)  # streams at once, of the process and of a person: of 200 connections that it takes
Part = Callable[[], tuple[str, bool]]  # the text, and whether it is the last


@dataclass
class Streams:
    """How many there are, by person. `over`: whether the server stops, which waits for none of them."""

    over: Callable[[], bool] = lambda: False
    _open: Counter[str] = field(default_factory=Counter)

    def check(self, who: str) -> None:
        """Raises BusyError where there are too many: who is refused asks again and again instead."""
        if self.count >= MOST or self._open[who] >= MOST_OF_ONE:
            raise BusyError("there are many streams already", "the page asks by itself")

    def take(self, who: str) -> None:
        self._open[who] += 1

    def leave(self, who: str) -> None:
        self._open[who] -= 1
        if self._open[who] <= 0:
            del self._open[who]

    @property
    def count(self) -> int:
        return self._open.total()


class Stream(StreamingResponse):
    """Counts while it is there, whatever ends it, also before its first byte."""

    def __init__(self, streams: Streams, who: str, events: AsyncIterator[str]) -> None:
        headers = {
            "Cache-Control": "no-store, no-transform",
            "X-Accel-Buffering": "no",
        }  # nginx holds back, else
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._streams, self._who = streams, who

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._streams.take(self._who)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.leave(self._who)


def stream(request: Request, who: Who, streams: Streams, part: Part) -> Response:
    """Events `part` with HTML, and `done` at the end; raises BusyError where there are too many streams."""
    streams.check(who.name)
    return Stream(streams, who.name, _events(request, who, streams, part))


async def _events(request: Request, who: Who, streams: Streams, part: Part) -> AsyncIterator[str]:
    end, shown, beat = time.monotonic() + LONGEST, "", time.monotonic()
    while time.monotonic() < end and not streams.over():
        if not await run_in_threadpool(_still, request, who):
            return
        try:
            text, last = await run_in_threadpool(part)
        except DataplatformError:  # it is not there any more, or a server is gone: who asks again is told
            return
        if text != shown:
            yield _event("part", text)
            shown, beat = text, time.monotonic()
        elif time.monotonic() - beat > BEAT:
            yield ": still there\n\n"
            beat = time.monotonic()
        if last:
            yield _event("done", "")
            return
        await asyncio.sleep(EVERY)


def _still(request: Request, who: Who) -> bool:
    """Whether the one who began to watch still may: a session ends when its user signs out, wherever that is."""
    try:
        now = known(request)
    except Exception:  # not known any more, or Postgres is gone: either way there is nothing to tell
        return False
    return (
        now is not None
        and (now.name, now.how, now.session) == (who.name, who.how, who.session)
        and now.may("read")
    )


def _event(name: str, text: str) -> str:
    """As HTML's standard writes it: a line of data for each line.

    >>> _event("part", "<p>a</p>\\n<p>b</p>")
    'event: part\\ndata: <p>a</p>\\ndata: <p>b</p>\\n\\n'
    """
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\n{lines}\n"
