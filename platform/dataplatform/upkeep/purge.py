"""Removes entities from every layer, for good.

`plan` says what there is, and changes nothing; `purge` removes it. What is removed last is what the audit knows, in one
transaction with silver: killed half-way, a purge is found and carried through by the next.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from dataplatform.audit import inbox
from dataplatform.audit import record as audit
from dataplatform.context import Platform
from dataplatform.errors import BusyError, MetadataError
from dataplatform.layers.bronze import upkeep as bronze
from dataplatform.layers.gold.tables import gold_model
from dataplatform.layers.raw import baselines
from dataplatform.layers.raw import upkeep as raw
from dataplatform.layers.silver import upkeep as silver
from dataplatform.metadata import Catalog
from dataplatform.quality.results import forget_checks
from dataplatform.records.refs import EntityRef
from dataplatform.storage import FileStore
from dataplatform.storage.postgres import connected, held, removing, transaction


@dataclass(frozen=True)
class Holdings:
    """What every layer holds of an entity. `tables`: silver's, with their rows; `in_metadata`: they name it still."""

    entity: EntityRef
    raw_batches: int
    raw_files: int
    raw_bytes: int
    bronze: bronze.Holding
    tables: dict[str, int]
    in_metadata: bool


@dataclass(frozen=True)
class Plan:
    """What would go. `views` lie beyond silver and go with its tables; `models` of gold read them and lose them."""

    entities: tuple[Holdings, ...]
    views: tuple[str, ...]
    models: tuple[str, ...]

    @property
    def named(self) -> list[str]:
        """Those that the metadata still name: the next run brings them back."""
        return [str(h.entity) for h in self.entities if h.in_metadata]

    def as_json(self) -> dict[str, Any]:
        entities = {
            str(h.entity): {k: v for k, v in asdict(h).items() if k != "entity"} for h in self.entities
        }
        return {"entities": entities, "views": self.views, "models": self.models}


def plan(platform: Platform, text: str) -> Plan:
    """What there is of `source` or `source.entity`; raises MetadataError where no layer knows of it."""
    source, _, name = text.partition(".")
    known = _entities(platform, source)
    refs = [EntityRef(source, one) for one in sorted(known) if name in ("", one)]
    if not refs:
        there = f"of {source} there are: {', '.join(sorted(known))}" if known else "see: dataplatform status"
        raise MetadataError(f"no layer holds anything of {text}", there)
    with connected(platform.engine) as conn:
        found = tuple(_holdings(platform, conn, ref) for ref in refs)
        tables = [table for h in found for table in h.tables]
        return Plan(found, tuple(silver.readers_of(conn, tables)), models_reading(platform.catalog, tables))


def purge(platform: Platform, wanted: Plan) -> None:
    """Raw, then bronze, then silver with the audit's rows; raises BusyError where a run is at one of them."""
    refs = [h.entity for h in wanted.entities]
    with removing(platform.engine, 1.0), held(platform.engine, map(str, refs)) as busy:
        if busy:
            raise BusyError(
                f"{', '.join(sorted(busy))} is running; nothing was removed",
                "wait until that run has ended, then purge again",
            )
        originals = raw.originals_of(platform.raw, refs)
        for ref in refs:
            for files in raw.files_of(platform.raw, ref):
                raw.remove(platform.raw, files)
            baselines.remove_baseline(platform.raw, ref)
            for archive in archives_of(platform.catalog, ref):
                archived = raw.originals_of(archive, [ref])
                for files in raw.files_of(archive, ref):
                    raw.remove(archive, files)
                raw.remove_originals(archive, ref.source, archived)
            bronze.forget(platform.bronze, ref)
            with transaction(platform.engine) as conn:
                _forget(conn, ref)
        for source in {ref.source for ref in refs}:
            raw.remove_originals(platform.raw, source, originals)


def left_of(platform: Platform, text: str) -> list[str]:
    """Entities of `source` or `source.entity` that some layer still has a trace of."""
    source, _, name = text.partition(".")
    return sorted(f"{source}.{one}" for one in _entities(platform, source) if name in ("", one))


def archives_of(catalog: Catalog, ref: EntityRef) -> list[FileStore]:
    """Where retention put its files, as long as the metadata say so."""
    source = catalog.sources.get(ref.source)
    entity = source.entities.get(ref.name) if source else None
    return [FileStore(entity.retention.archive)] if entity and entity.retention.archive else []


def _forget(conn: sa.Connection, ref: EntityRef) -> None:
    conn.execute(
        sa.text("set local lock_timeout = '30s'")
    )  # whoever waits for long keeps all readers waiting
    views = silver.readers_of(conn, list(silver.tables_of(conn, ref)))
    silver.drop(conn, ref)
    models = [view.removeprefix("gold.") for view in views if view.startswith("gold.")]
    conn.execute(gold_model.delete().where(gold_model.c.name.in_(models)))
    forget_checks(conn, ref)
    audit.forget_entity(conn, ref)
    inbox.forget_inbox(conn, ref)


def _entities(platform: Platform, source: str) -> set[str]:
    """All that any layer has a trace of."""
    with connected(platform.engine) as conn:
        loaded = audit.entities_in(conn, source) | silver.entities_in(conn, source)
    stored = raw.entities_in(platform.raw, source) | bronze.entities_in(platform.bronze, source)
    return loaded | stored


def _holdings(platform: Platform, conn: sa.Connection, ref: EntityRef) -> Holdings:
    files, catalog = raw.files_of(platform.raw, ref), platform.catalog
    packed = baselines.files_of_baseline(platform.raw, ref)
    known = catalog.sources.get(ref.source)
    named = ref.source in catalog.broken_sources or (known is not None and ref.name in known.entities)
    return Holdings(
        ref,
        len(files),
        sum(len(f.names) for f in files) + len(packed),
        sum(f.bytes for f in files) + sum(packed.values()),
        bronze.holding(platform.bronze, ref),
        silver.tables_of(conn, ref),
        named,
    )


def models_reading(catalog: Catalog, tables: list[str]) -> tuple[str, ...]:
    """Names of gold's models that read one of the tables, or a model that does."""
    if not catalog.models or not tables:
        return ()
    from dataplatform.layers.gold.lineage import downstream, usable  # imports sqlglot

    reads = usable(catalog.models).reads
    gone = {f"{schema}.{table}" for schema in ("silver", "silver_current") for table in tables}
    readers = {name for name, one in reads.items() if gone & set(one.tables)}
    return tuple(sorted(readers.union(*(downstream(reads, name) for name in readers))))
