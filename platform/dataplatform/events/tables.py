"""The outbox' table."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from dataplatform.audit.tables import metadata, moment

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("event", sa.Text, nullable=False, comment="Such as dataplatform.entity.loaded"),
    sa.Column("resource", sa.Text, nullable=False, comment="What it is about"),
    sa.Column("payload", JSONB, nullable=False, comment="Details"),
    sa.Column("created_at", moment, nullable=False, comment="UTC"),
    sa.Column("delivered_at", moment, comment="UTC; null until delivered"),
    sa.Column("acted_at", moment, comment="UTC; when actions had seen it"),
)
