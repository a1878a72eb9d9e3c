"""Tables of actions: what is so, and what is to be done."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from dataplatform.audit.tables import metadata, moment

condition = sa.Table(
    "condition",
    metadata,
    sa.Column("action", sa.Text, primary_key=True, comment="Action of metadata/actions.yaml"),
    sa.Column(
        "subject", sa.Text, primary_key=True, comment="What it is about: a source, an entity; empty for SQL"
    ),
    sa.Column("since", moment, nullable=False, comment="UTC"),
    sa.Column("text", sa.Text, nullable=False, comment="Why it is so, in words"),
)

step = sa.Table(
    "action_step",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("key", sa.Text, nullable=False, unique=True, comment="What it is for: each is done once"),
    sa.Column("action", sa.Text, nullable=False, comment="Action of metadata/actions.yaml"),
    sa.Column("what", JSONB, nullable=False, comment="The step as it was when it was asked for"),
    sa.Column("payload", JSONB, nullable=False, comment="What happened"),
    sa.Column(
        "due_at",
        moment,
        nullable=False,
        comment="UTC: after quiet hours, at a digest's time, after a failure",
    ),
    sa.Column("attempts", sa.Integer, nullable=False, comment="Tries so far"),
    sa.Column("done_at", moment, comment="UTC; null until done or given up"),
    sa.Column("error", sa.Text, comment="Why the last try failed"),
    sa.Column("created_at", moment, nullable=False, comment="UTC"),
)
