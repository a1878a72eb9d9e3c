"""What gold keeps of a model beside its rows."""

from __future__ import annotations

import sqlalchemy as sa

from dataplatform.audit.tables import metadata, moment

gold_model = sa.Table(
    "gold_model",
    metadata,
    sa.Column("name", sa.Text, primary_key=True, comment="Model"),
    sa.Column("fingerprint", sa.Text, nullable=False, comment="Hash of header and SQL"),
    sa.Column("materialized", sa.Text, nullable=False, comment="view, table or incremental"),
    sa.Column("seen_until", moment, comment="incremental: changes seen so far, UTC"),
    sa.Column("rows", sa.BigInteger, nullable=False, comment="Rows after the build"),
    sa.Column("seconds", sa.Double, nullable=False, comment="Wall time of the build"),
    sa.Column("built_at", moment, nullable=False, comment="UTC"),
)
