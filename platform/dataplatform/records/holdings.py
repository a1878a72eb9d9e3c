"""What a batch holds: which version of which key, as arrays of hashes. Bronze writes it, silver reads it.

A mask says which paths a record has: bit i of word i // 64 stands for `paths[i]`; masks have the
shape (n, words).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from dataplatform.records.growing import PASSED, let_go, passing
from dataplatform.records.hashes import EMPTY, Hashes, distinct, find, rows, same
from dataplatform.records.refs import BatchRef

DELETED = (
    "\0deleted"  # in place of a path: its bit says that an entry is a deletion; no record's path has a NUL
)


class Ended(dict[str, Any]):
    """What a source said of a key that ended; in the place of a record."""


Flags = npt.NDArray[np.bool_]
Found = list[tuple[bytes, dict[str, Any]]]  # version id and record (or what ended it)
BadVersion = tuple[str, bytes, dict[str, Any]]  # why it cannot be taken, its id, the record


@dataclass(frozen=True)
class Held:
    """What a batch held: parallel arrays in the order of delivery; `held` are keys of bad records.

    An entry is a record or a deletion.
    """

    keys: Hashes = field(default_factory=lambda: EMPTY)
    versions: Hashes = field(default_factory=lambda: EMPTY)
    lines: Hashes = field(default_factory=lambda: EMPTY)
    masks: Hashes = field(default_factory=lambda: np.empty((0, 1), np.uint64))
    held: Hashes = field(default_factory=lambda: EMPTY)

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, which: Any) -> Held:
        """The entries at the indexes (or under the mask)."""
        keys, versions, masks = (rows(found, which) for found in (self.keys, self.versions, self.masks))
        lines = rows(self.lines, which) if len(self.lines) else self.lines  # silver leaves them out
        return Held(keys, versions, lines, masks, self.held)

    def is_unique(self) -> bool:
        return distinct(self.keys)

    def present(self, paths: list[str]) -> set[str]:
        """Paths that at least one record has."""
        if not len(self.masks):
            return set()
        either: Any = np.bitwise_or  # numpy 2.5, which Python 3.12 gets, has no type for this use of `reduce`
        words = either.reduce([either.reduce(some, axis=0) for some in passing(self.masks)], axis=0)
        return {p for i, p in enumerate(paths) if (int(words[i // 64]) >> (i % 64)) & 1} - {DELETED}

    def ended(self, paths: list[str]) -> npt.NDArray[np.bool_]:
        """Which entries are deletions."""
        if DELETED not in paths or not len(self):
            return np.zeros(len(self), bool)
        word, bit = divmod(paths.index(DELETED), 64)
        if word >= self.masks.shape[1]:
            return np.zeros(len(self), bool)
        ended: npt.NDArray[np.bool_] = (self.masks[:, word] >> np.uint64(bit)) & np.uint64(1) != 0
        return ended

    def alive(self, paths: list[str]) -> Held:
        """The records alone."""
        ended = self.ended(paths)
        return self.take(~ended) if ended.any() else self


def apart(new: Held, base: Held, lines: bool = False) -> tuple[Flags, Flags]:
    """Which entries are not the same in a batch that held each key once, and which of its own have no such key here.

    `lines`: they are the same only if they were also written the same.
    """
    at = find(new.keys, base.keys)
    changed, gone = np.ones(len(new), bool), np.ones(len(base), bool)
    for start in range(0, len(new), PASSED):  # in parts: what is made of them on the way stays small
        known = start + np.flatnonzero(at[start : start + PASSED] >= 0)
        pairs = at[known]
        as_before = same(rows(base.versions, pairs), rows(new.versions, known))
        if lines:
            as_before &= same(rows(base.lines, pairs), rows(new.lines, known))
        changed[known[as_before]] = False
        gone[pairs] = False
        let_go(base.versions, base.lines, new.versions, new.lines)
    return changed, gone


@dataclass(frozen=True)
class Manifest:
    """What a batch held of an entity: its head; the entries (`Held`) are read on demand.

    `stored`: entries written for it, those that are gone included; None in manifests of older releases.
    `state`: the connector's, any JSON. `types`: of the columns whose type the source itself says. `counts`: of each
    path how many values of which kind the versions have that this batch brought first; None in older manifests.
    """

    ref: BatchRef
    load: Literal["full", "delta"]
    rule: str
    base: str | None
    depth: int
    chunks: int
    records: int
    entries: int
    new_versions: int
    quarantined: int
    unreadable: int
    unique: bool
    paths: list[str]
    columns: list[str]
    kinds: dict[str, str]
    fingerprint: str
    state: Any = None
    types: dict[str, str] = field(default_factory=dict)
    stored: int | None = None
    counts: dict[str, dict[str, int]] | None = None

    @property
    def id(self) -> str:
        return manifest_id(self.ref)

    @property
    def batch_id(self) -> str:
        return self.ref.batch_id

    def repeats(self, other: Manifest) -> bool:
        """Whether both hold the same entries and no bad record, and nothing has to be read to know it."""
        return self._source == other._source and not self.quarantined and not other.quarantined

    @property
    def _source(self) -> str:
        """Id of the manifest that has the entries: one without any of its own only points at its base."""
        return self.id if self.base is None or self.chunks else self.base

    @property
    def complete(self) -> bool:
        """Whether a key that is missing here was really missing at the source."""
        return self.load == "full" and self.unreadable == 0


def manifest_id(ref: BatchRef) -> str:
    """Id of a batch's manifest in bronze."""
    return f"{ref.source}/{ref.name}/{ref.batch_id}"


@dataclass(frozen=True)
class History:
    """Bronze as silver sees it, of one entity; handed in by the pipeline: the layers do not know one another.

    `heads`: all manifests, `walk`: those of batches with their entries, oldest first; `stored`: the entries of all
    batches, those that a batch has in common with the one it leans on counted once; `documents`: records of some
    versions, in blocks; `encoded`: the same as 16 bytes a version and what `decode` makes their records of, in any
    process; `quarantine` sets versions of a batch aside, `set_aside` names those that are.
    """

    manifest: Callable[[str], Manifest]
    heads: Callable[[], list[Manifest]]
    entries: Callable[[Manifest], Held]
    walk: Callable[[list[str]], Iterator[tuple[Manifest, Held]]]
    stored: Callable[[], int]
    documents: Callable[[Hashes], Iterator[Found]]
    encoded: Callable[[Hashes], Iterator[tuple[bytes, bytes]]]
    decode: Callable[[bytes], Found]
    quarantine: Callable[[str, list[BadVersion]], None]
    set_aside: Callable[[], list[bytes]]


Make = Callable[[Sequence[bytes], Sequence[dict[str, Any]]], Any]  # of records' keys, and the records


class Onlooker(Protocol):
    """Whoever makes something of a first batch's records while bronze has them in hand: silver, by way of the pipeline.

    `knows` is told when more is known of what the records are like, `put` gets what came of some versions' records, by
    which `making`, which may have been carried to another process, and paths that the records have.
    """

    @property
    def making(self) -> Make | None: ...
    def knows(self, so_far: Manifest) -> None: ...
    def put(self, versions: bytes, making: Any, made: Any, paths: Set[str]) -> None: ...
