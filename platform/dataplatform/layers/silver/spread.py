"""Pieces of a large batch whose COPY text other processes make; one transaction, the caller's, writes all of it.

A piece that has a value which does not fit, or a record that a check keeps out, comes back undone: only the caller
sets records aside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dataplatform.layers.silver.columns import Block, copy_lines
from dataplatform.layers.silver.convert import BadValue
from dataplatform.layers.silver.merge import Merger, Text
from dataplatform.layers.silver.observe import Screen, effective_at
from dataplatform.layers.silver.plan import Plan
from dataplatform.layers.silver.rows import moment_text
from dataplatform.layers.silver.task import Work
from dataplatform.metadata.source import Entity
from dataplatform.processes import Team
from dataplatform.records import hashes as hs
from dataplatform.records.columnar import grouped
from dataplatform.records.holdings import Found

Sent = tuple[bytes, bytes]  # keys of records, 16 bytes each; the records, as bronze has them
Staging = Team[Sent, Text | None]


def paths_of(plan: Plan) -> dict[str, str]:
    """The path of each column that a check may name."""
    return {key: column.path for column in plan.root.columns for key in (column.name, column.path)}


def starts(entity: Entity, at: int, docs: Sequence[dict[str, Any]]) -> list[str]:
    """When each record became valid, as COPY wants it; `at`: the batch's time, microseconds.

    Raises BadValue where one says an impossible time.
    """
    usual = moment_text(at)
    if entity.effective_at is None:
        return [usual] * len(docs)
    times = [effective_at(entity, doc) for doc in docs]
    return [usual if time is None else moment_text(time) for time in times]


def refused(screen: Screen | None, docs: Sequence[dict[str, Any]], whole: frozenset[str]) -> dict[int, str]:
    """Places of records that a check keeps out, and why."""
    bad: dict[int, str] = {}
    for group in grouped(docs, whole) if screen else ():
        assert screen is not None
        failed = screen(group.scalars, len(group.places))
        bad |= {group.places[at]: reason for at, reason in failed.items()}
    return bad


class Converting:
    """Makes COPY text of pieces, in a process of its own."""

    def __init__(
        self,
        plan: Plan,
        entity: Entity,
        at: int,
        screening: Callable[[dict[str, str]], Screen | None],
        decode: Callable[[bytes], Found],
    ) -> None:
        self.plan, self.entity, self.at, self.decode = plan, entity, at, decode
        self.screen = screening(paths_of(plan))

    def __call__(self, sent: Sent) -> Text | None:
        owners, data = sent
        docs = [doc for _, doc in self.decode(data)]
        if refused(self.screen, docs, self.plan.whole):
            return None
        try:
            block = Block(docs, hs.pieces(hs.hashes(owners)), starts(self.entity, self.at, docs))
            lines = copy_lines(self.plan, block)
        except BadValue:
            return None
        return {
            name: (("\n".join(found) + "\n").encode(), len(found)) for name, found in lines.items() if found
        }


def staged_elsewhere(
    work: Work, merger: Merger, team: Staging, keys: hs.Hashes, versions: hs.Hashes
) -> Iterator[tuple[list[bytes], Found]]:
    """Stages the records; yields those that want a closer look, with their keys."""
    ordering = hs.prepared(versions)
    for ids, data in work.history.encoded(versions):
        sent = (keys[hs.find(hs.hashes(ids), versions, ordering)].tobytes(), data)
        yield from _taken(work, merger, team.put(sent, sent))
    yield from _taken(work, merger, team.rest())


def _taken(
    work: Work, merger: Merger, done: Iterator[tuple[Sent, Text | None]]
) -> Iterator[tuple[list[bytes], Found]]:
    for (owners, data), text in done:
        if text is None:
            yield hs.pieces(hs.hashes(owners)), work.history.decode(data)
        else:
            merger.add_text(text)
