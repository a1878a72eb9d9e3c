"""Retention: the horizon of an entity's history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0006"
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


def downgrade() -> None:
    op.drop_column("entity_column", "settled", schema="audit")
    for name in ("bronze_due", "closed_before", "taken_until"):
        op.drop_column("entity_rule", name, schema="audit")
