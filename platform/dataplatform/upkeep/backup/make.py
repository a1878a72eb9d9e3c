"""Makes a backup: Postgres as of one moment, then MongoDB, then raw, then files.

What comes later in this order is what the earlier is made of: bronze and raw may be newer than silver, never older, and
the next run takes what silver has not seen. So runs go on while a backup is made; what removes history waits (ADR 16).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import sqlalchemy as sa

from dataplatform import __version__
from dataplatform.audit import tables as t
from dataplatform.errors import DataplatformError, StorageError
from dataplatform.storage import FileStore
from dataplatform.storage.postgres import nothing_removed, transaction
from dataplatform.upkeep.backup import files_part, keep, keys, mongo_part, postgres_part
from dataplatform.upkeep.backup.archive import HEADER as FIRST
from dataplatform.upkeep.backup.archive import (
    MANIFEST,
    NAME,
    SUFFIX,
    Header,
    Manifest,
    Member,
    as_member,
    write,
)
from dataplatform.upkeep.backup.stores import Stores

WAIT = 60.0  # seconds for something that removes history
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """A backup: where it lies, how much is in it, which older ones went."""

    archive: str
    bytes: int
    seconds: float
    rows: int
    documents: int
    files: int
    removed: list[str] = field(default_factory=list)


def make(stores: Stores, to: str | None = None) -> Made:
    """One archive, complete or absent; then older ones go that are not to be kept. Raises BusyError, StorageError."""
    keep.parsed(stores.settings.backup_keep)  # a wrong rule is told before the work
    made = make_beside(stores, to)
    store = target(to or stores.settings.backup_location)
    return replace(made, removed=keep.prune(store, stores.settings.backup_keep))


def make_beside(stores: Stores, to: str | None = None) -> Made:
    """One archive, beside those that are there: before something is changed that may have to be taken back."""
    settings, began = stores.settings, time.monotonic()
    store = target(to or settings.backup_location)
    name = f"{NAME}{datetime.now(UTC).strftime('%Y%m%dT%H%M%S%f')[:-3]}Z{SUFFIX}"
    manifest = Manifest()
    try:
        with nothing_removed(stores.engine, WAIT):
            keep.sweep(store)
            recipient = keys.ensured(settings.home_path).recipient()
            size = write(store, name, _contents(stores, manifest), recipient)
        if store.sizes("").get(name) != size:
            raise StorageError(
                f"{store.location(name)} is not as long as what was written", "look at that disk"
            )
    except DataplatformError as error:
        _record(stores, store.location(name), 0, began, error.message)
        raise
    _record(stores, store.location(name), size, began)
    return Made(
        store.location(name), size, round(time.monotonic() - began, 2),
        sum(tally.number for tally in manifest.tables.values()),
        sum(tally.number for tally in manifest.collections.values()),
        len(manifest.files),
    )  # fmt: skip


def target(location: str) -> FileStore:
    return FileStore(location, "the folder of backups: --to, DATAPLATFORM_BACKUP_URL")


def _contents(stores: Stores, manifest: Manifest) -> Generator[Member]:
    with postgres_part.snapshot(stores.engine) as found:
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        yield as_member(FIRST, Header(__version__, found.revision, made_at, found.roles))
        manifest.tables.update(found.tallies())
        yield from postgres_part.dumped(found)
    yield from mongo_part.dumped(stores.db, manifest)
    yield from files_part.dumped(stores.settings, stores.raw, manifest)
    manifest.finished_at = datetime.now(UTC).isoformat(timespec="seconds")
    yield as_member(MANIFEST, manifest)


def _record(stores: Stores, archive: str, size: int, began: float, error: str | None = None) -> None:
    """A row of audit.backup; none where an older release made the tables, or where the server is the trouble."""
    row = {
        "archive": archive,
        "status": "failed" if error else "done",
        "bytes": size,
        "seconds": round(time.monotonic() - began, 2),
        "error": error,
        "finished_at": datetime.now(UTC),
    }
    try:
        with transaction(stores.engine) as connection:
            if sa.inspect(connection).has_table(t.backup.name, schema="audit"):
                connection.execute(t.backup.insert().values(row))
    except DataplatformError as problem:
        log.debug("the backup is not noted: %s", problem)
