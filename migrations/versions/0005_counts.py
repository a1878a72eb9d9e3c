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
    # nobody counted before: every row there is counts as of the kind that all of its column's values have together
    op.execute("""
        do $$
        declare known record; rows bigint;
        begin
            for known in select distinct table_name from audit.entity_column loop
                rows := 1;
                if to_regclass(format('silver.%I', known.table_name)) is not null then
                    execute format('select greatest(count(*), 1) from silver.%I', known.table_name) into rows;
                end if;
                update audit.entity_column set counts = case
                    when kind in ('null', 'lists') then '{}'::jsonb else jsonb_build_object(kind, rows) end
                where table_name = known.table_name;
            end loop;
        end $$""")


def downgrade() -> None:
    for name, _, _ in COLUMNS:
        op.drop_column("entity_column", name, schema="audit")
