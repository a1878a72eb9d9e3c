"""Takes records out of bronze, by their keys: versions, what batches held of them, what waits. `upkeep/` calls this."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from bson.binary import Binary

from dataplatform.layers.bronze.documents import ManifestChunk, Quarantined, collection_of
from dataplatform.layers.bronze.parse import NO_KEY
from dataplatform.layers.bronze.store import Bronze
from dataplatform.records import hashes as hs
from dataplatform.records.refs import EntityRef


@dataclass(frozen=True)
class Dropped:
    """Versions, pieces of manifests and records in quarantine that went, or that lost something."""

    versions: int
    pieces: int
    quarantined: int


def drop(bronze: Bronze, ref: EntityRef, keys: hs.Hashes, versions: hs.Hashes) -> Dropped:
    """Takes keys, and versions, out of all that bronze holds of an entity."""
    chunks = collection_of(bronze.db, ManifestChunk)
    prefix = {"$gte": f"{ref.source}/{ref.name}/", "$lt": f"{ref.source}/{ref.name}0"}  # 0 comes after /
    changed = 0
    for piece in chunks.find({"_id": prefix}):
        fewer = _without(piece, keys, versions)
        if fewer is not None:
            chunks.replace_one({"_id": piece["_id"]}, fewer)
            changed += 1
    waited = collection_of(bronze.db, Quarantined).delete_many(_theirs(ref, keys, versions))
    gone = bronze.versions(ref).delete_many({"_id": {"$in": hs.pieces(versions)}})
    return Dropped(int(gone.deleted_count), changed, int(waited.deleted_count))


def reasons_of(bronze: Bronze, ref: EntityRef, keys: hs.Hashes, versions: hs.Hashes) -> list[str]:
    """Why records of these keys wait, or waited, in quarantine: a reason may quote a value."""
    return sorted(collection_of(bronze.db, Quarantined).distinct("reason", _theirs(ref, keys, versions)))


def _theirs(ref: EntityRef, keys: hs.Hashes, versions: hs.Hashes) -> dict[str, Any]:
    return {
        "source": ref.source,
        "entity": ref.name,
        "$or": [
            {"key": {"$in": [key.hex() for key in hs.pieces(keys)]}},
            {"version": {"$in": [version.hex() for version in hs.pieces(versions)]}},
        ],
    }


def _without(piece: Mapping[str, Any], keys: hs.Hashes, versions: hs.Hashes) -> dict[str, Any] | None:
    """A piece of a manifest without them; None where it has none of them."""
    own, held = hs.hashes(bytes(piece["keys"])), hs.hashes(bytes(piece["versions"]))
    out = hs.member(own, keys) | hs.member(held, versions)
    others = {name: hs.hashes(bytes(piece.get(name) or b"")) for name in ("gone", "held")}
    if not out.any() and not any(hs.member(found, keys).any() for found in others.values()):
        return None
    masks = np.frombuffer(bytes(piece["masks"]), np.uint64).reshape(len(own), -1) if len(own) else None
    lines = hs.hashes(bytes(piece.get("lines") or b""))
    arrays = {
        "keys": own[~out],
        "versions": held[~out],
        "lines": lines[~out] if len(lines) else lines,
        "masks": masks[~out] if masks is not None else hs.EMPTY,
        **{name: found[~hs.member(found, keys)] for name, found in others.items()},
    }
    return {"_id": piece["_id"], **{n: Binary(np.ascontiguousarray(a).tobytes()) for n, a in arrays.items()}}


def versions_of(
    bronze: Bronze, ref: EntityRef, keys: list[bytes], content: Iterable[bytes] = ()
) -> list[bytes]:
    """Ids of the versions of some keys, or of some content; all are looked at, for there is no index of keys."""
    either = {"$or": [{"key": {"$in": keys}}, {"_id": {"$in": list(content)}}]}
    return [bytes(found["_id"]) for found in bronze.versions(ref).find(either, {"_id": 1})]


def equals_of(bronze: Bronze, ref: EntityRef, keys: hs.Hashes) -> tuple[hs.Hashes, hs.Hashes]:
    """Of records without a key: all that equal those, as keys and as versions."""
    pairs = [_pairs(piece) for piece in bronze.manifests.streamed(bronze.manifests.all(ref))]
    own = np.concatenate([hs.EMPTY, *(found for found, _ in pairs)])
    held = np.concatenate([hs.EMPTY, *(found for _, found in pairs)])
    versions = hs.unique(held[hs.member(own, keys)])
    return hs.unique(own[hs.member(held, versions)]), versions


def _pairs(piece: Mapping[str, Any]) -> tuple[hs.Hashes, hs.Hashes]:
    return hs.hashes(bytes(piece["keys"])), hs.hashes(bytes(piece["versions"]))


def all_keys(bronze: Bronze, ref: EntityRef) -> Iterator[bytes]:
    """The key of each version, or its content where it has none."""
    for found in bronze.versions(ref).find({}, {"key": 1}, batch_size=10_000):
        yield bytes(found["_id"] if bytes(found["key"]) == NO_KEY else found["key"])
