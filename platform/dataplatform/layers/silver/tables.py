"""What silver keeps of an entity beside its rows: its rule and its columns."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from dataplatform.audit.tables import metadata

entity_rule = sa.Table(
    "entity_rule",
    metadata,
    sa.Column("source", sa.Text, primary_key=True, comment="Source"),
    sa.Column("entity", sa.Text, primary_key=True, comment="Entity"),
    sa.Column("rule", sa.Text, nullable=False, comment="What decides silver's rows beside the data, as JSON"),
    sa.Column("taken_until", sa.Text, comment="Newest batch that retention took: older ones come too late"),
    sa.Column(
        "closed_before",
        sa.DateTime(timezone=True),
        comment="Versions that ended by then are not made anew, UTC",
    ),
    sa.Column("bronze_due", sa.Boolean, comment="Retention broke off before bronze followed"),
)

entity_column = sa.Table(
    "entity_column",
    metadata,
    sa.Column("source", sa.Text, primary_key=True, comment="Source"),
    sa.Column("entity", sa.Text, primary_key=True, comment="Entity"),
    sa.Column("path", sa.Text, primary_key=True, comment="Path in the record"),
    sa.Column("table_name", sa.Text, nullable=False, comment="Table in silver"),
    sa.Column("column_name", sa.Text, nullable=False, comment="Column in silver"),
    sa.Column("kind", sa.Text, nullable=False, comment="Join of its values' kinds"),
    sa.Column("type", sa.Text, comment="Postgres type; null: no column (yet)"),
    sa.Column("first_batch", sa.Text, nullable=False, comment="Oldest batch that has it"),
    sa.Column(
        "silent_batch",
        sa.Text,
        nullable=False,
        server_default="",
        comment="Newest batch that lacks it; '': none",
    ),
    sa.Column("counts", JSONB, comment="How many values of which kind all versions have"),
    sa.Column("settled", JSONB, comment="Those of the counts whose versions retention took"),
    sa.Column("said", sa.Text, comment="Type that the source itself says it has"),
    sa.Column("position", sa.Integer, comment="Its place among the paths, as the source gives them"),
)
