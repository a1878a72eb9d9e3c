"""Processes of ours that share the work on one large batch: pieces go out through pipes, results come back in order.

A process is lent to one batch at a time, which says what it is to do by a `make` and its arguments: `make(*args)` gives
the function that is then called with each piece, over there. It logs nothing and keeps nothing; what it cannot do
plainly it hands back, for the caller to do. It ends when whoever started it ends, however that came.
"""

from __future__ import annotations

import gc
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from dataplatform.errors import TransientError

Piece = TypeVar("Piece")
Result = TypeVar("Result")

MOST = 4  # processes, where nobody says how many: each takes about 100 MB
LEAST = 250_000  # records from which it pays to start them: half a second of a core each
AHEAD = 16  # pieces a process that may wait for their turn, some 100 KB each


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Process:
    """One of them, and the pipes to it."""

    def __init__(self) -> None:
        requests, to_it = os.pipe()
        from_it, answers = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=requests,
            stdout=answers,
            start_new_session=True,  # Ctrl-C is for the one that loads, whose end is theirs
        )
        os.close(requests)
        os.close(answers)
        self._to, self._from = Connection(to_it, readable=False), Connection(from_it, writable=False)

    def ask(self, what: str, payload: Any) -> Any:
        """The answer; raises what was raised over there, TransientError where the process is gone."""
        try:
            self._to.send_bytes(pickle.dumps((what, payload), pickle.HIGHEST_PROTOCOL))
            well, answer = pickle.loads(self._from.recv_bytes())
        except (EOFError, OSError):
            self.close()
            raise TransientError(
                f"a process that shared the work ended by itself (exit code {self._process.returncode})",
                "it is tried again; if memory is short: DATAPLATFORM_PROCESSES=1",
            ) from None
        if not well:
            raise answer
        return answer

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """It ends when it has nobody to listen to; one in the middle of a piece does so after it."""
        self._to.close()
        self._from.close()
        self._process.wait()


class Team(Generic[Piece, Result]):
    """Some processes at one batch. What is put in comes out in the same order; few pieces are on their way at once."""

    def __init__(self, members: list[_Process]) -> None:
        self.size = len(members)
        self._free: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        for member in members:
            self._free.put(member)
        self._threads = ThreadPoolExecutor(len(members), "piece")
        self._waiting: deque[tuple[Piece, Future[Result]]] = deque()
        self._ahead = AHEAD * len(members)

    def put(self, piece: Piece, sent: Any) -> Iterator[tuple[Piece, Result]]:
        """Sends something of a piece away; gives back what has its turn by now, with its result."""
        self._waiting.append((piece, self._threads.submit(self._done, sent)))
        while len(self._waiting) > self._ahead:
            yield self._next()

    def rest(self) -> Iterator[tuple[Piece, Result]]:
        """All that is still on its way."""
        while self._waiting:
            yield self._next()

    def each(self, sent: Any) -> list[Any]:
        """Every process' answer to the same, when nothing else is on its way."""
        members = [self._free.get() for _ in range(self.size)]
        try:
            return [*self._threads.map(lambda member: member.ask("do", sent), members)]
        finally:
            for member in members:
                self._free.put(member)

    def _next(self) -> tuple[Piece, Result]:
        piece, result = self._waiting.popleft()
        return piece, result.result()

    def _done(self, sent: Any) -> Result:
        process = self._free.get()
        try:
            result: Result = process.ask("do", sent)
            return result
        finally:
            self._free.put(process)

    def close(self) -> None:
        """Nothing is on its way any more."""
        self._threads.shutdown(wait=True, cancel_futures=True)


@dataclass(eq=False)
class Processes:
    """Those of one platform: started when a large batch first wants them, kept until it closes.

    `most`: how many, 0: one a core, four at most; one alone would be no help, so it means none. `least`: records of a
    batch from which they are used.
    """

    most: int = 0
    least: int = LEAST
    _idle: list[_Process] = field(default_factory=list)
    _lent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def lent(
        self, records: int, make: Callable[..., Callable[[Any], Any]], *args: Any
    ) -> Iterator[Team[Any, Any] | None]:
        """Those that are free, for the block; None where the batch is too small, or others have them all."""
        members = self._take() if records and records >= self.least else []
        if not members:
            yield None
            return
        team: Team[Any, Any] = Team(members)
        try:
            for member in members:
                member.ask("make", (make, args))
            yield team
        finally:
            team.close()
            self._give_back(members)

    def _take(self) -> list[_Process]:
        wanted = self.most or min(MOST, cores())
        with self._lock:
            self._idle = [process for process in self._idle if process.alive]
            number = wanted - self._lent if wanted > 1 else 0
            taken = [self._idle.pop() if self._idle else _Process() for _ in range(number)]
            self._lent += len(taken)
        return taken

    def _give_back(self, members: list[_Process]) -> None:
        with self._lock:
            self._lent -= len(members)
            self._idle.extend(members)

    def close(self) -> None:
        """Ends them."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()


ALONE = Processes(1)  # none beside the one that loads


def _serve(requests: Connection, answers: Connection) -> None:
    """What such a process does, until nobody is there any more."""
    function: Callable[[Any], Any] | None = None
    with suppress(EOFError, BrokenPipeError):
        while True:
            request = requests.recv_bytes()
            try:
                what, payload = pickle.loads(request)
                if what == "make":
                    make, args = payload
                    function, answer = make(*args), None
                else:
                    assert function is not None
                    answer = function(payload)
                text = pickle.dumps((True, answer), pickle.HIGHEST_PROTOCOL)
            except Exception as error:
                text = pickle.dumps((False, error), pickle.HIGHEST_PROTOCOL)
            answers.send_bytes(text)


def main() -> None:
    """The program of such a process."""
    gc.set_threshold(100_000, 20, 20)  # as where a platform is open: records come and go by the million
    requests, answers = Connection(os.dup(0), writable=False), Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # whatever prints does not print among the answers
    _serve(requests, answers)


if __name__ == "__main__":
    main()
