"""Results of checks, kept with the batch they are about."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from dataplatform.audit.tables import metadata, moment
from dataplatform.records.refs import BatchRef, EntityRef, RunRef

check_result = sa.Table(
    "check_result",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("source", sa.Text, nullable=False, comment="Source"),
    sa.Column("entity", sa.Text, nullable=False, comment="Entity"),
    sa.Column("batch_id", sa.Text, nullable=False, comment="Batch that was checked"),
    sa.Column("run_id", sa.Text, nullable=False, comment="Run that checked it"),
    sa.Column("check", sa.Text, nullable=False, comment="The check, as metadata say it"),
    sa.Column("status", sa.Text, nullable=False, comment="passed, warned or failed"),
    sa.Column("found", sa.Text, nullable=False, comment="What was wrong; empty if nothing"),
    sa.Column("created_at", moment, nullable=False, comment="UTC"),
    sa.Index("check_result_batch", "source", "entity", "batch_id"),
)


def put_checks(
    conn: sa.Connection, batch: BatchRef, run: RunRef, results: Iterable[tuple[str, str, str]]
) -> None:
    """Check, status and finding of each; a later try replaces those of the same batch."""
    c = check_result.c
    where = (c.source == batch.source, c.entity == batch.name, c.batch_id == batch.batch_id)
    conn.execute(check_result.delete().where(*where))
    base = {
        "source": batch.source,
        "entity": batch.name,
        "batch_id": batch.batch_id,
        "run_id": run.run_id,
        "created_at": datetime.now(UTC),
    }
    rows = [base | {"check": check, "status": status, "found": found} for check, status, found in results]
    if rows:
        conn.execute(check_result.insert(), rows)


def checks_of(conn: sa.Connection, source: str, batch_id: str) -> list[dict[str, Any]]:
    """Results of a batch: entity, check, status, found."""
    c = check_result.c
    query = sa.select(c.entity, c.check, c.status, c.found).where(c.source == source, c.batch_id == batch_id)
    return [dict(row) for row in conn.execute(query.order_by(c.id)).mappings()]


def forget_checks(conn: sa.Connection, ref: EntityRef) -> None:
    """Deletes the results of all batches of an entity."""
    c = check_result.c
    conn.execute(check_result.delete().where(c.source == ref.source, c.entity == ref.name))
