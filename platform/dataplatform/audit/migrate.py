"""Brings the platform's own tables up to date with Alembic, and keeps older programs from newer data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine

from dataplatform import __version__, project
from dataplatform.audit.tables import HEAD, release
from dataplatform.errors import SettingsError
from dataplatform.storage.postgres import connected, exclusive, transaction

WAIT = 600.0  # seconds for a process beside us that brings them up to date, and makes its backup first


def current_revision(engine: Engine) -> str | None:
    """Revision the database is at; None for a new one."""
    with connected(engine) as connection:
        if not sa.inspect(connection).has_table("alembic_version", schema="audit"):
            return None
        query = sa.text("select version_num from audit.alembic_version")
        return connection.execute(query).scalar_one_or_none()


def upgrade(engine: Engine, before: Callable[[], object] | None = None) -> bool:
    """Upgrades to HEAD where needed; True if there was something to do.

    `before` is called once, before data of an older release are changed. Raises SettingsError for data of a newer one.
    """
    found = current_revision(engine)
    if found == HEAD and _is_noted(engine):
        return False
    _refuse_newer(found)
    with exclusive(engine, "dataplatform migrate", wait=WAIT):
        found = current_revision(engine)  # somebody beside us may have been faster
        _refuse_newer(found)
        if found not in (None, HEAD) and before is not None:
            before()
        if found != HEAD:
            _run_alembic(engine)
        _note(engine)
    return found != HEAD


def is_newer(version: str) -> bool:
    """Whether a release may hold what this one does not understand; its last number stands for corrections."""
    return _release(version) > _release(__version__)


def _refuse_newer(found: str | None) -> None:
    if found is not None and found > HEAD:
        raise SettingsError(
            f"the database is at revision {found}, newer than this program's {HEAD} (dataplatform {__version__})",
            "update dataplatform, restore the backup that was made before the upgrade, or point "
            "DATAPLATFORM_POSTGRES_URL at another database",
        )


def _is_noted(engine: Engine) -> bool:
    """Whether this release has opened these data before; raises SettingsError where a newer one has."""
    with connected(engine) as connection:
        versions = set(connection.execute(sa.select(release.c.version)).scalars())
    newer = sorted(filter(is_newer, versions), key=_release)
    if newer:
        raise SettingsError(
            f"dataplatform {newer[-1]} has worked on these data; this is {__version__}, which is older",
            f"update dataplatform to {newer[-1]}, or restore the backup that was made before the upgrade",
        )
    return __version__ in versions


def _note(engine: Engine) -> None:
    row = {"version": __version__, "revision": HEAD, "since": datetime.now(UTC)}
    with transaction(engine) as connection:
        connection.execute(insert(release).values(row).on_conflict_do_nothing())


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _run_alembic(engine: Engine) -> None:
    from alembic import command  # 0.3 s of import, needed about once in a database's life
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(project.migrations()))
    with transaction(engine) as connection:
        connection.execute(sa.text("create schema if not exists audit"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
