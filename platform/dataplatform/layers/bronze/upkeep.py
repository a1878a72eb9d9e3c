"""Upkeep of bronze: what a replay or a retry forgets, and what waits in quarantine."""

from __future__ import annotations

from typing import Any

import pymongo

from dataplatform.layers.bronze.store import Bronze
from dataplatform.records.holdings import manifest_id
from dataplatform.records.refs import BatchRef, EntityRef


def forget(bronze: Bronze, ref: EntityRef) -> None:
    """Drops everything bronze knows of an entity (a replay writes it again from raw)."""
    bronze.versions(ref).drop()
    prefix = {"$regex": f"^{ref.source}/{ref.name}/"}
    bronze.db["batch_manifest"].delete_many({"_id": prefix})
    bronze.db["batch_manifest_chunk"].delete_many({"_id": prefix})
    bronze.db["quarantine"].delete_many({"source": ref.source, "entity": ref.name})


def forget_batches(bronze: Bronze, ref: EntityRef, since: str) -> None:
    """Drops the manifests of batches from `since` on; versions stay, they are known by content."""
    query = {"source": ref.source, "entity": ref.name, "batch_id": {"$gte": since}}
    bronze.db["batch_manifest"].delete_many(query)


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
    query = {"source": ref.source, "entity": ref.name, "batch_id": ref.batch_id}
    bronze.db["batch_manifest"].delete_one(query)
    bronze.db["quarantine"].delete_many(query)


def quarantined(
    bronze: Bronze, source: str | None = None, entity: str | None = None, status: str | None = "open"
) -> list[dict[str, Any]]:
    """What is in quarantine, newest first."""
    wanted = {"source": source, "entity": entity, "status": status}
    query = {name: value for name, value in wanted.items() if value is not None}
    return list(bronze.db["quarantine"].find(query).sort("created_at", pymongo.DESCENDING))


def waiting(bronze: Bronze) -> dict[EntityRef, int]:
    """How many records of each entity are in quarantine."""
    steps: list[dict[str, Any]] = [
        {"$match": {"status": "open"}},
        {"$group": {"_id": {"source": "$source", "entity": "$entity"}, "number": {"$sum": 1}}},
    ]
    found = bronze.db["quarantine"].aggregate(steps)
    return {EntityRef(d["_id"]["source"], d["_id"]["entity"]): int(d["number"]) for d in found}
