"""Upkeep of bronze: what a replay or a retry forgets, and what waits in quarantine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np

from dataplatform.layers.bronze.documents import (
    ManifestChunk,
    ManifestHead,
    Quarantined,
    collection_of,
    within,
)
from dataplatform.layers.bronze.store import Bronze
from dataplatform.layers.bronze.walk import walk
from dataplatform.records import hashes as hs
from dataplatform.records.holdings import Manifest, manifest_id
from dataplatform.records.quarantined import QuarantinedRecord
from dataplatform.records.refs import BatchRef, EntityRef


def forget(bronze: Bronze, ref: EntityRef) -> None:
    """Drops everything bronze knows of an entity (a replay writes it again from raw)."""
    bronze.versions(ref).drop()
    prefix = f"{ref.source}/{ref.name}/"
    for kind in (ManifestHead, ManifestChunk):
        within(bronze.db, kind).filter(id__startswith=prefix).delete()
    within(bronze.db, Quarantined).filter(source=ref.source, entity=ref.name).delete()


def forget_batches(bronze: Bronze, ref: EntityRef, since: str) -> None:
    """Drops the manifests of batches from `since` on; versions stay, they are known by content."""
    heads = within(bronze.db, ManifestHead).filter(source=ref.source, entity=ref.name)
    heads.filter(batch_id__gte=since).delete()


def leaning_on(bronze: Bronze, ref: EntityRef, batches: set[str]) -> list[str]:
    """The batches and all whose manifests are written as a difference to theirs, oldest first."""
    ids = {manifest_id(BatchRef(ref, b)) for b in batches}
    found = set(batches)
    for manifest in bronze.manifests.all(ref):
        if manifest.base in ids:
            ids.add(manifest.id)
            found.add(manifest.batch_id)
    return sorted(found)


def collect(bronze: Bronze, ref: EntityRef) -> list[bytes]:
    """Deletes versions that no batch holds any more, and pieces of manifests that are gone; returns the versions."""
    manifests, held = bronze.manifests.all(ref), hs.EMPTY
    for _, entries in walk(bronze, ref, [manifest.batch_id for manifest in manifests]):
        new = entries.versions[~hs.member(entries.versions, held)]
        held = hs.unique(np.concatenate([held, new])) if len(new) else held
    gone = _others(bronze, ref, held)
    for start in range(0, len(gone), 10_000):
        bronze.versions(ref).delete_many({"_id": {"$in": gone[start : start + 10_000]}})
    there = {f"{manifest.id}/{n}" for manifest in manifests for n in range(manifest.chunks)}
    chunks = collection_of(bronze.db, ManifestChunk)
    prefix = {"$gte": f"{ref.source}/{ref.name}/", "$lt": f"{ref.source}/{ref.name}0"}  # 0 comes after /
    lost = [found["_id"] for found in chunks.find({"_id": prefix}, {"_id": 1}) if found["_id"] not in there]
    chunks.delete_many({"_id": {"$in": lost}})
    return gone


def forget_manifests(bronze: Bronze, ref: EntityRef, batches: Iterable[str]) -> None:
    """Drops the heads; what the batches have in quarantine stays."""
    mine = within(bronze.db, ManifestHead).filter(source=ref.source, entity=ref.name)
    mine.filter(batch_id__in=list(batches)).delete()


def clear_quarantine(
    bronze: Bronze, ref: EntityRef, batches: Iterable[str], versions: Iterable[bytes]
) -> None:
    """What could not be read of the batches, and versions that silver could not take: for these are no more."""
    mine = within(bronze.db, Quarantined).filter(source=ref.source, entity=ref.name)
    mine.filter(layer="bronze", batch_id__in=list(batches)).delete()
    mine.filter(layer="silver", version__in=[version.hex() for version in versions]).delete()


def statuses(bronze: Bronze, ref: EntityRef) -> dict[str, str]:
    """What became of the records in quarantine that wait no more."""
    mine = {"source": ref.source, "entity": ref.name, "status": {"$ne": "open"}}
    return {found["_id"]: found["status"] for found in collection_of(bronze.db, Quarantined).find(mine)}


def restore_statuses(bronze: Bronze, known: Mapping[str, str]) -> None:
    """After their batches were read again."""
    for status in set(known.values()):
        ids = [id_ for id_, was in known.items() if was == status]
        collection_of(bronze.db, Quarantined).update_many({"_id": {"$in": ids}}, {"$set": {"status": status}})


def _others(bronze: Bronze, ref: EntityRef, held: hs.Hashes) -> list[bytes]:
    ordering, gone = hs.prepared(held), []
    cursor = bronze.versions(ref).find({}, {"_id": 1}, batch_size=10_000)
    while block := [bytes(found["_id"]) for found in islice(cursor, 10_000)]:
        missing = hs.find(hs.hashes(block), held, ordering) < 0
        gone += [version for version, out in zip(block, missing.tolist(), strict=True) if out]
    return gone


def forget_batch(bronze: Bronze, ref: BatchRef) -> None:
    """Drops one batch's manifest and what it put into quarantine."""
    for kind in (ManifestHead, Quarantined):
        found = within(bronze.db, kind).filter(source=ref.source, entity=ref.name, batch_id=ref.batch_id)
        found.delete()


def quarantined(
    bronze: Bronze,
    source: str | None = None,
    entity: str | None = None,
    status: str | None = "open",
    limit: int = 0,
) -> list[QuarantinedRecord]:
    """What is in quarantine, newest first; `limit`: so many at most, 0: all."""
    wanted = {"source": source, "entity": entity, "status": status}
    query = {name: value for name, value in wanted.items() if value is not None}
    found = within(bronze.db, Quarantined).filter(**query).order_by("-created_at").limit(limit)
    return [item.as_record() for item in found]


