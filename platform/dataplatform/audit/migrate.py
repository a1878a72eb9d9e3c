"""Brings the platform's own tables up to date with Alembic."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform import project
from dataplatform.audit.tables import HEAD
from dataplatform.errors import SettingsError
from dataplatform.storage.postgres import connected, exclusive, transaction


def current_revision(engine: Engine) -> str | None:
    """Revision the database is at; None for a new one."""
    with connected(engine) as connection:
        if not sa.inspect(connection).has_table("alembic_version", schema="audit"):
            return None
        query = sa.text("select version_num from audit.alembic_version")
        return connection.execute(query).scalar_one_or_none()


def upgrade(engine: Engine) -> bool:
    """Upgrades to HEAD where needed; True if there was something to do."""
    found = current_revision(engine)
    if found == HEAD:
        return False
    if found is not None and found > HEAD:
        raise SettingsError(
            f"the database is at revision {found}, newer than this program's {HEAD}",
            "update dataplatform, or point DATAPLATFORM_POSTGRES_URL at another database",
        )
    with exclusive(engine, "dataplatform migrate", wait=120):
        _run_alembic(engine)
    return True


def _run_alembic(engine: Engine) -> None:
    from alembic import command  # 0.3 s of import, needed about once in a database's life
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(project.migrations()))
    with transaction(engine) as connection:
        connection.execute(sa.text("create schema if not exists audit"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
