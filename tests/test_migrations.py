"""Alembic's migrations make the tables that the code uses."""

from __future__ import annotations

import sqlalchemy as sa
from conftest import Databases
from dataplatform.audit.tables import metadata
from dataplatform.events import tables as _events  # noqa: F401  # the tables of all parts are in one metadata
from dataplatform.layers.gold import tables as _gold  # noqa: F401
from dataplatform.layers.silver import tables as _silver  # noqa: F401
from dataplatform.quality import results as _results  # noqa: F401
from dataplatform.storage.postgres import make_engine


def test_migrations_make_the_tables_that_code_uses(databases: Databases) -> None:
    engine = make_engine(databases.postgres)
    inspector = sa.inspect(engine)
    for table in metadata.tables.values():
        there = {c["name"] for c in inspector.get_columns(table.name, schema="audit")}
        assert there == {c.name for c in table.columns}, table.name
    engine.dispose()
