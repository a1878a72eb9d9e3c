"""Chains of moves, side by side: each entity's moves follow one another, entities do not wait for each other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Protocol

from dataplatform.errors import DataplatformError, TransientError
from dataplatform.pipeline import Move
from dataplatform.records.counts import Counts
from dataplatform.records.refs import EntityRef
from dataplatform.runs.order import EntityResult

log = logging.getLogger(__name__)


class Future(Protocol):
    """What both concurrent.futures and Prefect give for work under way."""

    def result(self) -> Counts: ...
    def add_done_callback(self, fn: Callable[[Any], None], /) -> None: ...


Submit = Callable[[Move], Future]
Failed = Callable[[Move, DataplatformError], None]


@dataclass(frozen=True)
class Chain:
    """The moves of one entity. A leg is one batch; where a move fails, the rest of its leg is left out."""

    entity: EntityRef
    legs: Sequence[Sequence[Move]]


@dataclass
class _Progress:
    """How far a chain has come. What counts in the end is its last leg."""

    chain: Chain
    todo: list[list[Move]] = field(default_factory=list)
    result: EntityResult = field(default_factory=EntityResult)

    def __post_init__(self) -> None:
        self.todo = [list(leg) for leg in self.chain.legs if leg]

    def next(self) -> Move | None:
        while self.todo and not self.todo[0]:
            self.todo.pop(0)
        return self.todo[0].pop(0) if self.todo else None

    def failed(self, error: DataplatformError) -> None:
        self.todo = self.todo[1:]
        self.result = EntityResult(Counts(), str(error), isinstance(error, TransientError))

    def done(self, counts: Counts) -> None:
        self.result = EntityResult(counts)


@contextmanager
def threads(most: int, perform: Callable[[Move], Counts]) -> Iterator[Submit]:
    """Performs moves in threads of this process."""
    with ThreadPoolExecutor(most, "move") as pool:
        yield lambda move: pool.submit(copy_context().run, perform, move)


def drive(
    chains: Sequence[Chain], most: int, submit: Submit, failed: Failed
) -> dict[EntityRef, EntityResult]:
    """Carries all chains out, at most `most` at a time; results in the order of the chains.

    `failed` is told of every move that failed with an error of ours. A defect (any other error) ends its own
    chain, and is raised when all others have ended.
    """
    ended: SimpleQueue[tuple[_Progress, Move, Future]] = SimpleQueue()
    progress = {chain.entity: _Progress(chain) for chain in chains}
    waiting, running, defects = list(progress.values()), 0, []

    def go_on(one: _Progress) -> bool:
        move = one.next()
        if move is not None:
            submit(move).add_done_callback(lambda future: ended.put((one, move, future)))
        return move is not None

    while waiting or running:
        while waiting and running < most:
            running += go_on(waiting.pop(0))
        if not running:
            continue
        one, move, future = ended.get()
        try:
            one.done(future.result())
        except DataplatformError as error:
            log.error("%s: %s", move.title, error)
            one.failed(error)
            failed(move, error)
        except Exception as error:
            defects.append(error)
            one.todo.clear()
        running -= not go_on(one)
    if defects:
        raise defects[0]
    return {entity: one.result for entity, one in progress.items()}
