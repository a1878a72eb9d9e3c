"""Results of quality checks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "check_result",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("source", sa.Text, nullable=False, comment="Source"),
        sa.Column("entity", sa.Text, nullable=False, comment="Entity"),
        sa.Column("batch_id", sa.Text, nullable=False, comment="Batch that was checked"),
        sa.Column("run_id", sa.Text, nullable=False, comment="Run that checked it"),
        sa.Column("check", sa.Text, nullable=False, comment="The check, as metadata say it"),
        sa.Column("status", sa.Text, nullable=False, comment="passed, warned or failed"),
        sa.Column("found", sa.Text, nullable=False, comment="What was wrong; empty if nothing"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="UTC"),
        schema="audit",
    )
    op.create_index("check_result_batch", "check_result", ["source", "entity", "batch_id"], schema="audit")


def downgrade() -> None:
    op.drop_table("check_result", schema="audit")
