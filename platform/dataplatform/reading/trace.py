"""From a row of silver back to the raw line: batch, run, bronze version, file and line."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from dataplatform.context import Platform
from dataplatform.layers import raw
from dataplatform.layers.bronze.parse import Record, items_of, parse
from dataplatform.layers.bronze.rules import page_rule
from dataplatform.metadata.source import Entity
from dataplatform.names import qualified
from dataplatform.reading.names import entity_named, key_hashes, no_record
from dataplatform.reading.runs import RunRow, loaded_by, runs_by_id, touches
from dataplatform.records import hashes as hs
from dataplatform.records.record import content_id
from dataplatform.records.refs import BatchRef, EntityRef
from dataplatform.storage.postgres import connected


@dataclass(frozen=True)
class TracedVersion:
    """One version of a record and where it came from. Times: ISO 8601, UTC; `raw_line`: of the uncompressed text.

    `batch_id` and `run_id` wrote it; `updated_batch_id` and `updated_run_id` closed it where it is closed, else changed
    it last (the same where nothing did, None where audit does not know the run).
    """

    dp_id: int
    dp_key: str
    valid_from: str
    valid_to: str | None
    deleted: bool
    batch_id: str
    run_id: str
    bronze_version: str
    raw_file: str | None
    raw_line: int | None
    updated_batch_id: str
    updated_run_id: str | None


@dataclass(frozen=True)
class Trace:
    """All versions of a record, oldest first, and the runs that wrote and closed them. Its dict is `trace --json`."""

    table: str
    key: str
    versions: list[TracedVersion]
    runs: dict[str, RunRow | None]

    def as_json(self) -> dict[str, Any]:
        return {"status": "done", **asdict(self)}


def trace(platform: Platform, table: str, key: str) -> Trace:
    """`table`: an entity's own in silver, or source.entity; `key`: the business key (a,b for two fields), or dp_key.

    Raises MetadataError where there is no such table or record.
    """
    ref, entity = entity_named(platform.catalog, table)
    with connected(platform.engine) as conn:
        rows = _versions(conn, ref, key_hashes(key, len(entity.key)))
        if not rows:
            raise no_record(ref, entity, key)
        loads = loaded_by(conn, ref, rows)
        versions = [_version(platform, ref, entity, row, loads) for row in rows]
        ids = {run_id for v in versions for run_id in (v.run_id, v.updated_run_id) if run_id}
        known = runs_by_id(conn, ids)
    return Trace(f"silver.{ref.table}", key, versions, {run_id: known.get(run_id) for run_id in sorted(ids)})


def _versions(conn: sa.Connection, ref: EntityRef, keys: list[str]) -> list[dict[str, Any]]:
    query = sa.text(
        "select dp_id, dp_key, dp_valid_from, dp_valid_to, dp_deleted, dp_batch_id, dp_run_id, dp_updated_batch_id "
        f"from {qualified('silver', ref.table)} where dp_key = any(cast(:keys as uuid[])) "
        "order by dp_valid_from"
    )
    return [dict(r) for r in conn.execute(query, {"keys": keys}).mappings()]


def _version(
    platform: Platform, ref: EntityRef, entity: Entity, row: dict[str, Any], loads: dict[str, str]
) -> TracedVersion:
    batch, key = BatchRef(ref, row["dp_batch_id"]), row["dp_key"].bytes
    written, touched = touches(row, loads)
    version = _bronze_version(platform, batch, key)
    file, line = _raw_line(platform, batch, entity, bytes.fromhex(version) if entity.by_row else key)
    return TracedVersion(
        row["dp_id"],
        str(row["dp_key"]),
        row["dp_valid_from"].isoformat(),
        row["dp_valid_to"] and row["dp_valid_to"].isoformat(),
        row["dp_deleted"],
        written.batch_id,
        written.run_id or "",
        version,
        file,
        line,
        touched.batch_id,
        touched.run_id,
    )


def _bronze_version(platform: Platform, batch: BatchRef, key: bytes) -> str:
    """Id (hex) of the version that the batch held of the key; empty where bronze no longer knows."""
    manifest = platform.bronze.manifests.of(batch)
    if manifest is None:
        return ""
    held = platform.bronze.manifests.held(manifest)
    at = hs.find(hs.hashes(key), held.keys)
    return hs.pieces(held.versions[at])[0].hex() if at[0] >= 0 else ""


def _raw_line(
    platform: Platform, batch: BatchRef, entity: Entity, wanted: bytes
) -> tuple[str | None, int | None]:
    """File and line that hold the record; reads until it is found.

    `wanted`: its key's hash; of what has no key its version, and of equal records the first is found.
    """
    manifest = raw.manifest(platform.raw, batch)
    if manifest is None:
        return None, None
    for page in raw.read(platform.raw, manifest):
        rule = page_rule(entity, page.header)
        document = page.header["kind"] == "document"
        for offset, line in enumerate(page.lines):
            path = page.header.get("records_path")
            records = items_of(line, path, rule) if document else [parse(line, rule)]
            if any(isinstance(r, Record) and _is(r, entity, wanted) for r in records):
                return platform.raw.location(page.file), page.line + offset
    return None, None


def _is(record: Record, entity: Entity, wanted: bytes) -> bool:
    return (content_id(record.doc) if entity.by_row else record.key) == wanted
