"""Forgets one record: out of every layer, of gold and of the archive, for good, and it stays out.

First it is noted that the key is to stay out (a salted hash of it); from then on no load and no replay brings it back.
Then it goes: quarantine and bronze, silver, raw, the archive, and gold's models that read it are built anew. Killed
anywhere, `forget` again goes on; what is gone already counts as nothing. At the end everything is searched once more.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from dataplatform import pipeline
from dataplatform.audit import forgotten as kept_out
from dataplatform.context import Platform
from dataplatform.errors import BusyError, LoadError
from dataplatform.layers.bronze import dropping
from dataplatform.layers.bronze.scrub import scrubbed
from dataplatform.layers.raw import rewrite
from dataplatform.layers.silver import upkeep as silver
from dataplatform.metadata.source import Entity
from dataplatform.reading.names import entity_named, key_hashes, no_record
from dataplatform.records import hashes as hs
from dataplatform.records.forgotten import Forgotten, Out
from dataplatform.records.refs import EntityRef
from dataplatform.runs.locks import locked
from dataplatform.storage import FileStore
from dataplatform.storage.mongo import server_errors
from dataplatform.storage.postgres import connected, removing, transaction
from dataplatform.upkeep.backup.keep import archives
from dataplatform.upkeep.purge import archives_of, models_reading

FILE = "forgotten.jsonl"  # under HOME: outlives the database, so that a restore does not bring them back


@dataclass(frozen=True)
class Found:
    """What every layer holds of a record. `keys`: hashes that it may have; `content`: versions of what has no key."""

    entity: EntityRef
    keys: tuple[bytes, ...]
    content: tuple[bytes, ...]
    rows: dict[str, int]
    versions: int
    raw_records: int
    archived_records: int
    models: tuple[str, ...]

    @property
    def anything(self) -> bool:
        return bool(self.versions or self.raw_records or self.archived_records or any(self.rows.values()))

    def as_json(self) -> dict[str, Any]:
        shown = ("rows", "versions", "raw_records", "archived_records", "models")
        return {"entity": str(self.entity), **{name: asdict(self)[name] for name in shown}}


@dataclass(frozen=True)
class Certificate:
    """What was removed where, without a word of what it was.

    `left`: what the search at the end still found; `backups`: archives of before, which hold it until they go.
    """

    number: str
    entity: EntityRef
    forgotten_at: str
    digests: tuple[str, ...]
    removed: dict[str, int]
    rows: dict[str, int]
    models: tuple[str, ...]
    left: dict[str, int] = field(default_factory=dict)
    backups: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        return not any(self.left.values())

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "entity": str(self.entity)}


def find(platform: Platform, text: str, key: str) -> Found:
    """`text`: the entity (source.entity), `key`: as `trace` takes it. Raises MetadataError where that is none."""
    ref, entity = entity_named(platform.catalog, text)
    keys = [UUID(one).bytes for one in key_hashes(key, len(entity.key))]
    if not keys:  # whoever is to be forgotten must not be taken for forgotten
        raise no_record(ref, entity, key)
    return found_of(platform, ref, entity, keys)


def found_of(platform: Platform, ref: EntityRef, entity: Entity, keys: list[bytes]) -> Found:
    """The same of key hashes."""
    with server_errors():
        if entity.by_row:
            own, content = dropping.equals_of(platform.bronze, ref, hs.hashes(keys))
            keys = sorted({*keys, *hs.pieces(own)})
            versions = hs.pieces(content)
        else:
            versions = dropping.versions_of(platform.bronze, ref, keys)
    change = _change(entity, _wanted(entity, keys, versions))
    with connected(platform.engine) as conn:
        rows = silver.rows_of_keys(conn, ref, keys)
        tables = list(rows)
    raw_records = rewrite.count(platform.raw, ref, change)
    archived = sum(rewrite.count(store, ref, change) for store in archives_of(platform.catalog, ref))
    content_ids = tuple(versions) if entity.by_row else ()
    models = models_reading(platform.catalog, tables)
    return Found(ref, tuple(keys), content_ids, rows, len(versions), raw_records, archived, models)


def _wanted(entity: Entity, keys: Sequence[bytes], versions: Sequence[bytes]) -> Out:
    return Out(keys=frozenset(versions or keys if entity.by_row else keys))


def _change(entity: Entity, out: Out) -> rewrite.Change:
    def change(
        header: Mapping[str, Any], lines: Sequence[bytes]
    ) -> tuple[Mapping[str, Any], Sequence[bytes], int]:
        left = scrubbed(entity, header, lines, out)
        return left.header, left.lines, left.gone

    return change


def forget(platform: Platform, found: Found) -> Certificate:
    """Removes it. Raises BusyError where the entity is being loaded."""
    ref = found.entity
    with removing(platform.engine, 1.0), locked(platform, [ref]) as free:
        if not free:
            raise BusyError(
                f"{ref} is running; nothing was removed", "wait until that run has ended, then forget again"
            )
        return _forget(platform, found)


def _forget(platform: Platform, found: Found) -> Certificate:
    ref = found.entity
    entity = platform.catalog.source(ref.source).entities[ref.name]
    number = f"F{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}"
    stays_out = found.content if entity.by_row and found.content else found.keys
    records = _keep_out(platform, number, ref, stays_out)
    with server_errors():
        versions = list(found.content) or dropping.versions_of(platform.bronze, ref, list(found.keys))
        _unquote(
            platform, dropping.reasons_of(platform.bronze, ref, hs.hashes(found.keys), hs.hashes(versions))
        )
        dropped = dropping.drop(platform.bronze, ref, hs.hashes(found.keys), hs.hashes(versions))
    with transaction(platform.engine) as conn:
        rows = silver.delete_keys(conn, ref, list(found.keys))
    change = _change(entity, _wanted(entity, found.keys, versions))
    went = rewrite.rewrite(platform.raw, ref, change)
    stores = archives_of(platform.catalog, ref)
    archived = sum((rewrite.rewrite(store, ref, change) for store in stores), rewrite.Rewritten())
    built = pipeline.refresh_gold(platform, list(found.models), full=True) if found.models else []
    certificate = Certificate(
        number,
        ref,
        datetime.now(UTC).isoformat(),
        tuple(one.digest.hex() for one in records),
        {
            "bronze_versions": dropped.versions,
            "quarantine": dropped.quarantined,
            "raw_records": went.records,
            "raw_files": went.files,
            "originals": went.originals + archived.originals,
            "archived_records": archived.records,
        },
        rows,
        tuple(one.name for one in built if one.status != "failed"),
    )
    failed = sum(one.status == "failed" for one in built)
    still = {**_left(platform, found, entity), "gold": failed}
    certificate = replace(certificate, left=still, backups=_backups(platform))
    with transaction(platform.engine) as conn:
        kept_out.certify(conn, ref, records, certificate.as_json())
    if not certificate.clean:
        left = ", ".join(f"{n} in {name}" for name, n in certificate.left.items() if n)
        raise LoadError(
            f"{ref}: the record is not gone everywhere: {left}", "forget it again; it stays out meanwhile"
        )
    return certificate


def _backups(platform: Platform) -> tuple[str, ...]:
    """Archives that were made before: they hold it still."""
    return tuple(one.name for one in archives(FileStore(platform.settings.backup_location)))


def _keep_out(platform: Platform, number: str, ref: EntityRef, keys: Sequence[bytes]) -> list[Forgotten]:
    """Notes that the keys stay out, in the database and beside it; those that are out already are not noted twice."""
    with connected(platform.engine) as conn:
        known = kept_out.out_of(conn, ref)
    records = [Forgotten.of(key) for key in keys if key not in known]
    if records:  # the file first: what the database knows is not noted again
        _note(platform.settings.home_path / FILE, number, ref, records)
        with transaction(platform.engine) as conn:
            kept_out.put(conn, number, ref, records)
    return records or [one for one in known.forgotten if any(one.is_(key) for key in keys)]


def _unquote(platform: Platform, reasons: list[str]) -> None:
    """Takes reasons why records were set aside, which may quote them, out of what was noted of loads and runs."""
    with transaction(platform.engine) as conn:
        for reason in reasons:
            kept_out.unquote(conn, reason)


def _note(path: Path, number: str, ref: EntityRef, records: Sequence[Forgotten]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as file:
        for one in records:
            line = {"number": number, "source": ref.source, "entity": ref.name}
            file.write(json.dumps({**line, "salt": one.salt.hex(), "digest": one.digest.hex()}) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _left(platform: Platform, found: Found, entity: Entity) -> dict[str, int]:
    """Searches every layer anew."""
    ref, keys = found.entity, list(found.keys)
    change = _change(entity, _wanted(entity, keys, found.content))
    with server_errors():
        versions = dropping.versions_of(platform.bronze, ref, keys, found.content)
    with connected(platform.engine) as conn:
        rows = silver.rows_of_keys(conn, ref, keys)
    return {
        "bronze": len(versions),
        "silver": sum(rows.values()),
        "raw": rewrite.count(platform.raw, ref, change),
        "archive": sum(rewrite.count(store, ref, change) for store in archives_of(platform.catalog, ref)),
    }


def again(platform: Platform) -> list[Certificate]:
    """Forgets anew what was forgotten once and is there again: after a restore of something older."""
    _remember(platform)
    with connected(platform.engine) as conn:
        outs = {ref: kept_out.out_of(conn, ref) for ref in sorted(kept_out.entities(conn))}
    certificates = []
    for ref, out in outs.items():
        source = platform.catalog.sources.get(ref.source)
        if source is None or ref.name not in source.entities:
            continue
        keys = sorted({key for key in dropping.all_keys(platform.bronze, ref) if key in out})
        if keys:
            certificates.append(forget(platform, found_of(platform, ref, source.entities[ref.name], keys)))
    return certificates


def _remember(platform: Platform) -> None:
    """Brings what the file under HOME knows back into the database."""
    path = platform.settings.home_path / FILE
    if not path.exists():
        return
    with transaction(platform.engine) as conn:
        for line in path.read_text().splitlines():
            known = json.loads(line)
            ref, one = (
                EntityRef(known["source"], known["entity"]),
                Forgotten(bytes.fromhex(known["salt"]), bytes.fromhex(known["digest"])),
            )
            if one not in kept_out.out_of(conn, ref).forgotten:
                kept_out.put(conn, f"{known['number']}-{one.digest.hex()[:8]}", ref, [one])
