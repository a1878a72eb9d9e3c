"""Access to bronze: the versions, in bulk through pymongo; its manifests are `manifest_store`'s."""

from __future__ import annotations

import atexit
import contextlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import Any

import bson
import numpy as np
import pymongo
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DocumentTooLarge

from dataplatform.errors import LoadError, StorageError
from dataplatform.layers.bronze.documents import make_indexes
from dataplatform.layers.bronze.manifest_store import Manifests
from dataplatform.layers.bronze.texts import from_bson
from dataplatform.records import hashes as hs
from dataplatform.records.holdings import Ended, Found
from dataplatform.records.refs import BatchRef, EntityRef
from dataplatform.storage.mongo import server_errors

FETCH = 500  # versions asked for at once, by their ids
SCAN = 2_000  # documents in an answer, where all are read
# documents decoded together, and their bytes: what is made of them stays in the processor's cache
PIECE, PIECE_BYTES = 500, 128_000
MOST = 0.3  # share of a collection from which reading all of it is cheaper

_DUPLICATE = 11000
LENGTH = struct.Struct("<i").unpack_from  # how a BSON document begins
_ID = (
    4 + 1 + 4 + 4 + 1
)  # then a type, `_id` and its end, the length of the value, its subtype: there that begins
OPTIONS: CodecOptions[Any] = CodecOptions(tz_aware=True, uuid_representation=UuidRepresentation.STANDARD)
SELECTION_MS = 10_000  # how long a server that does not answer is waited for


@dataclass(frozen=True)
class Inserted:
    """What became of some versions: `new` ones, and those that this batch brought before (or an earlier try of it)."""

    new: Set[bytes]
    mine: Set[bytes]


@dataclass(frozen=True)
class Bronze:
    """A connection to bronze's database. `scratch`: folder for what large batches hold while they are loaded."""

    db: Database[Any]
    url: str = field(default="", repr=False)
    scratch: Path | None = None

    @classmethod
    def connect(cls, url: str, scratch: Path | None = None) -> Bronze:
        """Connects and makes the indexes; raises SettingsError or ServerError."""
        with server_errors(url):
            bronze = cls.opened(url, scratch)
            bronze.db.client.admin.command("ping")
            make_indexes(bronze.db)
            return bronze

    @classmethod
    def opened(cls, url: str, scratch: Path | None = None) -> Bronze:
        """One that is known to be there, from another process of the same work."""
        client: pymongo.MongoClient[Any] = pymongo.MongoClient(
            url, serverSelectionTimeoutMS=SELECTION_MS, tz_aware=True, uuidRepresentation="standard"
        )
        return cls(client.get_default_database("dataplatform"), url, scratch)

    def close(self) -> None:
        """Lets go of the server at once; pymongo's threads, which are daemons, end by themselves."""
        self.db.client.close()
        # at the interpreter's end pymongo would wait for them up to half a second, in every command
        with contextlib.suppress(ImportError, AttributeError):
            from pymongo.synchronous import monitor

            atexit.unregister(monitor._shutdown_resources)

    @cached_property
    def manifests(self) -> Manifests:
        """Which batch held which version of which key."""
        return Manifests(self.db, self.scratch)

    def versions(self, ref: EntityRef) -> Collection[Any]:
        return self.db[ref.table]

    def insert(self, batch: BatchRef, documents: list[dict[str, Any]], first: bool) -> Inserted:
        """Inserts those versions that are not there yet.

        `first`: the collection was empty before this batch, so only its own repeats can be there.
        """
        collection = self.versions(batch.entity)
        known = {} if first else self._known(collection, [d["_id"] for d in documents])
        mine = {version for version, brought in known.items() if brought == batch.batch_id}
        new = {d["_id"]: d for d in documents}
        if known:
            new = {version: d for version, d in new.items() if version not in known}
        if not new:
            return Inserted(set(), mine)
        ordered = sorted(new.values(), key=itemgetter("_id"))  # as the index wants them
        return Inserted(new.keys() - {ordered[place]["_id"] for place in inserted(collection, ordered)}, mine)

    def _known(self, collection: Collection[Any], ids: list[bytes]) -> dict[bytes, str]:
        """Those that are there, each with the batch that brought it first."""
        known: dict[bytes, str] = {}
        for start in range(0, len(ids), FETCH):
            cursor = collection.find({"_id": {"$in": ids[start : start + FETCH]}}, {"_id": 1, "batch": 1})
            known.update((bytes(d["_id"]), d["batch"]) for d in cursor)
        return known

    def lacking(self, ref: EntityRef, versions: hs.Hashes) -> int:
        """How many of some distinct versions are not there."""
        ids, found = hs.pieces(versions), 0
        for start in range(0, len(ids), 10_000):
            found += self.versions(ref).count_documents({"_id": {"$in": ids[start : start + 10_000]}})
        return len(ids) - found

    def keys_of(self, ref: EntityRef, versions: list[bytes]) -> dict[bytes, bytes]:
        """The key of each version."""
        found = self.versions(ref).find({"_id": {"$in": versions}}, {"key": 1})
        return {bytes(d["_id"]): bytes(d["key"]) for d in found}

    def claim(self, batch: BatchRef, versions: list[bytes], kept: list[str]) -> None:
        """Versions that a batch beyond the `kept` ones brought first count as this one's from now on."""
        others = {"_id": {"$in": versions}, "batch": {"$nin": kept}}
        self.versions(batch.entity).update_many(others, {"$set": {"batch": batch.batch_id}})

    def documents(self, ref: EntityRef, versions: hs.Hashes) -> Iterator[Found]:
        """Version id and record of each distinct version wanted, in blocks, in any order."""
        for _, data in self.encoded(ref, versions):
            yield records_of(data)

    def encoded(self, ref: EntityRef, versions: hs.Hashes) -> Iterator[tuple[bytes, bytes]]:
        """The same, as 16 bytes a version and BSON, in small pieces; `records_of` decodes these."""
        collection = self.versions(ref)
        wanted = hs.unique(versions)
        most = len(wanted) > MOST * max(1, collection.estimated_document_count())
        number = 0
        for ids, data in _scanned(collection, wanted) if most else _looked_up(collection, wanted):
            number += len(ids) // hs.SIZE
            yield ids, data
        if number < len(wanted):
            raise StorageError(
                f"bronze lacks {len(wanted) - number} versions of {ref}",
                f"rebuild it from raw: dataplatform replay {ref.source}",
            )

    def empty(self, ref: EntityRef) -> bool:
        """Whether there is no version at all. `count` says none after MongoDB was killed, whatever is there."""
        return self.versions(ref).find_one({}, {"_id": 1}) is None

    def count(self, ref: EntityRef) -> int:
        """Number of versions (MongoDB's own estimate, exact after a clean shutdown)."""
        return int(self.versions(ref).estimated_document_count())


