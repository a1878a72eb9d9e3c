"""What a column's type is decided by: how many values of which kind there are, and what the source says; its place."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = (
    ("counts", JSONB, "How many values of which kind all versions have"),
    ("said", sa.Text, "Type that the source itself says it has"),
    ("position", sa.Integer, "Its place among the paths, as the source gives them"),
)


def upgrade() -> None:
    for name, type_, comment in COLUMNS:
        op.add_column("entity_column", sa.Column(name, type_, comment=comment), schema="audit")


def downgrade() -> None:
    for name, _, _ in COLUMNS:
        op.drop_column("entity_column", name, schema="audit")
