"""Access to bronze: versions and chunks in bulk through pymongo, heads of manifests as mongoengine's documents."""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from itertools import islice
from operator import itemgetter
from typing import Any

import numpy as np
import pymongo
from bson.binary import Binary
from mongoengine.queryset import QuerySetNoCache
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DocumentTooLarge

from dataplatform.errors import LoadError, StorageError
from dataplatform.layers.bronze import manifest as mf
from dataplatform.layers.bronze.documents import (
    ManifestHead,
    checked,
    collection_of,
    make_indexes,
    within,
)
from dataplatform.layers.bronze.texts import from_bson
from dataplatform.records import hashes as hs
from dataplatform.records.holdings import Ended, Found, Held, Manifest, manifest_id
from dataplatform.records.refs import BatchRef, EntityRef
from dataplatform.storage.mongo import server_errors

CHUNK = 100_000  # entries in a piece of a manifest: about 6 MB of the 16 MB a document may have
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

    def versions(self, ref: EntityRef) -> Collection[Any]:
        return self.db[ref.table]

    # versions

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

    # manifests

    def manifest(self, ref: BatchRef) -> Manifest | None:
        return self._manifest(manifest_id(ref))

    def manifests(self, ref: EntityRef) -> list[Manifest]:
        """All of an entity, oldest batch first."""
        found = self._heads.filter(source=ref.source, entity=ref.name).order_by("batch_id")
        return [ManifestHead.read(head) for head in found]

    def heads(self, ref: EntityRef, batches: list[str]) -> list[Manifest]:
        """Those of the batches, oldest first; raises StorageError where one is not in bronze."""
        ids = [manifest_id(BatchRef(ref, batch_id)) for batch_id in batches]
        heads = [ManifestHead.read(head) for head in self._heads.filter(id__in=ids).order_by("id")]
        lost = set(batches) - {head.batch_id for head in heads}
        if lost:
            raise StorageError(
                f"bronze holds no batch {min(lost)} of {ref}",
                f"rebuild bronze and silver from raw: dataplatform replay {ref.source}",
            )
        return heads

    def base(self, ref: BatchRef, rule: str) -> Manifest | None:
        """The newest older full batch that was read by the same rule."""
        older = self._heads.filter(source=ref.source, entity=ref.name, batch_id__lt=ref.batch_id)
        head = older.filter(load="full", rule=rule).order_by("-batch_id").first()
        return ManifestHead.read(head) if head else None

    def _manifest(self, id_: str) -> Manifest | None:
        # asked for with every step of a chain: a queryset would cost as much again as the answer
        head = collection_of(self.db, ManifestHead).find_one({"_id": id_})
        return ManifestHead.read(head) if head else None

    @property
    def _heads(self) -> QuerySetNoCache:
        return within(self.db, ManifestHead).as_pymongo()

    def held(self, manifest: Manifest) -> Held:
        """All entries of a batch, its bases resolved."""
        difference = mf.joined(manifest, self.streamed([manifest]))
        if manifest.base is None:
            return difference.entries
        return mf.applied(self.held(self.base_of(manifest)), difference, difference.entries.held)

    def base_of(self, manifest: Manifest) -> Manifest:
        """The manifest that this one is written as a difference to."""
        found = self._manifest(manifest.base) if manifest.base else None
        if found is None:
            raise StorageError(
                f"bronze lacks the manifest {manifest.base}",
                f"rebuild it from raw: dataplatform replay {manifest.ref.source}",
            )
        return found

    def streamed(self, manifests: list[Manifest]) -> Iterator[dict[str, Any]]:
        """The stored pieces of manifests, in the order of their ids; never all in memory."""
        ids = [f"{manifest.id}/{n}" for manifest in manifests for n in range(manifest.chunks)]
        return iter(
            self.db["batch_manifest_chunk"].find({"_id": {"$in": ids}}).sort("_id", pymongo.ASCENDING)
        )

    def put(self, manifest: Manifest, entries: Held, gone: hs.Hashes) -> Manifest:
        """Writes the pieces, then the head; the head is what makes the batch exist."""
        words = max(1, -(-len(manifest.paths) // 64))
        masks = mf.widened(entries.masks, words)
        count = max(len(entries), len(gone), len(entries.held))
        pieces = self.db["batch_manifest_chunk"]
        for n, start in enumerate(range(0, count, CHUNK)):
            end = start + CHUNK
            arrays = {
                "keys": entries.keys,
                "versions": entries.versions,
                "lines": entries.lines,
                "masks": masks,
                "gone": gone,
                "held": entries.held,
            }
            piece = {name: _binary(array[start:end]) for name, array in arrays.items()}
            pieces.replace_one({"_id": f"{manifest.id}/{n}"}, piece, upsert=True)
        head = replace(manifest, chunks=-(-count // CHUNK), stored=len(entries) + len(gone))
        self._put(ManifestHead.of(head))
        return head

    def _put(self, head: ManifestHead) -> None:
        # not `save()`: that asks mongoengine's registry for a database, and is two commands
        journaled = pymongo.WriteConcern(w=1, j=True)
        heads = collection_of(self.db, ManifestHead).with_options(write_concern=journaled)
        heads.replace_one({"_id": head.id}, checked(head), upsert=True)

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


def _binary(array: hs.Hashes) -> Binary:
    return Binary(np.ascontiguousarray(array).tobytes())
