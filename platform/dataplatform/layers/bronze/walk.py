"""Through the manifests of many batches, one after the other: each is read once, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from dataplatform.layers.bronze import manifest as mf
from dataplatform.layers.bronze.documents import ManifestHead, within
from dataplatform.layers.bronze.manifest import Difference
from dataplatform.layers.bronze.store import Bronze
from dataplatform.records.holdings import Held, Manifest
from dataplatform.records.refs import EntityRef

GROUP = 200  # batches asked for at once


def walk(bronze: Bronze, ref: EntityRef, batches: list[str]) -> Iterator[tuple[Manifest, Held]]:
    """Manifest and entries of each batch, oldest first. Raises StorageError where one is missing."""
    near: dict[
        str, Held
    ] = {}  # of the last full batch and of what it leans on: the next leans on one of them
    for start in range(0, len(batches), GROUP):
        for manifest, change in _stored(bronze, bronze.manifests.named(ref, batches[start : start + GROUP])):
            entries = change.entries
            if manifest.base is not None:
                base = near.get(manifest.base)
                base = bronze.manifests.held(bronze.manifests.base_of(manifest)) if base is None else base
                near = {manifest.base: base}
                entries = mf.applied(base, change, entries.held, bronze.scratch)
            if manifest.load == "full":
                near = {manifest.id: entries} if manifest.base is None else {**near, manifest.id: entries}
            yield manifest, entries


def _stored(bronze: Bronze, heads: list[Manifest]) -> Iterator[tuple[Manifest, Difference]]:
    """The ids of pieces begin with their manifest's and come in its order."""
    found = groupby(bronze.manifests.streamed(heads), lambda piece: piece["_id"].rpartition("/")[0])
    for manifest in heads:
        owner, pieces = next(found, ("", iter(()))) if manifest.chunks else (manifest.id, iter(()))
        yield manifest, mf.joined(manifest, pieces if owner == manifest.id else (), bronze.scratch)


def stored(bronze: Bronze, ref: EntityRef) -> int:
    """Entries written for all batches together: what a walk through all of history meets that is new."""
    total = {"$sum": {"$ifNull": ["$stored", "$entries"]}}
    heads = within(bronze.db, ManifestHead).filter(source=ref.source, entity=ref.name)
    return sum(found["stored"] for found in heads.aggregate([{"$group": {"_id": None, "stored": total}}]))
