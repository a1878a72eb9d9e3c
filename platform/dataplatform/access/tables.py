"""Tables of users, sessions, tokens and failed tries."""

from __future__ import annotations

import sqlalchemy as sa

from dataplatform.audit.tables import metadata, moment

web_user = sa.Table(
    "web_user",
    metadata,
    sa.Column("name", sa.Text, primary_key=True, comment="Name to sign in with"),
    sa.Column("password", sa.Text, comment="argon2id; null: comes through a proxy only"),
    sa.Column("scope", sa.Text, nullable=False, comment="read, act or admin"),
    sa.Column("totp", sa.Text, comment="Secret of the second factor; null: none"),
    sa.Column("totp_step", sa.BigInteger, comment="Step of the last code, which works once"),
    sa.Column("created_at", moment, nullable=False, comment="UTC"),
    sa.Column("oidc", sa.Text, comment="Issuer and subject of the account that signs in; null: none"),
    sa.Column("by_group", sa.Boolean, comment="Let in by a group of the provider's, whose scope they have"),
    sa.Index("web_user_oidc", "oidc", unique=True),
)

web_oidc = sa.Table(
    "web_oidc",
    metadata,
    sa.Column("id", sa.Text, primary_key=True, comment="SHA-256 of the state and of the browser's cookie"),
    sa.Column("nonce", sa.Text, nullable=False, comment="SHA-256 of what the token has to repeat"),
    sa.Column("verifier", sa.Text, nullable=False, comment="PKCE: what the code is bound to"),
    sa.Column("there", sa.Text, nullable=False, comment="Path that the person wanted"),
    sa.Column("user_name", sa.Text, comment="Who links an account to themselves; null: a sign-in"),
    sa.Column("at", moment, nullable=False, comment="UTC"),
)

web_session = sa.Table(
    "web_session",
    metadata,
    sa.Column("id", sa.Text, primary_key=True, comment="SHA-256 of the cookie"),
    sa.Column("user_name", sa.Text, nullable=False, comment="Who signed in"),
    sa.Column("created_at", moment, nullable=False, comment="UTC"),
    sa.Column("seen_at", moment, nullable=False, comment="Last used, to the minute; UTC"),
    sa.Column("address", sa.Text, nullable=False, comment="Where from"),
    sa.Column("agent", sa.Text, nullable=False, comment="Browser, as it names itself"),
)

web_token = sa.Table(
    "web_token",
    metadata,
    sa.Column("id", sa.Text, primary_key=True, comment="SHA-256 of the token"),
    sa.Column("name", sa.Text, nullable=False, comment="What it is for"),
    sa.Column("scope", sa.Text, nullable=False, comment="read, act, admin; setup: makes the first user"),
    sa.Column("user_name", sa.Text, nullable=False, comment="Who made it"),
    sa.Column("created_at", moment, nullable=False, comment="UTC"),
    sa.Column("expires_at", moment, comment="UTC; null: never"),
    sa.Column("used_at", moment, comment="Last used, to the minute; UTC"),
)

web_attempt = sa.Table(
    "web_attempt",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column(
        "who", sa.Text, nullable=False, comment="SHA-256 of the name that was typed, or of the address"
    ),
    sa.Column("at", moment, nullable=False, comment="When a sign-in failed, UTC"),
    sa.Index("web_attempt_who", "who", "at"),
)
