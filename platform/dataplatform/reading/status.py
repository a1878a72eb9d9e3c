"""What there is: rows per layer, the last loads, runs, cursors, quarantine, gold. A few queries for all entities."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from dataplatform.audit import tables as t
from dataplatform.context import Platform
from dataplatform.embedded.servers import postgres_address
from dataplatform.errors import EmbeddedServerError
from dataplatform.events.tables import outbox
from dataplatform.layers import raw
from dataplatform.layers.bronze import upkeep
from dataplatform.layers.gold.tables import gold_model
from dataplatform.metadata import Problem
from dataplatform.names import qualified
from dataplatform.reading.checks import CheckResult, last_checks
from dataplatform.reading.connections import Connection, connections
from dataplatform.reading.leftover import LeftOver, left_over
from dataplatform.reading.runs import RunRow, newest_runs
from dataplatform.records.refs import EntityRef
from dataplatform.secrets import redact
from dataplatform.storage.postgres import connected

RUNS = 10  # so many of the newest are shown


@dataclass(frozen=True)
class LastLoad:
    """A load of silver: records read, versions, wall time in seconds; `status` is done or failed."""

    read: int
    batch_id: str
    inserted: int
    updated: int
    closed: int
    unchanged: int
    quarantined: int
    seconds: float
    status: str
    error: str | None


@dataclass(frozen=True)
class EntityStatus:
    """One entity: how much of it every layer holds. `last_load` is its newest load of silver."""

    raw_records: int = 0
    bronze_versions: int = 0
    silver_rows: int = 0
    silver_current: int = 0
    quarantine: int = 0
    cursor: Any = None
    checks: tuple[CheckResult, ...] = ()
    last_load: LastLoad | None = None


@dataclass(frozen=True)
class SourceStatus:
    """One source; `batches` are those that raw holds, `connection` is of one that a person connects (OAuth2)."""

    entities: dict[str, EntityStatus]
    batches: int
    connection: Connection | None = None


@dataclass(frozen=True)
class GoldStatus:
    """One gold model after its last build; `built_at` in UTC."""

    materialized: str
    rows: int
    seconds: float
    built_at: datetime


@dataclass(frozen=True)
class LastBackup:
    """The newest try of a backup, and when one last succeeded; `error` says why the newest did not. Times in UTC."""

    archive: str
    status: str
    finished_at: datetime
    bytes: int
    error: str | None
    succeeded_at: datetime | None


@dataclass(frozen=True)
class Status:
    """The whole platform; `runs` are the newest ten, `problems` the files of metadata that are out.

    Its dict is the document of `status --json`.
    """

    servers: dict[str, str]
    sources: dict[str, SourceStatus]
    gold: dict[str, GoldStatus]
    runs: list[RunRow]
    events_waiting: int
    events_delivered_at: datetime | None = None
    problems: tuple[Problem, ...] = ()
    no_longer_in_metadata: tuple[LeftOver, ...] = ()
    backup: LastBackup | None = None

    def as_json(self) -> dict[str, Any]:
        return {"status": "done", **asdict(self)}


def status(platform: Platform) -> Status:
    """Reads everything anew; raises ServerError where a server does not answer."""
    connected_by = connections(platform)
    with connected(platform.engine) as conn:
        entities = _entities(platform, conn)
        names = dict.fromkeys(ref.source for ref in entities)
        sources = {
            source: SourceStatus(
                {ref.name: entity for ref, entity in entities.items() if ref.source == source},
                len(raw.batches(platform.raw, source)),
                connected_by.get(source),
            )
            for source in names
        }
        waiting, delivered = conn.execute(
            sa.select(
                sa.func.count().filter(outbox.c.delivered_at.is_(None)),
                sa.func.max(outbox.c.delivered_at),
            )
        ).one()
        return Status(
            _servers(platform), sources, _gold(conn), newest_runs(conn, RUNS), int(waiting), delivered,
            platform.catalog.problems,
            left_over(conn, platform.catalog),
            last_backup(conn),
        )  # fmt: skip


def events_delivered_at(conn: sa.Connection) -> datetime | None:
    """When an event was last handed to Prefect."""
    found: datetime | None = conn.execute(sa.select(sa.func.max(outbox.c.delivered_at))).scalar()
    return found


def last_backup(conn: sa.Connection) -> LastBackup | None:
    """None where none was ever tried."""
    c = t.backup.c
    newest = conn.execute(sa.select(t.backup).order_by(c.id.desc()).limit(1)).mappings().first()
    if newest is None:
        return None
    succeeded = conn.execute(sa.select(sa.func.max(c.finished_at)).where(c.status == "done")).scalar()
    names = [f.name for f in fields(LastBackup) if f.name != "succeeded_at"]
    return LastBackup(**{name: newest[name] for name in names}, succeeded_at=succeeded)


def _servers(platform: Platform) -> dict[str, str]:
    return {
        "postgres": platform.engine.url.render_as_string(hide_password=True),
        "postgres_address": _address(platform),
        "mongo": platform.bronze.db.name,
        "raw": platform.raw.root,
    }


def _address(platform: Platform) -> str:
    """For other programs, without its password; empty where an older version started the server."""
    try:
        return redact(postgres_address(platform.settings))
    except EmbeddedServerError:
        return ""


def _entities(platform: Platform, conn: sa.Connection) -> dict[EntityRef, EntityStatus]:
    loads, raw_records = _last_loads(conn), _raw_records(conn)
    known = {EntityRef(s.source, e) for s in platform.catalog.sources.values() for e in s.entities}
    keys = sorted(known | set(loads))
    rows, waiting = _rows(conn, keys), upkeep.waiting(platform.bronze)
    cursors = {EntityRef(r.source, r.entity): r.value for r in conn.execute(sa.select(t.cursor))}
    checks = last_checks(conn)
    return {
        key: EntityStatus(
            raw_records.get(key, 0),
            platform.bronze.count(key) if key in raw_records else 0,
            *rows.get(key, (0, 0)),
            waiting.get(key, 0),
            cursors.get(key),
            checks.get(key, ()),
            loads.get(key),
        )
        for key in keys
    }


def _last_loads(conn: sa.Connection) -> dict[EntityRef, LastLoad]:
    """The newest load of silver of each entity."""
    c = t.load.c
    query = (
        sa.select(t.load)
        .where(c.layer == "silver")
        .ext(distinct_on(c.source, c.entity))
        .order_by(c.source, c.entity, c.batch_id.desc())
    )
    names = [f.name for f in fields(LastLoad) if f.name != "read"]
    return {
        EntityRef(r["source"], r["entity"]): LastLoad(r["in"], **{name: r[name] for name in names})
        for r in conn.execute(query).mappings()
    }


def _raw_records(conn: sa.Connection) -> dict[EntityRef, int]:
    c = t.load.c
    query = (
        sa.select(c.source, c.entity, sa.func.sum(c["in"]))
        .where(c.layer == "raw")
        .group_by(c.source, c.entity)
    )
    return {EntityRef(source, entity): int(number) for source, entity, number in conn.execute(query)}


def _rows(conn: sa.Connection, keys: list[EntityRef]) -> dict[EntityRef, tuple[int, int]]:
    """Rows and current rows of silver's tables, counted in one statement."""
    there = set(
        conn.execute(sa.text("select tablename from pg_tables where schemaname = 'silver'")).scalars()
    )
    tables = [(number, key.table) for number, key in enumerate(keys)]
    counts = [
        f"select {number}, count(*), count(*) filter (where dp_current) from {qualified('silver', table)}"
        for number, table in tables
        if table in there
    ]
    if not counts:
        return {}
    counted = conn.exec_driver_sql(" union all ".join(counts))
    return {keys[number]: (rows, current) for number, rows, current in counted}


def _gold(conn: sa.Connection) -> dict[str, GoldStatus]:
    return {
        r["name"]: GoldStatus(r["materialized"], r["rows"], r["seconds"], r["built_at"])
        for r in conn.execute(sa.select(gold_model).order_by(gold_model.c.name)).mappings()
    }
