"""MongoDB in a backup: every collection in pages of BSON, as `mongodump` writes it, with its indexes; and back again.

A restore fills collections beside the live ones; the two then change names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import bson
import xxhash
from bson import json_util
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.database import Database

from dataplatform.storage.mongo import server_errors
from dataplatform.upkeep.backup.archive import Manifest, Member, Tally, member, parts

PREFIX = "mongo/"
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
PAGE = 1_000
STAGING, BEFORE = "__restoring.", "__before."
INDEXES = "indexes.json"


def dumped(db: Database[Any], manifest: Manifest) -> Iterator[Member]:
    """Every collection; what was in it is noted in the manifest."""
    with server_errors():
        for name in live(db):
            place = f"{PREFIX}{quote(name, safe='')}"
            about = list(db[name].list_indexes())
            yield member(f"{place}/{INDEXES}", json_util.dumps(about).encode())
            tally = _Counted()
            yield from parts(f"{place}/documents.bson", tally.of(_documents(db[name])))
            manifest.collections[name] = tally.done()


def live(db: Database[Any]) -> list[str]:
    names = db.list_collection_names(filter={"type": "collection"})
    return sorted(n for n in names if not n.startswith(("system.", STAGING, BEFORE)))


def _documents(collection: Collection[Any]) -> Iterator[bytes]:
    """In the order of their ids: none twice, whoever writes meanwhile."""
    raw: Collection[RawBSONDocument] = collection.with_options(codec_options=RAW)
    with raw.find(sort=[("_id", 1)], batch_size=PAGE) as cursor:
        for document in cursor:
            yield bytes(document.raw)


class _Counted:
    """Number and digest of the documents that go through."""

    def __init__(self) -> None:
        self.number = self.sum = 0

    def of(self, documents: Iterable[bytes]) -> Iterator[bytes]:
        for document in documents:
            self.number += 1
            self.sum += xxhash.xxh3_64_intdigest(document)
            yield document

    def done(self) -> Tally:
        return Tally(self.number, f"{self.sum % (1 << 64):016x}")


@dataclass(frozen=True)
class MongoPart:
    """The live collections of a database, and those beside them. Every verb may be repeated, after a kill, too."""

    db: Database[Any]

    def stage(self, name: str, one: Member) -> None:
        """A member of the archive: the indexes of a collection, or some of its documents."""
        with server_errors():
            collection = self.db[f"{STAGING}{name}"]
            data = b"".join(one.chunks)
            if one.name.endswith(INDEXES):
                _make(collection, json_util.loads(data))
            elif data:
                documents = bson.decode_all(data, RAW)
                for start in range(0, len(documents), PAGE):
                    page = documents[start : start + PAGE]
                    collection.with_options(codec_options=RAW).insert_many(page, ordered=False)

    def staged(self) -> dict[str, Tally]:
        """Of every collection beside, as MongoDB now gives it."""
        found = {}
        with server_errors():
            for name in self._names(STAGING):
                counted = _Counted()
                for _ in counted.of(_documents(self.db[name])):
                    pass
                found[name.removeprefix(STAGING)] = counted.done()
        return found

    def is_empty(self) -> bool:
        with server_errors():
            return not any(self.db[name].find_one(projection={"_id": 1}) for name in live(self.db))

    def move_out(self) -> None:
        """The live collections are `before` from now on; one that is made anew meanwhile is none of worth."""
        with server_errors():
            out = set(self._names(BEFORE))
            for name in live(self.db):
                if f"{BEFORE}{name}" in out:
                    self.db.drop_collection(name)
                else:
                    self.db[name].rename(f"{BEFORE}{name}")

    def move_in(self) -> None:
        """What was staged is live from now on."""
        self._rename(STAGING)

    def discard(self) -> None:
        """What is live is gone; for an undo, when all that was live before is out."""
        with server_errors():
            for name in live(self.db):
                self.db.drop_collection(name)

    def move_back(self) -> None:
        """What was live before is live again."""
        self._rename(BEFORE)

    def clean(self) -> None:
        """What was staged, and what was live before, is gone."""
        with server_errors():
            for name in (*self._names(STAGING), *self._names(BEFORE)):
                self.db.drop_collection(name)

    def _rename(self, prefix: str) -> None:
        with server_errors():
            for name in self._names(prefix):
                self.db[name].rename(name.removeprefix(prefix), dropTarget=True)

    def _names(self, prefix: str) -> list[str]:
        return sorted(n for n in self.db.list_collection_names() if n.startswith(prefix))


def collection_of(one: Member) -> str:
    """Name of the collection that a member of the archive belongs to."""
    return unquote(one.name.removeprefix(PREFIX).split("/")[0])


def _make(collection: Collection[Any], indexes: list[dict[str, Any]]) -> None:
    collection.database.create_collection(collection.name)
    wanted = [{k: v for k, v in index.items() if k not in ("v", "ns")} for index in indexes]
    wanted = [index for index in wanted if index["name"] != "_id_"]
    if wanted:
        collection.database.command("createIndexes", collection.name, indexes=wanted)
