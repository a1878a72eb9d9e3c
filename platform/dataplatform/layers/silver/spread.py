"""Pieces of a large batch whose COPY text other processes make; one transaction, the caller's, writes all of it.

A piece that has a value which does not fit, or a record that a check keeps out, comes back undone: only the caller
sets records aside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dataplatform.layers.silver.columns import Text
from dataplatform.layers.silver.making import Making
from dataplatform.layers.silver.merge import Merger
from dataplatform.layers.silver.task import Work
from dataplatform.processes import Team
from dataplatform.records import hashes as hs
from dataplatform.records.holdings import Found

Sent = tuple[bytes, bytes]  # keys of records, 16 bytes each; the records, as bronze has them
Staging = Team[Sent, Text | None]


class Converting:
    """Makes COPY text of pieces, in a process of its own."""

    def __init__(self, making: Making, decode: Callable[[bytes], Found]) -> None:
        self.making, self.decode = making, decode

    def __call__(self, sent: Sent) -> Text | None:
        owners, data = sent
        return self.making(hs.pieces(hs.hashes(owners)), [doc for _, doc in self.decode(data)])


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
            merger.add_text(text, merger.plan)
