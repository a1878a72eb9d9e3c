"""From a row of silver back to the raw line: batch, run, bronze version, file and line."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa

from dataplatform.audit import tables as t
from dataplatform.context import Platform
from dataplatform.errors import MetadataError
from dataplatform.layers import raw
from dataplatform.layers.bronze.load import reading_rule
from dataplatform.layers.bronze.parse import Record, items_of, parse
from dataplatform.metadata.source import Entity
from dataplatform.names import qualified
from dataplatform.records import hashes as hs
from dataplatform.records.record import key_hash
from dataplatform.records.refs import BatchRef, EntityRef
from dataplatform.storage.postgres import connected


@dataclass(frozen=True)
class TracedVersion:
    """One version of a record and where it came from. Times: ISO 8601, UTC; `raw_line`: of the uncompressed text."""

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


@dataclass(frozen=True)
class Trace:
    """All versions of a record, oldest first, and the runs that wrote them. Its dict is `trace --json`."""

    table: str
    key: str
    versions: list[TracedVersion]
    runs: dict[str, dict[str, Any] | None]

    def as_json(self) -> dict[str, Any]:
        return {"status": "done", **asdict(self)}


def trace(platform: Platform, table: str, key: str) -> Trace:
    """`table` in silver, with or without the schema; `key`: the business key (a,b for two fields), or dp_key.

    Raises MetadataError where there is no such table or record.
    """
    table = table.removeprefix("silver.")
    ref, entity = _entity(platform, table)
    with connected(platform.engine) as conn:
        rows = _versions(conn, ref, _candidates(key, len(entity.key)))
        if not rows:
            raise MetadataError(
                f"silver.{table} has no record with the key {key!r}",
                f"the key is {', '.join(entity.key)}; several fields are written a,b",
            )
        versions = [_version(platform, ref, entity, row) for row in rows]
        runs = {run_id: _run(conn, run_id) for run_id in {v.run_id for v in versions}}
    return Trace(f"silver.{table}", key, versions, runs)


def _entity(platform: Platform, table: str) -> tuple[EntityRef, Entity]:
    for source in platform.catalog.sources.values():
        for name, entity in source.entities.items():
            ref = EntityRef(source.source, name)
            if ref.table == table:
                return ref, entity
    raise MetadataError(
        f"no entity of the metadata has the table silver.{table}",
        "name the entity's own table, such as github__issues",
    )


def _candidates(key: str, fields: int) -> list[str]:
    """The hashes the text may mean: dp_key itself, or fields as text or as numbers."""
    try:
        return [str(UUID(key))]
    except ValueError:
        pass
    parts = key.split(",") if fields > 1 else [key]
    options: list[list[Any]] = [[]]
    for part in parts:
        values: list[Any] = [part]
        try:
            number = orjson.loads(part)
            values += [number] if isinstance(number, int | float) else []
        except orjson.JSONDecodeError:
            pass
        options = [[*o, v] for o in options for v in values]
    hashes = (key_hash(option) for option in options)
    return [str(UUID(bytes=found)) for found in hashes if found]


def _versions(conn: sa.Connection, ref: EntityRef, keys: list[str]) -> list[dict[str, Any]]:
    query = sa.text(
        "select dp_id, dp_key, dp_valid_from, dp_valid_to, dp_deleted, dp_batch_id, dp_run_id "
        f"from {qualified('silver', ref.table)} where dp_key = any(cast(:keys as uuid[])) "
        "order by dp_valid_from"
    )
    return [dict(r) for r in conn.execute(query, {"keys": keys}).mappings()]


def _version(platform: Platform, ref: EntityRef, entity: Entity, row: dict[str, Any]) -> TracedVersion:
    batch, key = BatchRef(ref, row["dp_batch_id"]), row["dp_key"].bytes
    file, line = _raw_line(platform, batch, entity, key)
    return TracedVersion(
        row["dp_id"],
        str(row["dp_key"]),
        row["dp_valid_from"].isoformat(),
        row["dp_valid_to"] and row["dp_valid_to"].isoformat(),
        row["dp_deleted"],
        batch.batch_id,
        row["dp_run_id"],
        _bronze_version(platform, batch, key),
        file,
        line,
    )


def _bronze_version(platform: Platform, batch: BatchRef, key: bytes) -> str:
    """Id (hex) of the version that the batch held of the key; empty where bronze no longer knows."""
    manifest = platform.bronze.manifest(batch)
    if manifest is None:
        return ""
    held = platform.bronze.held(manifest)
    at = hs.find(hs.hashes(key), held.keys)
    return hs.pieces(held.versions[at])[0].hex() if at[0] >= 0 else ""


def _raw_line(
    platform: Platform, batch: BatchRef, entity: Entity, key: bytes
) -> tuple[str | None, int | None]:
    """File and line that hold the record; reads until it is found."""
    manifest = raw.manifest(platform.raw, batch)
    if manifest is None:
        return None, None
    for page in raw.read(platform.raw, manifest):
        rule = reading_rule(entity, bool(page.header.get("textual")))
        document = page.header["kind"] == "document"
        for offset, line in enumerate(page.lines):
            path = page.header.get("records_path")
            records = items_of(line, path, rule) if document else [parse(line, rule)]
            if any(isinstance(r, Record) and r.key == key for r in records):
                return platform.raw.location(page.file), page.line + offset
    return None, None


def _run(conn: sa.Connection, run_id: str) -> dict[str, Any] | None:
    query = sa.select(t.run).where(t.run.c.run_id == run_id)
    row = conn.execute(query).mappings().first()
    return dict(row) if row else None
