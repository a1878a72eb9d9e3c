"""auto_dw as a flow: what it has seen of a schema, what a person has settled, the form that is open."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "followed",
        sa.Column("schema_name", sa.Text, primary_key=True, comment="Schema that the flow looks after"),
        sa.Column("shape", sa.Text, comment="Digest of the tables and columns that it has dealt with"),
        sa.Column("settled", JSONB, nullable=False, comment="Questions and changes that are not asked again"),
        sa.Column("form", JSONB, comment="The form asked last: its run, its questions"),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, comment="UTC"),
        schema="auto_dw",
    )


def downgrade() -> None:
    op.drop_table("followed", schema="auto_dw")
