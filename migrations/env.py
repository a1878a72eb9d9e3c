"""Alembic's environment: runs on the connection that `dataplatform migrate` hands over."""

from __future__ import annotations

from alembic import context
from dataplatform.audit.tables import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run migrations with: dataplatform migrate")

context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table_schema="audit",
    include_schemas=True,
)
with context.begin_transaction():
    context.run_migrations()
