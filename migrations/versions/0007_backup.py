"""Which releases opened these data, and the backups that were made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "release",
        sa.Column(
            "version", sa.Text, primary_key=True, comment="Release of dataplatform that opened these data"
        ),
        sa.Column(
            "revision", sa.Text, nullable=False, comment="Revision of the platform's own tables it made"
        ),
        sa.Column("since", moment, nullable=False, comment="When it did so first, UTC"),
        schema="audit",
    )
    op.create_table(
        "backup",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("archive", sa.Text, nullable=False, comment="Where it lies"),
        sa.Column("status", sa.Text, nullable=False, comment="done or failed"),
        sa.Column("bytes", sa.BigInteger, nullable=False, comment="Size of the archive"),
        sa.Column("seconds", sa.Double, nullable=False, comment="Wall time"),
        sa.Column("error", sa.Text, comment="Why it failed"),
        sa.Column("finished_at", moment, nullable=False, comment="UTC"),
        schema="audit",
    )


def downgrade() -> None:
    op.drop_table("backup", schema="audit")
    op.drop_table("release", schema="audit")
