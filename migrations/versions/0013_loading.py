"""Where large first loads fill their tables, until these take their place in silver."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create schema if not exists silver_loading")
    op.execute(
        "comment on schema silver_loading is 'Tables of first loads that are under way; empty otherwise'"
    )


def downgrade() -> None:
    op.execute("drop schema silver_loading cascade")
