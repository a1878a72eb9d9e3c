"""COPY text that is made while bronze has a first batch's records in hand: silver need not read and decode them again.

It is made for the columns that the records so far would give. Silver takes a piece where these came out the same,
whatever others came later, and where the batch holds all of the piece's records; the others it reads from bronze, as it
reads everything where bronze was loaded by another process. The text is in a file without a name, which goes with the
process that has it open.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from dataplatform.layers.silver import known as known_paths
from dataplatform.layers.silver.columns import Text
from dataplatform.layers.silver.making import Making, Screening
from dataplatform.layers.silver.plan import UNBORN, Plan, make_plan
from dataplatform.layers.silver.rows import micros
from dataplatform.metadata.source import Entity
from dataplatform.records import hashes as hs
from dataplatform.records.growing import let_go
from dataplatform.records.holdings import Manifest
from dataplatform.records.refs import BatchRef, EntityRef

MOST_PLANS = 100  # of records that are so unlike one another the text is better made when all are known
IN_MEMORY = 1 << 20  # bytes of text from which it needs a file
LOOKED_AT = 500  # pieces, after which what was looked at of the versions wanted is let go


@dataclass(frozen=True)
class _Piece:
    """Some records; where their versions begin, 16 bytes each; of each table where its text begins, its length and its
    rows."""

    plan: Plan
    records: int
    versions: int
    texts: dict[str, tuple[int, int, int]]


@dataclass
class Ahead:
    """The text of one batch, while it grows and until silver takes it. `making`: what makes it; None: nothing does."""

    batch: BatchRef
    entity: Entity
    screening: Screening
    folder: Path
    making: Making | None = None
    plans: int = 0
    pieces: list[_Piece] = field(default_factory=list)
    file: tempfile.SpooledTemporaryFile[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.file = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(self.folder))  # noqa: SIM115  # until it is taken

    def knows(self, so_far: Manifest) -> None:
        """What the records are like by now. What was made for columns that have changed is of no use any more."""
        known = known_paths.merged({}, so_far, self.entity)
        plan = replace(make_plan(self.batch.entity, self.entity, known, UNBORN), known={})
        before = self.making.plan if self.making else None
        paths = frozenset(known)
        if self.plans and (
            self.making is None or (plan.layout, paths) == (self.making.plan.layout, self.making.paths)
        ):
            return
        if before is not None and not plan.holds(before):
            self._forget()
        self.plans += 1
        making = Making(plan, self.entity, micros(self.batch.time), self.screening, paths)
        self.making = making if self.plans <= MOST_PLANS else None

    def put(self, versions: bytes, making: Making | None, text: Text | None, paths: Set[str]) -> None:
        """What was made of the records of some versions, by what, and what paths they have.

        What another process made before a path was known here lacks its values.
        """
        if text is None or making is None or self.making is None:
            return
        if not paths <= making.paths or not self.making.plan.holds(making.plan):
            return
        try:
            at, *_ = self._written(versions, 0)
            texts = {name: self._written(*told) for name, told in text.items()}
        except OSError:  # no room: then silver reads from bronze
            self.making = None
            self._forget()
            return
        self.pieces.append(_Piece(making.plan, len(versions) // hs.SIZE, at, texts))

    def _written(self, data: bytes, rows: int) -> tuple[int, int, int]:
        at = self.file.tell()
        self.file.write(data)
        return at, len(data), rows

    def _forget(self) -> None:
        self.pieces.clear()
        self.file.seek(0)
        self.file.truncate()

    def texts(self, plan: Plan, entity: Entity, wanted: hs.Hashes) -> Iterator[tuple[hs.Indexes, Text, Plan]]:
        """The text that is good for a plan, piece by piece: places of its versions among those wanted, itself, and the
        plan that it was made for."""
        pieces = [piece for piece in self.pieces if plan.holds(piece.plan)]
        if not pieces or entity != self.entity:
            return
        for piece, places in _placed(pieces, self._versions, wanted):
            if (places >= 0).all():
                text = {name: self._read(*where) for name, where in piece.texts.items()}
                yield places, text, piece.plan

    def _read(self, at: int, length: int, rows: int) -> tuple[bytes, int]:
        self.file.seek(at)
        return self.file.read(length), rows

    def _versions(self, piece: _Piece) -> hs.Hashes:
        return hs.hashes(self._read(piece.versions, piece.records * hs.SIZE, 0)[0])


Read = Callable[[_Piece], hs.Hashes]


def _placed(pieces: list[_Piece], read: Read, wanted: hs.Hashes) -> Iterator[tuple[_Piece, hs.Indexes]]:
    """Of each piece the places of its versions among those wanted, -1 where there is none: mostly in order."""
    at = 0
    for number, piece in enumerate(pieces):
        end = at + piece.records
        if not np.array_equal(read(piece), wanted[at:end]):
            yield from _searched(pieces[number:], read, wanted)
            return
        yield piece, np.arange(at, end)
        if number % LOOKED_AT == 0:
            let_go(wanted)
        at = end


def _searched(pieces: list[_Piece], read: Read, wanted: hs.Hashes) -> Iterator[tuple[_Piece, hs.Indexes]]:
    found = hs.find(np.concatenate([*map(read, pieces)]), wanted)
    ends = np.cumsum([piece.records for piece in pieces])
    yield from zip(pieces, np.split(found, ends[:-1]), strict=True)


@dataclass(eq=False)
class Shelf:
    """What this process has made ahead: of an entity for one batch at most."""

    _kept: dict[EntityRef, Ahead] = field(default_factory=dict)

    @contextmanager
    def filled(self, ahead: Ahead) -> Iterator[Ahead]:
        """It grows in the block, and is kept afterwards; what nobody took of the entity's before goes."""
        with ExitStack() as stack:
            stack.callback(ahead.file.close)
            yield ahead
            if ahead.pieces:
                stack.pop_all()
                before, self._kept[ahead.batch.entity] = self._kept.get(ahead.batch.entity), ahead
                if before is not None:
                    before.file.close()

    @contextmanager
    def taken(self, batch: BatchRef) -> Iterator[Ahead | None]:
        """That of the batch for the block, and never again: who tries once more reads from bronze."""
        kept = self._kept.get(batch.entity)
        if kept is None or kept.batch != batch:
            yield None
            return
        del self._kept[batch.entity]
        try:
            yield kept
        finally:
            kept.file.close()

    def close(self) -> None:
        while self._kept:
            self._kept.popitem()[1].file.close()
