"""`dataplatform trace`: from a row of silver back to the raw line."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import orjson
import sqlalchemy as sa
import typer
from rich.tree import Tree

from dataplatform.audit import tables as t
from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.context import Platform
from dataplatform.errors import MetadataError
from dataplatform.layers import raw
from dataplatform.layers.bronze.load import rule_of
from dataplatform.layers.bronze.parse import Record, items_of, parse
from dataplatform.metadata.source import Entity
from dataplatform.names import entity_table, qualified
from dataplatform.records import hashes as hs
from dataplatform.records.record import key_hash
from dataplatform.storage.postgres import database_errors


@command
def trace(
    table: Annotated[str, typer.Argument(help="Table in silver, such as github__issues.")],
    key: Annotated[str, typer.Argument(help="Business key (a,b for two fields), or dp_key.")],
    json_: Json = False,
) -> None:
    """Prints where each version of a record came from: batch, run, bronze version, raw line."""
    with open_platform() as platform:
        found = _trace(platform, table.removeprefix("silver."), key)
    if json_:
        print_json(found)
        return
    tree = Tree(f"[bold]{found['table']}[/] {key}")
    for v in found["versions"]:
        until = v["valid_to"] or "now"
        branch = tree.add(f"{v['valid_from']} → {until}{' (deleted)' if v['deleted'] else ''}")
        for name in ("batch_id", "run_id", "bronze_version", "raw_file", "raw_line"):
            branch.add(f"{name}: {v[name]}")
    out.print(tree)


def _trace(platform: Platform, table: str, key: str) -> dict[str, Any]:
    source, entity_name, entity = _entity(platform, table)
    with database_errors(platform.engine), platform.engine.connect() as conn:
        rows = _versions(conn, table, _candidates(key, len(entity.key)))
        if not rows:
            raise MetadataError(
                f"silver.{table} has no record with the key {key!r}",
                f"the key is {', '.join(entity.key)}; several fields are written a,b",
            )
        versions = [_version(platform, source, entity_name, entity, row) for row in rows]
        runs = {r: _run(conn, r) for r in {v["run_id"] for v in versions}}
    return {
        "status": "done",
        "table": f"silver.{table}",
        "key": key,
        "versions": versions,
        "runs": runs,
    }


def _entity(platform: Platform, table: str) -> tuple[str, str, Entity]:
    for source in platform.catalog.sources.values():
        for name, entity in source.entities.items():
            if entity_table(source.source, name) == table:
                return source.source, name, entity
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


def _versions(conn: sa.Connection, table: str, keys: list[str]) -> list[dict[str, Any]]:
    query = sa.text(
        "select dp_id, dp_key, dp_valid_from, dp_valid_to, dp_deleted, dp_batch_id, dp_run_id "
        f"from {qualified('silver', table)} where dp_key = any(cast(:keys as uuid[])) "
        "order by dp_valid_from"
    )
    return [dict(r) for r in conn.execute(query, {"keys": keys}).mappings()]


def _version(
    platform: Platform, source: str, name: str, entity: Entity, row: dict[str, Any]
) -> dict[str, Any]:
    manifest = platform.bronze.manifest(source, name, row["dp_batch_id"])
    version = ""
    if manifest is not None:
        held = platform.bronze.held(manifest)
        at = hs.find(hs.hashes(row["dp_key"].bytes), held.keys)
        version = hs.pieces(held.versions[at])[0].hex() if at[0] >= 0 else ""
    file, line = _raw_line(platform, source, name, entity, row["dp_batch_id"], row["dp_key"].bytes)
    return {
        "dp_id": row["dp_id"], "dp_key": str(row["dp_key"]),
        "valid_from": row["dp_valid_from"].isoformat(),
        "valid_to": row["dp_valid_to"] and row["dp_valid_to"].isoformat(),
        "deleted": row["dp_deleted"], "batch_id": row["dp_batch_id"], "run_id": row["dp_run_id"],
        "bronze_version": version, "raw_file": file, "raw_line": line,
    }  # fmt: skip


def _raw_line(
    platform: Platform, source: str, name: str, entity: Entity, batch_id: str, key: bytes
) -> tuple[str | None, int | None]:
    """File and line (of the uncompressed text) that hold the record; reads until it is found."""
    manifest = raw.manifest(platform.raw, source, name, batch_id)
    if manifest is None:
        return None, None
    for page in raw.read(platform.raw, manifest):
        rule = rule_of(entity, bool(page.header.get("textual")))
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