def unread(bronze: Bronze, batch: BatchRef) -> list[QuarantinedRecord]:
    """What waits of a batch because it could not be read."""
    mine = within(bronze.db, Quarantined).filter(
        source=batch.source, entity=batch.name, batch_id=batch.batch_id
    )
    return [item.as_record() for item in mine.filter(layer="bronze", status="open").order_by("id")]


def quarantined_as(bronze: Bronze, id_: str) -> QuarantinedRecord | None:
    """The one with that id, whatever its status."""
    found = within(bronze.db, Quarantined).filter(id=id_).first()
    return found.as_record() if found else None


def versions_aside(bronze: Bronze, ref: EntityRef) -> list[bytes]:
    """Ids of the versions that bronze holds and silver could not take; every load asks, so nothing else is read."""
    found = within(bronze.db, Quarantined).filter(source=ref.source, entity=ref.name, status="open")
    ids = found.filter(version__nin=("", None)).only("version").as_pymongo()
    return [bytes.fromhex(item["version"]) for item in ids]


@dataclass(frozen=True)
class Waiting:
    """What a record in quarantine is about. `key` and `version` in hex, empty where they are not known."""

    id: str
    batch_id: str
    layer: str
    key: str
    version: str


def waiting_of(bronze: Bronze, ref: EntityRef) -> list[Waiting]:
    """What waits of an entity."""
    found = within(bronze.db, Quarantined).filter(source=ref.source, entity=ref.name, status="open")
    names = ("batch_id", "layer", "key", "version")
    return [
        Waiting(item["_id"], *(item.get(name) or "" for name in names))
        for item in found.only(*names).as_pymongo()
    ]


def settled_by(bronze: Bronze, batch: BatchRef, waiting: list[Waiting], how: Mapping[str, Any]) -> list[str]:
    """What waits no more after silver took a batch, of what others set aside.

    That is: a record whose key has arrived since; what a full batch said again (what is still bad waits anew, as the
    batch's own); what silver took now; and where it looked at everything again, all that it had refused. `how`: the
    detail of that load.
    """
    manifest = bronze.manifests.named(batch.entity, [batch.batch_id])[0]
    others = [one for one in waiting if one.batch_id != batch.batch_id]
    older = [one for one in others if one.batch_id < batch.batch_id]
    accepted = frozenset(how.get("accepted", ()))
    settled = _arrived(bronze, manifest, older, {one.version for one in waiting} - accepted)
    settled += [one for one in others if one.version in accepted]
    if manifest.load == "full" and not _is_repeat(bronze, manifest):
        settled += [one for one in older if one.layer == "bronze"]
    if how.get("everything"):
        settled += [one for one in others if one.layer == "silver"]
    return sorted({one.id for one in settled})


def _arrived(bronze: Bronze, manifest: Manifest, older: list[Waiting], bad: set[str]) -> list[Waiting]:
    """Those whose key the batch has a good record of. `bad`: versions that silver cannot take, in hex."""
    records = bronze.manifests.held(manifest).alive(manifest.paths)
    refused = hs.unique(hs.hashes(bytes.fromhex(version) for version in bad if version))
    good = hs.unique(records.keys[~hs.member(records.versions, refused)])
    keyed = [one for one in older if one.key]
    there = hs.member(hs.hashes(bytes.fromhex(one.key) for one in keyed), good)
    return [one for one, arrived in zip(keyed, there.tolist(), strict=True) if arrived]


def _is_repeat(bronze: Bronze, manifest: Manifest) -> bool:
    """Whether nothing was read for the batch: it points at one with the same content."""
    if not manifest.fingerprint or manifest.base is None:
        return False
    return bronze.manifests.base_of(manifest).fingerprint == manifest.fingerprint


def settle(bronze: Bronze, ids: Iterable[str], status: Literal["resolved", "dismissed"] = "resolved") -> int:
    """Closes what waits no more; what is closed stays to be looked at. Returns how many were open."""
    wanted = {"_id": {"$in": list(ids)}, "status": "open"}
    done = collection_of(bronze.db, Quarantined).update_many(wanted, {"$set": {"status": status}})
    return int(done.modified_count)


def waiting(bronze: Bronze, source: str = "") -> dict[EntityRef, int]:
    """How many records of each entity (of one source) are in quarantine."""
    each = {"$group": {"_id": {"source": "$source", "entity": "$entity"}, "number": {"$sum": 1}}}
    mine = {"source": source} if source else {}
    found = within(bronze.db, Quarantined).filter(status="open", **mine).aggregate([each])
    return {EntityRef(d["_id"]["source"], d["_id"]["entity"]): int(d["number"]) for d in found}


@dataclass(frozen=True)
class Holding:
    """How much bronze holds of an entity; `quarantined` whatever its status."""

    versions: int
    batches: int
    quarantined: int


def holding(bronze: Bronze, ref: EntityRef) -> Holding:
    """Counted, not estimated: `purge` shows it before it removes them."""
    mine = {"source": ref.source, "entity": ref.name}
    return Holding(
        int(bronze.versions(ref).count_documents({})),
        int(within(bronze.db, ManifestHead).filter(**mine).count()),
        int(within(bronze.db, Quarantined).filter(**mine).count()),
    )


def entities_in(bronze: Bronze, source: str) -> set[str]:
    """Names of all entities of a source that bronze has a batch or a quarantined record of."""
    return {
        str(name)
        for kind in (ManifestHead, Quarantined)
        for name in within(bronze.db, kind).filter(source=source).distinct("entity")
    }