_PLAIN = ("_id", "key", "batch", "doc")  # fields of a version that is a record, as it came


def _record(document: dict[str, Any]) -> dict[str, Any]:
    record = from_bson(document["doc"]) if document.get("exotic") else document["doc"]
    return Ended(record) if document.get("deleted") else record


def inserted(collection: Collection[Any], documents: Sequence[Mapping[str, Any]]) -> list[int]:
    """Inserts them; gives back the places of those whose ids were there. Raises LoadError where one is refused."""
    problems = _inserted(collection, documents)
    refused = [e for e in problems if e["code"] != _DUPLICATE]
    if refused:
        raise LoadError(f"MongoDB refused a document: {refused[0]['errmsg']}")
    return [e["index"] for e in problems]


def _inserted(collection: Collection[Any], documents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Inserts in one command; returns the write errors. insert_many costs half as much again."""
    try:
        reply = collection.database.command("insert", collection.name, documents=documents, ordered=False)
        return list(reply.get("writeErrors", ()))
    except DocumentTooLarge:
        pass  # together over 16 MB: insert_many splits them
    try:
        collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        return list(error.details["writeErrors"])
    return []


def _looked_up(collection: Collection[Any], wanted: hs.Hashes) -> Iterator[tuple[bytes, bytes]]:
    for start in range(0, len(wanted), FETCH):
        ids = hs.pieces(wanted[start : start + FETCH])
        for piece in _pieces(collection.find_raw_batches({"_id": {"$in": ids}})):
            yield piece.ids(), piece.data


def _scanned(collection: Collection[Any], wanted: hs.Hashes) -> Iterator[tuple[bytes, bytes]]:
    """Reads everything in its natural order: cheaper than asking for most of it by id."""
    ordering = hs.prepared(wanted)
    for piece in _pieces(collection.find_raw_batches({}, batch_size=SCAN)):
        ids = piece.ids()
        known = hs.find(hs.hashes(ids), wanted, ordering) >= 0
        if known.all():
            yield ids, piece.data
        elif known.any():
            part = piece.only(np.flatnonzero(known).tolist())
            yield part.ids(), part.data


@dataclass(frozen=True)
class _Answered:
    """Documents of an answer as BSON, one after the other, and where each begins."""

    data: bytes
    starts: list[int]

    def ids(self) -> bytes:
        """Of each its `_id`: it comes first, as MongoDB keeps it, and is binary of 16 bytes."""
        return b"".join([self.data[at + _ID : at + _ID + hs.SIZE] for at in self.starts])

    def only(self, places: list[int]) -> _Answered:
        ends = [*self.starts[1:], len(self.data)]
        cut = [self.data[self.starts[place] : ends[place]] for place in places]
        return _Answered(b"".join(cut), list(accumulate(map(len, cut[:-1]), initial=0)))


def _pieces(batches: Iterable[bytes]) -> Iterator[_Answered]:
    """The documents of answers, in small pieces."""
    for data in batches:
        starts: list[int] = []
        begin = at = 0
        while at < len(data):
            starts.append(at - begin)
            at += LENGTH(data, at)[0]
            if len(starts) == PIECE or at - begin >= PIECE_BYTES or at >= len(data):
                yield _Answered(data[begin:at], starts)
                begin, starts = at, []


def records_of(data: bytes) -> Found:
    """Version id and record of each document of a piece."""
    block = bson.decode_all(data, OPTIONS)
    plain = all(map(_PLAIN.__eq__, map(tuple, block)))
    return [(d["_id"], d["doc"] if plain else _record(d)) for d in block]
