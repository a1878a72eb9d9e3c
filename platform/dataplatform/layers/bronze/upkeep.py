"""Upkeep of bronze: what a replay or a retry forgets, and what waits in quarantine."""

from __future__ import annotations

from dataclasses import dataclass

from dataplatform.layers.bronze.documents import ManifestChunk, ManifestHead, Quarantined, within
from dataplatform.layers.bronze.store import Bronze
from dataplatform.records.holdings import manifest_id
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
    for manifest in bronze.manifests(ref):
        if manifest.base in ids:
            ids.add(manifest.id)
            found.add(manifest.batch_id)
    return sorted(found)


def forget_batch(bronze: Bronze, ref: BatchRef) -> None:
    """Drops one batch's manifest and what it put into quarantine."""
    for kind in (ManifestHead, Quarantined):
        found = within(bronze.db, kind).filter(source=ref.source, entity=ref.name, batch_id=ref.batch_id)
        found.delete()


def quarantined(
    bronze: Bronze, source: str | None = None, entity: str | None = None, status: str | None = "open"
) -> list[QuarantinedRecord]:
    """What is in quarantine, newest first."""
    wanted = {"source": source, "entity": entity, "status": status}
    query = {name: value for name, value in wanted.items() if value is not None}
    found = within(bronze.db, Quarantined).filter(**query).order_by("-created_at")
    return [item.as_record() for item in found]


def quarantined_as(bronze: Bronze, id_: str) -> QuarantinedRecord | None:
    """The one with that id, whatever its status."""
    found = within(bronze.db, Quarantined).filter(id=id_).first()
    return found.as_record() if found else None


def versions_aside(bronze: Bronze, ref: EntityRef) -> list[bytes]:
    """Ids of the versions that bronze holds and silver could not take; every load asks, so nothing else is read."""
    found = within(bronze.db, Quarantined).filter(source=ref.source, entity=ref.name, status="open")
    ids = found.filter(version__nin=("", None)).only("version").as_pymongo()
    return [bytes.fromhex(item["version"]) for item in ids]


def waiting(bronze: Bronze) -> dict[EntityRef, int]:
    """How many records of each entity are in quarantine."""
    each = {"$group": {"_id": {"source": "$source", "entity": "$entity"}, "number": {"$sum": 1}}}
    found = within(bronze.db, Quarantined).filter(status="open").aggregate([each])
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
