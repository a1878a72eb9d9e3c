"""Actions: conditions that hold, steps to be done; which events actions have seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "condition",
        sa.Column("action", sa.Text, primary_key=True, comment="Action of metadata/actions.yaml"),
        sa.Column(
            "subject",
            sa.Text,
            primary_key=True,
            comment="What it is about: a source, an entity; empty for SQL",
        ),
        sa.Column("since", moment, nullable=False, comment="UTC"),
        sa.Column("text", sa.Text, nullable=False, comment="Why it is so, in words"),
        schema="audit",
    )
    op.create_table(
        "action_step",
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
        schema="audit",
    )
    acted = sa.Column("acted_at", moment, comment="UTC; when actions had seen it")
    op.add_column("outbox", acted, schema="audit")
    op.execute("update audit.outbox set acted_at = now()")  # of before there were any
    op.create_index(
        "outbox_not_acted", "outbox", ["id"], schema="audit", postgresql_where=sa.text("acted_at is null")
    )


def downgrade() -> None:
    op.drop_index("outbox_not_acted", "outbox", schema="audit")
    op.drop_column("outbox", "acted_at", schema="audit")
    op.drop_table("action_step", schema="audit")
    op.drop_table("condition", schema="audit")
