"""Runs as audit keeps them, and which of them a batch was loaded by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dataplatform.audit import tables as t
from dataplatform.context import Platform
from dataplatform.records.refs import EntityRef
from dataplatform.storage.postgres import connected


@dataclass(frozen=True)
class RunRow:
    """A run of a source: `running`, `done` or `failed`; times in UTC."""

    run_id: str
    source: str
    batch_id: str
    status: str
    parameters: dict[str, Any] | None
    error: str | None
    started_at: datetime
    finished_at: datetime | None


def newest_runs(conn: sa.Connection, limit: int) -> list[RunRow]:
    query = sa.select(*_columns()).order_by(t.run.c.started_at.desc()).limit(limit)
    return [RunRow(**row) for row in conn.execute(query).mappings()]


def runs_by_id(conn: sa.Connection, ids: Iterable[str]) -> dict[str, RunRow]:
    """Those that audit knows (a replay is none)."""
    query = sa.select(*_columns()).where(t.run.c.run_id.in_(sorted(set(ids))))
    return {row["run_id"]: RunRow(**row) for row in conn.execute(query).mappings()}


def windows_done(platform: Platform, source: str, entities: Iterable[str]) -> set[tuple[str, str]]:
    """Windows that backfills of all these entities have finished."""
    query = sa.select(t.run.c.parameters).where(
        t.run.c.source == source, t.run.c.status.in_(("done", "done with warnings"))
    )
    wanted, found = set(entities), set()
    with connected(platform.engine) as conn:
        for parameters in conn.execute(query).scalars():
            window = (parameters or {}).get("window")
            if window and wanted <= set(parameters.get("entities") or ()):
                found.add((window[0], window[1]))
    return found


def _columns() -> list[sa.Column[Any]]:
    return [t.run.c[field.name] for field in fields(RunRow)]


@dataclass(frozen=True)
class Touch:
    """A batch that wrote or changed a version, and the run that loaded it (None where audit does not say)."""

    batch_id: str
    run_id: str | None


def loaded_by(conn: sa.Connection, ref: EntityRef, versions: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Batch → id of the run that loaded it into silver, for the batches of these rows of silver."""
    c = t.load.c
    batches = {row[name] for row in versions for name in ("dp_batch_id", "dp_updated_batch_id")}
    query = sa.select(c.batch_id, c.run_id).where(
        c.source == ref.source, c.entity == ref.name, c.layer == "silver", c.batch_id.in_(sorted(batches))
    )
    return {row.batch_id: row.run_id for row in conn.execute(query)}


def touches(row: Mapping[str, Any], runs: Mapping[str, str]) -> tuple[Touch, Touch]:
    """What wrote a version of silver, and what closed it or changed it last (the same where nothing did).

    A rebuild puts its own run on every version that it touches: the writer's is then the run of the writer's batch.
    """
    batch, last, run = row["dp_batch_id"], row["dp_updated_batch_id"], row["dp_run_id"]
    if batch == last:
        return Touch(batch, run), Touch(batch, run)
    by_rebuild = runs.get(last) == run
    return Touch(batch, runs.get(batch, run) if by_rebuild else run), Touch(last, runs.get(last))
