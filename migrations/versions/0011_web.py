"""The web pages: users, sessions, tokens, failed sign-ins; an index for the newest runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "web_user",
        sa.Column("name", sa.Text, primary_key=True, comment="Name to sign in with"),
        sa.Column("password", sa.Text, comment="argon2id; null: comes through a proxy only"),
        sa.Column("scope", sa.Text, nullable=False, comment="read, act or admin"),
        sa.Column("totp", sa.Text, comment="Secret of the second factor; null: none"),
        sa.Column("totp_step", sa.BigInteger, comment="Step of the last code, which works once"),
        sa.Column("created_at", moment, nullable=False, comment="UTC"),
        schema="audit",
    )
    op.create_table(
        "web_session",
        sa.Column("id", sa.Text, primary_key=True, comment="SHA-256 of the cookie"),
        sa.Column("user_name", sa.Text, nullable=False, comment="Who signed in"),
        sa.Column("created_at", moment, nullable=False, comment="UTC"),
        sa.Column("seen_at", moment, nullable=False, comment="Last used, to the minute; UTC"),
        sa.Column("address", sa.Text, nullable=False, comment="Where from"),
        sa.Column("agent", sa.Text, nullable=False, comment="Browser, as it names itself"),
        schema="audit",
    )
    op.create_table(
        "web_token",
        sa.Column("id", sa.Text, primary_key=True, comment="SHA-256 of the token"),
        sa.Column("name", sa.Text, nullable=False, comment="What it is for"),
        sa.Column("scope", sa.Text, nullable=False, comment="read, act, admin; setup: makes the first user"),
        sa.Column("user_name", sa.Text, nullable=False, comment="Who made it"),
        sa.Column("created_at", moment, nullable=False, comment="UTC"),
        sa.Column("expires_at", moment, comment="UTC; null: never"),
        sa.Column("used_at", moment, comment="Last used, to the minute; UTC"),
        schema="audit",
    )
    op.create_table(
        "web_attempt",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column(
            "who", sa.Text, nullable=False, comment="SHA-256 of the name that was typed, or of the address"
        ),
        sa.Column("at", moment, nullable=False, comment="When a sign-in failed, UTC"),
        schema="audit",
    )
    op.create_index("web_attempt_who", "web_attempt", ["who", "at"], schema="audit")
    op.create_index("run_started", "run", ["started_at"], schema="audit")
    op.create_index("run_source", "run", ["source", "started_at"], schema="audit")


def downgrade() -> None:
    op.drop_index("run_source", "run", schema="audit")
    op.drop_index("run_started", "run", schema="audit")
    for name in ("web_attempt", "web_token", "web_session", "web_user"):
        op.drop_table(name, schema="audit")
