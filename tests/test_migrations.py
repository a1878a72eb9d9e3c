"""Alembic's migrations make the tables that the code uses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from conftest import Databases, MakeWorld
from dataplatform import project
from dataplatform.audit import migrate
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


def test_columns_of_an_older_release_count_as_what_they_were(make_world: MakeWorld, files: str) -> None:
    """One misfit among their rows waits in quarantine then; it does not make text of a column of numbers."""
    world = make_world(s=files + "  e: {file: e.jsonl, key: [id], max_delete: 1.0}\n")
    numbers = "".join(f'{{"id": {n}, "v": {n}, "l": [1]}}\n' for n in range(40))
    world.write("e.jsonl", numbers)
    world.run()
    config = Config()
    config.set_main_option("script_location", str(project.migrations()))
    with world.platform.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0004")
    assert migrate.upgrade(world.platform.engine)
    counts = (
        "select path, counts from audit.entity_column where path in ('v', 'l', 'l[].value') order by path"
    )
    assert world.rows(counts) == [("l", {}), ("l[].value", {"int": 40}), ("v", {"int": 40})]
    world.write("e.jsonl", numbers + '{"id": 99, "v": "n/a", "l": []}\n')
    assert world.run().status == "done with warnings"
    assert world.rows("select pg_typeof(v)::text from silver.s__e limit 1") == [("bigint",)]
