"""Records of an entity as bronze holds them: a sample of its newest batch."""

from __future__ import annotations

from typing import Any

from dataplatform.context import Platform
from dataplatform.errors import MetadataError
from dataplatform.records.refs import EntityRef
from dataplatform.storage.mongo import server_errors

MOST = 5_000


def landed_records(platform: Platform, ref: EntityRef, most: int = MOST) -> list[dict[str, Any]]:
    """Up to so many; raises MetadataError where nothing has landed."""
    with server_errors():
        heads = [head for head in platform.bronze.manifests.all(ref) if head.entries]
        if not heads:
            raise MetadataError(
                f"nothing of {ref} has landed yet", f"run it first: dataplatform run {ref.source} {ref.name}"
            )
        newest = max(heads, key=lambda head: head.batch_id)
        held = platform.bronze.manifests.held(newest)
        versions = held.alive(newest.paths).versions[:most]
        return [doc for block in platform.bronze.documents(ref, versions) for _, doc in block]
