"""Which batch was the last to say nothing of a column: keys it brought have no last known value of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "entity_column",
        sa.Column(
            "silent_batch",
            sa.Text,
            nullable=False,
            server_default="",
            comment="Newest batch that lacks it; '': none",
        ),
        schema="audit",
    )
    # batches of before may have lacked any column: the sure path decides until one has them all
    op.execute("""update audit.entity_column c set silent_batch = coalesce((
        select max(l.batch_id) from audit.load l
        where l.source = c.source and l.entity = c.entity and l.layer = 'silver'), '')""")


def downgrade() -> None:
    op.drop_column("entity_column", "silent_batch", schema="audit")
