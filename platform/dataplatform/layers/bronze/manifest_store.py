"""Manifests as MongoDB keeps them: a head for each batch of an entity, and its entries in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pymongo
from bson.binary import Binary
from mongoengine.queryset import QuerySetNoCache
from pymongo.database import Database

from dataplatform.errors import StorageError
from dataplatform.layers.bronze import manifest as mf
from dataplatform.layers.bronze.documents import ManifestHead, checked, collection_of, within
from dataplatform.records import hashes as hs
from dataplatform.records.growing import let_go
from dataplatform.records.holdings import Held, Manifest, manifest_id
from dataplatform.records.refs import BatchRef, EntityRef

CHUNK = 100_000  # entries in a piece of a manifest: about 6 MB of the 16 MB a document may have


@dataclass(frozen=True)
class Manifests:
    """Those of one database. `scratch`: as in Bronze."""

    db: Database[Any]
    scratch: Path | None = None

    def of(self, ref: BatchRef) -> Manifest | None:
        return self._read(manifest_id(ref))

    def all(self, ref: EntityRef) -> list[Manifest]:
        """All of an entity, oldest batch first."""
        found = self._heads.filter(source=ref.source, entity=ref.name).order_by("batch_id")
        return [ManifestHead.read(head) for head in found]

    def named(self, ref: EntityRef, batches: list[str]) -> list[Manifest]:
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

    def _read(self, id_: str) -> Manifest | None:
        # asked for with every step of a chain: a queryset would cost as much again as the answer
        head = collection_of(self.db, ManifestHead).find_one({"_id": id_})
        return ManifestHead.read(head) if head else None

    @property
    def _heads(self) -> QuerySetNoCache:
        return within(self.db, ManifestHead).as_pymongo()

    def held(self, manifest: Manifest, lines: bool = True) -> Held:
        """All entries of a batch, its bases resolved. `lines`: with them; only the next batch compares them."""
        difference = mf.joined(manifest, self.streamed([manifest], lines), self.scratch)
        if manifest.base is None:
            return difference.entries
        base = self.held(self.base_of(manifest), lines)
        return mf.applied(base, difference, difference.entries.held, self.scratch)

    def base_of(self, manifest: Manifest) -> Manifest:
        """The manifest that this one is written as a difference to."""
        found = self._read(manifest.base) if manifest.base else None
        if found is None:
            raise StorageError(
                f"bronze lacks the manifest {manifest.base}",
                f"rebuild it from raw: dataplatform replay {manifest.ref.source}",
            )
        return found

    def streamed(self, manifests: list[Manifest], lines: bool = True) -> Iterator[dict[str, Any]]:
        """The stored pieces of manifests, in the order of their ids; never all in memory. `lines`: with them."""
        ids = [f"{manifest.id}/{n}" for manifest in manifests for n in range(manifest.chunks)]
        pieces = self.db["batch_manifest_chunk"]
        found = pieces.find({"_id": {"$in": ids}}, None if lines else {"lines": 0})
        return iter(found.sort("_id", pymongo.ASCENDING))

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
            let_go(*arrays.values())
        head = replace(manifest, chunks=-(-count // CHUNK), stored=len(entries) + len(gone))
        self._put(ManifestHead.of(head))
        return head

    def _put(self, head: ManifestHead) -> None:
        # not `save()`: that asks mongoengine's registry for a database, and is two commands
        journaled = pymongo.WriteConcern(w=1, j=True)
        heads = collection_of(self.db, ManifestHead).with_options(write_concern=journaled)
        heads.replace_one({"_id": head.id}, checked(head), upsert=True)


def _binary(array: hs.Hashes) -> Binary:
    return Binary(np.ascontiguousarray(array).tobytes())
