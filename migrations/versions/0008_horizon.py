"""Retention: the horizon of an entity's history. Forgetting: which records stay out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    for column in (
        sa.Column(
            "taken_until", sa.Text, comment="Newest batch that retention took: older ones come too late"
        ),
        sa.Column("closed_before", moment, comment="Versions that ended by then are not made anew, UTC"),
        sa.Column("bronze_due", sa.Boolean, comment="Retention broke off before bronze followed"),
    ):
        op.add_column("entity_rule", column, schema="audit")
    settled = sa.Column("settled", JSONB, comment="Those of the counts whose versions retention took")
    op.add_column("entity_column", settled, schema="audit")

    op.create_table(
        "forgotten",
        sa.Column("id", sa.Text, primary_key=True, comment="Number of the certificate"),
        sa.Column("source", sa.Text, nullable=False, comment="Source"),
        sa.Column("entity", sa.Text, nullable=False, comment="Entity"),
        sa.Column("salt", sa.LargeBinary, nullable=False, comment="Salt of the digest"),
        sa.Column(
            "digest",
            sa.LargeBinary,
            nullable=False,
            comment="Salted hash of the key: all that is known of it",
        ),
        sa.Column("forgotten_at", moment, nullable=False, comment="UTC"),
        sa.Column(
            "certificate", JSONB, comment="What was removed where; null: it broke off, and goes on next time"
        ),
        schema="audit",
    )


def downgrade() -> None:
    op.drop_table("forgotten", schema="audit")
    op.drop_column("entity_column", "settled", schema="audit")
    for name in ("bronze_due", "closed_before", "taken_until"):
        op.drop_column("entity_rule", name, schema="audit")
