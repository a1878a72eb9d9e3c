"""auto_dw: profiles kept between evaluations, builds, requests from SQL, answers of an LLM."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("create schema if not exists auto_dw")
    op.create_table(
        "profile",
        sa.Column("schema_name", sa.Text, primary_key=True, comment="Schema that was looked at"),
        sa.Column("table_name", sa.Text, primary_key=True, comment="Table"),
        sa.Column("fingerprint", sa.Text, nullable=False, comment="Changes when the table does"),
        sa.Column("body", sa.LargeBinary, nullable=False, comment="Measures, JSON; no values but hashes"),
        schema="auto_dw",
    )
    op.create_table(
        "build",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("schema_name", sa.Text, nullable=False, comment="Schema the warehouse is built from"),
        sa.Column("style", sa.Text, nullable=False, comment="kimball or data_vault"),
        sa.Column("status", sa.Text, nullable=False, comment="done, failed or undone"),
        sa.Column("changes", JSONB, nullable=False, comment="What it added, changed and removed"),
        sa.Column("files", JSONB, nullable=False, comment="The models as they were before"),
        sa.Column("created_at", _moment, nullable=False, comment="UTC"),
        schema="auto_dw",
    )
    op.create_table(
        "request",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column(
            "verb", sa.Text, nullable=False, comment="evaluate, plan, go, omit, include, status, health"
        ),
        sa.Column("arguments", JSONB, nullable=False, comment="Arguments of the verb"),
        sa.Column("status", sa.Text, nullable=False, comment="waiting, running, done or failed"),
        sa.Column("result", JSONB, comment="The answer"),
        sa.Column("error", sa.Text, comment="Why it failed"),
        sa.Column("created_at", _moment, nullable=False, server_default=sa.text("now()"), comment="UTC"),
        sa.Column("finished_at", _moment, comment="UTC"),
        schema="auto_dw",
    )
    op.create_table(
        "answer",
        sa.Column("id", sa.Text, primary_key=True, comment="Hash of model and prompt"),
        sa.Column("model", sa.Text, nullable=False, comment="The LLM"),
        sa.Column("body", JSONB, nullable=False, comment="What it said, after validation"),
        sa.Column("tokens", sa.BigInteger, nullable=False, comment="Tokens of prompt and answer"),
        sa.Column("created_at", _moment, nullable=False, comment="UTC"),
        schema="auto_dw",
    )


def downgrade() -> None:
    op.execute("drop schema auto_dw cascade")
