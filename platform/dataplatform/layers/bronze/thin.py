"""What of an entity's batches says something: the thinned history that retention leaves in place of whole batches.

Of each batch there stay the entries that are another version than the key had before, and the keys that it showed to be
gone. Folded, that is the same history (see docs/adr/0017-retention.md, and timeline in silver).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dataplatform.records import hashes as hs
from dataplatform.records.holdings import Held, Manifest

Flags = npt.NDArray[np.bool_]
Timeless = Callable[[hs.Hashes], hs.Hashes]


@dataclass(frozen=True)
class Needed:
    """Whose history must stay, of batches up to `until` (an id, that one included); of later ones all stays.

    `keys`: sorted. `since`: for each the time of the first batch that counts, microseconds; None: all of them count.
    """

    until: str
    keys: hs.Hashes
    since: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Thinned:
    """What stays of a batch. `entries`: in their order; `gone`: last versions of the keys that a full batch lacked.

    `whole`: it stays as it is, and what it lacks is gone without being named.
    """

    manifest: Manifest
    entries: Held
    gone: hs.Hashes
    whole: bool = False


@dataclass
class Thinner:
    """Walks through the batches, oldest first. `at`: the time of a batch, microseconds.

    `by_row`: records are known by content, so equal ones stay together. `timeless`: of some versions those that have no
    time of their own, in an entity whose records have one: each time they are seen counts; None: they have none.
    """

    at: Callable[[str], int]
    by_row: bool = False
    timeless: Timeless | None = None
    needed: Needed | None = None

    def __post_init__(self) -> None:
        self.keys = self.versions = hs.EMPTY  # sorted by key
        self.there = np.zeros(0, bool)

    def take(self, manifest: Manifest, entries: Held) -> Thinned:
        """What stays of the next batch."""
        old = self.needed is not None and manifest.batch_id <= self.needed.until
        return self._whole(manifest, entries) if self.by_row and not old else self._said(manifest, entries)

    def _said(self, manifest: Manifest, entries: Held) -> Thinned:
        """What the batch says that those before it did not."""
        missing = self._missing(entries) if manifest.complete else hs.EMPTY
        entries = self._counting(manifest, entries)
        changed = self._changed(entries)
        if self.by_row:
            changed |= hs.member(entries.versions, hs.unique(entries.versions[changed]))
        gone = self.versions[hs.find(missing, self.keys)]
        self._note(entries, entries.ended(manifest.paths), missing)
        return Thinned(manifest, entries.take(changed), gone)

    def _whole(self, manifest: Manifest, entries: Held) -> Thinned:
        """All of the batch, unless it is what the one before was: for records that nobody can say the end of."""
        missing = self._missing(entries) if manifest.complete else hs.EMPTY
        changed = self._changed(entries)
        self._note(entries, entries.ended(manifest.paths), missing)
        stays = entries if changed.any() or len(missing) else entries.take(changed)
        return Thinned(manifest, stays, hs.EMPTY, whole=True)

    def _counting(self, manifest: Manifest, entries: Held) -> Held:
        needed = self.needed
        if needed is None or manifest.batch_id > needed.until:
            return entries
        place = hs.find(entries.keys, needed.keys)
        counts = place >= 0
        if needed.since is not None and len(needed.keys):
            counts &= needed.since[place] <= self.at(manifest.batch_id)
        return entries.take(counts)

    def _missing(self, entries: Held) -> hs.Hashes:
        held = hs.member(self.keys, entries.keys) | hs.member(self.keys, entries.held)
        return self.keys[self.there & ~held]

    def _changed(self, entries: Held) -> Flags:
        place = hs.find(entries.keys, self.keys)
        same = place >= 0
        known = place[same]
        same[same] = self.there[known] & hs.same(
            hs.rows(self.versions, known), hs.rows(entries.versions, same)
        )
        same &= hs.single(entries.keys)
        if self.timeless is not None and same.any():
            same &= ~hs.member(entries.versions, hs.unique(self.timeless(entries.versions[same])))
        changed: Flags = ~same
        return changed

    def _note(self, entries: Held, ended: Flags, missing: hs.Hashes) -> None:
        new = hs.unique(entries.keys[hs.find(entries.keys, self.keys) < 0])
        if len(new):
            keys = np.concatenate([self.keys, new])
            by = hs.order(keys)
            grown = np.zeros((len(new), 2), np.uint64)
            self.keys, self.versions = keys[by], np.concatenate([self.versions, grown])[by]
            self.there = np.concatenate([self.there, np.zeros(len(new), bool)])[by]
        place = hs.find(entries.keys, self.keys)  # of several records of a key the last counts
        self.versions[place], self.there[place] = entries.versions, ~ended
        self.there[hs.find(missing, self.keys)] = False


def steady(present: Iterable[frozenset[str]]) -> bool:
    """Whether no batch lacks a path that an older one knew: then no value of before has to be carried on."""
    known: frozenset[str] = frozenset()
    for paths in present:
        if not known <= paths:
            return False
        known = paths
    return True
