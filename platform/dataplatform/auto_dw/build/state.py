"""The build history, and requests that came through SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from dataplatform.auto_dw.tables import MOMENT, metadata

build_table = sa.Table(
    "build",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("schema_name", sa.Text, nullable=False, comment="Schema the warehouse is built from"),
    sa.Column("style", sa.Text, nullable=False, comment="kimball or data_vault"),
    sa.Column("status", sa.Text, nullable=False, comment="done, failed or undone"),
    sa.Column("changes", JSONB, nullable=False, comment="What it added, changed and removed"),
    sa.Column("files", JSONB, nullable=False, comment="The models as they were before"),
    sa.Column("created_at", MOMENT, nullable=False, comment="UTC"),
)
request_table = sa.Table(
    "request",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("verb", sa.Text, nullable=False, comment="evaluate, plan, go, omit, include, status, health"),
    sa.Column("arguments", JSONB, nullable=False, comment="Arguments of the verb"),
    sa.Column("status", sa.Text, nullable=False, comment="waiting, running, done or failed"),
    sa.Column("result", JSONB, comment="The answer"),
    sa.Column("error", sa.Text, comment="Why it failed"),
    sa.Column("created_at", MOMENT, nullable=False, server_default=sa.text("now()"), comment="UTC"),
    sa.Column("finished_at", MOMENT, comment="UTC"),
)


def add_build(conn: sa.Connection, schema: str, style: str, changes: Any, files: Any) -> int:
    row = {
        "schema_name": schema,
        "style": style,
        "status": "done",
        "changes": changes,
        "files": files,
        "created_at": datetime.now(UTC),
    }
    return int(conn.execute(build_table.insert().values(row).returning(build_table.c.id)).scalar_one())


def builds(conn: sa.Connection, limit: int = 20) -> list[dict[str, Any]]:
    """The newest first."""
    query = sa.select(build_table).order_by(build_table.c.id.desc()).limit(limit)
    return [dict(row) for row in conn.execute(query).mappings()]


def last_build(conn: sa.Connection, schema: str) -> dict[str, Any] | None:
    """The newest of the schema that is not undone."""
    c = build_table.c
    query = sa.select(build_table).where(c.schema_name == schema, c.status == "done")
    row = conn.execute(query.order_by(c.id.desc()).limit(1)).mappings().first()
    return dict(row) if row else None


def is_undone(conn: sa.Connection, schema: str) -> bool:
    """Whether the newest build of the schema was taken back."""
    c = build_table.c
    query = sa.select(c.status).where(c.schema_name == schema).order_by(c.id.desc()).limit(1)
    return bool(conn.execute(query).scalar() == "undone")


def set_build_status(conn: sa.Connection, id_: int, status: str) -> None:
    conn.execute(build_table.update().where(build_table.c.id == id_).values(status=status))
