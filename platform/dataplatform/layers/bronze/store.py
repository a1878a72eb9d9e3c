"""Access to bronze: the versions, in bulk through pymongo; its manifests are `manifest_store`'s."""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from operator import itemgetter
from typing import Any

import pymongo
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

FETCH = 500  # documents asked for at once
MOST = 0.3  # share of a collection from which reading all of it is cheaper

_DUPLICATE = 11000
SELECTION_MS = 10_000  # how long a server that does not answer is waited for


@dataclass(frozen=True)
class Inserted:
    """What became of some versions: `new` ones, and those that this batch brought before (or an earlier try of it)."""

    new: Set[bytes]
    mine: Set[bytes]


@dataclass(frozen=True)
class Bronze:
    """A connection to bronze's database."""

    db: Database[Any]

    @classmethod
    def connect(cls, url: str) -> Bronze:
        """Connects and makes the indexes; raises SettingsError or ServerError."""
        with server_errors(url):
            client: pymongo.MongoClient[Any] = pymongo.MongoClient(
                url, serverSelectionTimeoutMS=SELECTION_MS, tz_aware=True, uuidRepresentation="standard"
            )
            client.admin.command("ping")
            db = client.get_default_database("dataplatform")
            make_indexes(db)
            return cls(db)

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
        return Manifests(self.db)

    def versions(self, ref: EntityRef) -> Collection[Any]:
        return self.db[ref.table]

    def insert(self, batch: BatchRef, documents: list[dict[str, Any]], first: bool) -> Inserted:
        """Inserts those versions that are not there yet.

        `first`: the collection was empty before this batch, so only its own repeats can be there.
        """
        collection = self.versions(batch.entity)
        known = {} if first else self._known(collection, [d["_id"] for d in documents])
        mine = {version for version, brought in known.items() if brought == batch.batch_id}
        new = {d["_id"]: d for d in documents if d["_id"] not in known}
        if not new:
            return Inserted(set(), mine)
        ordered = sorted(new.values(), key=itemgetter("_id"))  # as the index wants them
        problems = _inserted(collection, ordered)
        refused = [e for e in problems if e["code"] != _DUPLICATE]
        if refused:
            raise LoadError(f"MongoDB refused a document: {refused[0]['errmsg']}")
        return Inserted(new.keys() - {ordered[e["index"]]["_id"] for e in problems}, mine)

    def _known(self, collection: Collection[Any], ids: list[bytes]) -> dict[bytes, str]:
        """Those that are there, each with the batch that brought it first."""
        known: dict[bytes, str] = {}
        for start in range(0, len(ids), FETCH):
            cursor = collection.find({"_id": {"$in": ids[start : start + FETCH]}}, {"_id": 1, "batch": 1})
            known.update((bytes(d["_id"]), d["batch"]) for d in cursor)
        return known

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
        collection = self.versions(ref)
        wanted = hs.unique(versions)
        most = len(wanted) > MOST * max(1, collection.estimated_document_count())
        blocks = _scanned(collection, wanted) if most else _looked_up(collection, wanted)
        number = 0
        for block in blocks:
            number += len(block)
            yield [(d["_id"], _record(d)) for d in block]
        if number < len(wanted):
            raise StorageError(
                f"bronze lacks {len(wanted) - number} versions of {ref}",
                f"rebuild it from raw: dataplatform replay {ref.source}",
            )

    def count(self, ref: EntityRef) -> int:
        """Number of versions (MongoDB's own estimate, exact after a clean shutdown)."""
        return int(self.versions(ref).estimated_document_count())


def _record(document: dict[str, Any]) -> dict[str, Any]:
    record = from_bson(document["doc"]) if document.get("exotic") else document["doc"]
    return Ended(record) if document.get("deleted") else record


def _inserted(collection: Collection[Any], documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
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


def _looked_up(collection: Collection[Any], wanted: hs.Hashes) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(wanted), FETCH):
        yield list(collection.find({"_id": {"$in": hs.pieces(wanted[start : start + FETCH])}}))


def _scanned(collection: Collection[Any], wanted: hs.Hashes) -> Iterator[list[dict[str, Any]]]:
    """Reads everything in its natural order: cheaper than asking for most of it by id."""
    cursor = collection.find({}, batch_size=FETCH)
    ordering = hs.prepared(wanted)
    while block := list(islice(cursor, FETCH)):
        known = hs.find(hs.hashes(d["_id"] for d in block), wanted, ordering) >= 0
        yield block if known.all() else [d for d, hit in zip(block, known.tolist(), strict=True) if hit]
