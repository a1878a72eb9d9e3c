"""Sign-in by OpenID Connect: whose account of the provider a user is, and sign-ins that are under way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column(
        "web_user",
        sa.Column("oidc", sa.Text, comment="Issuer and subject of the account that signs in; null: none"),
        schema="audit",
    )
    op.add_column(
        "web_user",
        sa.Column(
            "by_group", sa.Boolean, comment="Let in by a group of the provider's, whose scope they have"
        ),
        schema="audit",
    )
    op.create_index("web_user_oidc", "web_user", ["oidc"], unique=True, schema="audit")
    op.create_table(
        "web_oidc",
        sa.Column(
            "id", sa.Text, primary_key=True, comment="SHA-256 of the state and of the browser's cookie"
        ),
        sa.Column("nonce", sa.Text, nullable=False, comment="SHA-256 of what the token has to repeat"),
        sa.Column("verifier", sa.Text, nullable=False, comment="PKCE: what the code is bound to"),
        sa.Column("there", sa.Text, nullable=False, comment="Path that the person wanted"),
        sa.Column("user_name", sa.Text, comment="Who links an account to themselves; null: a sign-in"),
        sa.Column("at", moment, nullable=False, comment="UTC"),
        schema="audit",
    )


def downgrade() -> None:
    op.drop_table("web_oidc", schema="audit")
    op.drop_index("web_user_oidc", "web_user", schema="audit")
    op.drop_column("web_user", "by_group", schema="audit")
    op.drop_column("web_user", "oidc", schema="audit")
