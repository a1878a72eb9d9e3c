"""Runs: which versions of some keys the batches held, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dataplatform.records import hashes as hs


@dataclass(frozen=True)
class Run:
    """One version of a key, held by every batch from number `first` to number `last`; None: it was missing."""

    first: int
    last: int
    version: bytes | None


class Traced:
    """Batch by batch, the runs of versions of some keys. Python touches only what changes, numpy the rest."""

    def __init__(self, keys: hs.Hashes) -> None:
        size = len(keys)
        self.keys = keys
        self.ordering = hs.prepared(keys)
        self.number = -1
        self.ended: dict[int, list[Run]] = {}  # by place; most keys have one run, that goes on
        self.first = np.full(size, -1)  # of the run that goes on; -1: none does
        self.last = np.full(size, -1)
        self.version = np.zeros((size, 2), np.uint64)
        self.there = np.zeros(size, bool)  # seen, and not missing since

    def add(self, entries: Any, complete: bool, goes_on: bool) -> None:
        """`goes_on`: a version that the batch before held too is the same observation (each key is in once)."""
        self.number += 1
        at = hs.find(entries.keys, self.keys, self.ordering)
        mine = np.flatnonzero(at >= 0)
        places, versions = at[mine], entries.versions[mine]
        if goes_on:
            same = (self.last[places] == self.number - 1) & hs.same(hs.rows(self.version, places), versions)
            self.last[places[same]] = self.number
            places, versions = places[~same], versions[~same]
        self._begin(places, versions)
        if complete:
            absent = self.there & ~hs.member(self.keys, entries.keys) & ~hs.member(self.keys, entries.held)
            self._end(np.flatnonzero(absent))

    def _begin(self, places: Any, versions: Any) -> None:
        repeated = len(np.unique(places)) < len(places)
        self._close(places)
        self.there[places] = True
        if repeated:  # several records of a key in one batch: each is an observation
            for place, version in zip(places.tolist(), hs.pieces(versions), strict=True):
                self._note(place, Run(self.number, self.number, version))
            return
        self.first[places] = self.last[places] = self.number
        self.version[places] = versions

    def _end(self, places: Any) -> None:
        self._close(places)
        self.there[places] = False
        for place in places.tolist():
            self._note(place, Run(self.number, self.number, None))

    def _close(self, places: Any) -> None:
        open_ = np.unique(places[self.first[places] >= 0])
        found = (self.first[open_].tolist(), self.last[open_].tolist(), hs.pieces(self.version[open_]))
        for place, first, last, version in zip(open_.tolist(), *found, strict=True):
            self._note(place, Run(first, last, version))
        self.first[open_] = self.last[open_] = -1

    def _note(self, place: int, run: Run) -> None:
        self.ended.setdefault(place, []).append(run)

    def runs(self, start: int, stop: int) -> list[list[Run]]:
        """Of the keys from `start` to `stop`, once all batches have been added; they are forgotten here."""
        self._close(np.arange(start, stop))
        return [self.ended.pop(place, []) for place in range(start, stop)]
