"""Versions of a first load on their way into bronze: gathered, and written in the order of their ids.

MongoDB finds the place of every id in its index, and content ids are random. Beyond some hundred thousand documents
each of them falls on memory that no processor cache holds, later on pages that have to be read and written again:
with eight million documents that is two thirds of what MongoDB does. Some ten thousand in the order of their ids touch
each page once for all that belongs there.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import bson
import numpy as np
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection

from dataplatform.layers.bronze.store import LENGTH, OPTIONS, inserted
from dataplatform.records import hashes as hs

RUN = 24_000_000  # bytes of BSON that are put in order together; as many again may be on their way
COMMAND, COMMAND_BYTES = 1_000, 1_000_000  # documents of one command, and their bytes
ENCODED = 500  # documents encoded together

_BEGIN = 4 + 1 + 1 + 4  # of a document with one field without a name: there its list's first element is


@dataclass
class Run:
    """Documents as BSON, in pieces; of each its id, its piece, where it begins and ends there."""

    pieces: list[bytes] = field(default_factory=list)
    ids: bytearray = field(default_factory=bytearray)
    places: array[int] = field(default_factory=lambda: array("q"))
    size: int = 0

    def add(self, documents: Sequence[Mapping[str, Any]]) -> None:
        data = bson.encode({"": documents}, codec_options=OPTIONS)
        number, at = len(self.pieces), _BEGIN
        for i, document in enumerate(documents):
            at += 2 + len(str(i))  # the element's type, its number as text and that one's end
            end = at + LENGTH(data, at)[0]
            self.places.extend((number, at, end))
            self.ids += document["_id"]
            at = end
        self.pieces.append(data)
        self.size += len(data)

    def commands(self) -> Iterator[list[bytes]]:
        """All of them in the order of their ids, as many at once as a command takes."""
        order = hs.order(hs.hashes(bytes(self.ids)).byteswap())  # as bytes are compared
        places = np.frombuffer(self.places, np.int64).reshape(-1, 3)[order]
        ends = np.cumsum(places[:, 2] - places[:, 1])
        at, before = 0, 0
        while at < len(places):
            fits = int(np.searchsorted(ends, before + COMMAND_BYTES, "right"))
            to = max(at + 1, min(at + COMMAND, fits))
            yield [self.pieces[piece][begin:end] for piece, begin, end in places[at:to].tolist()]
            at, before = to, int(ends[to - 1])


class Gathered:
    """Takes documents in pieces and writes them by the run.

    `beside`: in a thread, so that the next run is gathered while one is written.
    """

    def __init__(self, collection: Collection[Any], beside: bool) -> None:
        self._collection = collection
        self._run = Run()
        self._thread = ThreadPoolExecutor(1, "bronze") if beside else None
        self._writing: Future[list[bytes]] | None = None

    def add(self, documents: Sequence[Mapping[str, Any]]) -> list[bytes]:
        """A piece, in which the same version counts once; gives back what was there, of all that was added so far.

        A version that came before is found when its run is written. As BSON.
        """
        distinct = [*{d["_id"]: d for d in documents}.values()]
        repeated: list[bytes] = []
        for start in range(0, len(distinct), ENCODED):
            self._run.add(distinct[start : start + ENCODED])
            if self._run.size >= RUN:
                repeated += self._start()
        return repeated

    def rest(self) -> list[bytes]:
        """Everything is in; the same of all that was still on its way."""
        return (self._start() if self._run.size else []) + self._written()

    def _start(self) -> list[bytes]:
        run, self._run = self._run, Run()
        if self._thread is None:
            return _write(self._collection, run)
        repeated = self._written()
        self._writing = self._thread.submit(_write, self._collection, run)
        return repeated

    def _written(self) -> list[bytes]:
        writing, self._writing = self._writing, None
        return writing.result() if writing else []

    def close(self) -> None:
        """Nothing is written any more; without `rest` before, some is not."""
        if self._thread is not None:
            self._thread.shutdown(wait=True)


def _write(collection: Collection[Any], run: Run) -> list[bytes]:
    """Those that were there already."""
    repeated = []
    for block in run.commands():
        repeated += [block[place] for place in inserted(collection, [*map(RawBSONDocument, block)])]
    return repeated
