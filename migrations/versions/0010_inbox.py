"""The inbox: records that were pushed to us, until they are landed; and the keys of what was accepted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("source", sa.Text, nullable=False, comment="Source"),
        sa.Column("entity", sa.Text, nullable=False, comment="Entity"),
        sa.Column("record", sa.LargeBinary, nullable=False, comment="JSON of the record, as it came"),
        sa.Column("received_at", moment, nullable=False, comment="UTC"),
        sa.Column("batch_id", sa.Text, comment="Batch that is to land it; null until one takes it"),
        schema="audit",
    )
    op.create_index("inbox_of_entity", "inbox", ["source", "entity", "id"], schema="audit")
    op.create_table(
        "inbox_key",
        sa.Column("source", sa.Text, primary_key=True, comment="Source"),
        sa.Column("entity", sa.Text, primary_key=True, comment="Entity"),
        sa.Column("key", sa.Text, primary_key=True, comment="Idempotency key of what was accepted"),
        sa.Column("records", sa.BigInteger, nullable=False, comment="Records that came with it"),
        sa.Column("received_at", moment, nullable=False, comment="UTC"),
        schema="audit",
    )


def downgrade() -> None:
    op.drop_table("inbox_key", schema="audit")
    op.drop_table("inbox", schema="audit")
