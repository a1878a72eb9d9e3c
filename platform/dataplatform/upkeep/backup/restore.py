"""Puts an archive in the place of what is there, or leaves what is there as it was.

All that can go wrong comes first: the archive is unpacked beside what is live, compared, brought up to this release.
Then names change, which is quick, and journalled (journal.py): a kill at any moment leaves a state that `carry_on`
finishes or takes back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import sqlalchemy as sa

from dataplatform.audit import migrate, record
from dataplatform.audit.tables import HEAD
from dataplatform.embedded.up import who_is_up
from dataplatform.errors import BusyError, DataplatformError, ServerError, StorageError
from dataplatform.runs.locks import dead_among
from dataplatform.settings import Settings
from dataplatform.storage.postgres import connected, make_engine, nothing_removed
from dataplatform.upkeep.backup import files_part, journal, keys
from dataplatform.upkeep.backup.archive import Header, Manifest
from dataplatform.upkeep.backup.files_part import RawPart, WrittenPart
from dataplatform.upkeep.backup.journal import Journal
from dataplatform.upkeep.backup.make import WAIT, make_beside
from dataplatform.upkeep.backup.mongo_part import MongoPart
from dataplatform.upkeep.backup.postgres_part import PostgresPart
from dataplatform.upkeep.backup.staging import Archived, Beside, located, unpack
from dataplatform.upkeep.backup.stores import Stores, open_stores

log = logging.getLogger(__name__)
Ask = Callable[[Header], bool]


@dataclass(frozen=True)
class Restored:
    """What came back, from when, and where the files went that a person wrote."""

    archive: str
    made_at: str
    platform: str
    revision: str | None
    tables: int
    rows: int
    documents: int
    files: int
    seconds: float
    restore_point: str | None = None
    placed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Parts:
    """All that changes places."""

    postgres: PostgresPart
    mongo: MongoPart
    raw: RawPart
    written: WrittenPart

    @classmethod
    def of(cls, stores: Stores, targets: dict[str, str]) -> Parts:
        home = stores.settings.home_path
        return cls(
            PostgresPart(stores.postgres_url), MongoPart(stores.db), RawPart(stores.raw),
            WrittenPart(home, targets),
        )  # fmt: skip

    def all(self) -> tuple[PostgresPart | MongoPart | RawPart | WrittenPart, ...]:
        return self.postgres, self.mongo, self.raw, self.written

    def are_empty(self) -> bool:
        return self.postgres.is_empty() and self.mongo.is_empty() and self.raw.is_empty()


def restore(
    settings: Settings, text: str, secrets: list[str], ask: Ask, metadata: Path | None = None
) -> Restored | None:
    """`ask` is asked where something is there, which a backup is made of first; None where it says no."""
    home, began = settings.home_path, time.monotonic()
    archived = located(settings, text, secrets)
    with journal.alone(home):
        _refuse_unfinished(home)
        _refuse_up(home)
        header = archived.header()
        with open_stores(settings) as stores:
            point = None
            if not Parts.of(stores, {}).are_empty():
                _refuse_running(stores)
                if not ask(header):
                    return None
                point = make_beside(stores).archive
            wanted = str(metadata.absolute()) if metadata else None
            note = Journal(archived.location, metadata=wanted, restore_point=point)
            note, said = _put_in_place(stores, archived, journal.written(home, note))
        keys.adopt(home, archived.secrets[0])
    return _report(archived, header, said, note, began)


def go_on(settings: Settings, secrets: list[str]) -> str:
    """Finishes a restore that was interrupted, or its undoing; the archive's location."""
    home = settings.home_path
    with journal.alone(home):
        note = _interrupted(home)
        with open_stores(settings) as stores:
            if note.phase == "staging":
                _put_in_place(stores, located(settings, note.archive, secrets), note)
            else:
                carry_on(stores, note)
    return note.archive


def undo(settings: Settings) -> str:
    """Takes a restore back that was interrupted: what was there is there again. The archive's location."""
    home = settings.home_path
    with journal.alone(home):
        note = _interrupted(home)
        if note.phase == "clean":
            raise StorageError(
                "this restore had come to its end, there is nothing left to take back",
                f"dataplatform restore --continue, then restore {note.restore_point or 'another backup'}",
            )
        with open_stores(settings) as stores:
            _take_back(stores, note)
    return note.archive


def carry_on(stores: Stores, note: Journal) -> None:
    """From wherever it stands to its end."""
    home, parts = stores.settings.home_path, Parts.of(stores, note.targets)
    if note.phase == "out":
        stores.engine.dispose()
        for part in parts.all():
            part.move_out()
        note = note.at(home, "in")
    if note.phase == "in":
        for part in parts.all():
            part.move_in()
        _check_health(stores)
        note = note.at(home, "clean")
    if note.phase == "discard":
        for part in parts.all():
            part.discard()
        note = note.at(home, "back")
    if note.phase == "back":
        stores.engine.dispose()
        for part in parts.all():
            part.move_back()
        note = note.at(home, "clean")
    for part in parts.all():
        part.clean()
    journal.over(home)


def _put_in_place(stores: Stores, archived: Archived, note: Journal) -> tuple[Journal, Manifest]:
    """Unpacks, compares, migrates, changes names; whatever fails, what was there is there again."""
    home = stores.settings.home_path
    try:
        said, note = _staged(stores, archived, note)
        carry_on(stores, note.at(home, "out"))
    except BaseException as error:
        _take_back(stores, _interrupted(home))
        if isinstance(error, DataplatformError):
            error.message += "; what was there is as it was"
        raise
    return note, said


def _staged(stores: Stores, archived: Archived, note: Journal) -> tuple[Manifest, Journal]:
    home, parts = stores.settings.home_path, Parts.of(stores, {})
    for part in parts.all():
        part.clean()  # of a restore that was killed here
    with nothing_removed(stores.engine, WAIT):
        beside = Beside(parts.postgres, parts.mongo, parts.raw, parts.written)
        said = unpack(archived, beside)
        engine = make_engine(parts.postgres.url_of(parts.postgres.staging))
        try:
            migrate.upgrade(engine)
        finally:
            engine.dispose()
    staged = parts.written.staging
    files_part.for_this_key(staged / files_part.SECRETS)
    wanted = Path(note.metadata) if note.metadata else None
    places = files_part.targets(stores.settings, staged, wanted, files_part.now())
    return said, journal.written(home, replace(note, targets=places))


def _take_back(stores: Stores, note: Journal) -> None:
    steps: dict[str, journal.Phase] = {"staging": "clean", "out": "back", "in": "discard"}
    step = steps.get(note.phase)
    carry_on(stores, note.at(stores.settings.home_path, step) if step else note)


def _check_health(stores: Stores) -> None:
    engine = make_engine(stores.postgres_url)
    try:
        found = migrate.current_revision(engine)
    finally:
        engine.dispose()
    if found != HEAD:
        raise StorageError(f"the restored database is at revision {found} and not at {HEAD}")


def _refuse_unfinished(home: Path) -> None:
    if journal.read(home) is not None:
        raise StorageError(
            "another restore was interrupted here",
            "dataplatform restore --continue, or dataplatform restore --undo, first",
        )


def _interrupted(home: Path) -> Journal:
    found = journal.read(home)
    if found is None:
        raise StorageError(f"no restore was interrupted in {home}", "dataplatform restore ARCHIVE begins one")
    return found


def _refuse_up(home: Path) -> None:
    up = who_is_up(home)
    if up is not None:
        raise BusyError(f"`dataplatform up` is running ({up})", "end it (Ctrl-C there), then restore")


def _refuse_running(stores: Stores) -> None:
    with suppress(ServerError), connected(stores.engine) as connection:
        if not sa.inspect(connection).has_table("run", schema="audit"):
            return
        running = record.running(connection)
        alive = set(running) - dead_among(connection, running)
        if alive:
            raise BusyError(
                f"{len(alive)} runs are going on", "wait until they have ended, stop the worker, then restore"
            )


def _report(archived: Archived, header: Header, said: Manifest, note: Journal, began: float) -> Restored:
    return Restored(
        archived.location, header.made_at, header.platform, header.revision, len(said.tables),
        sum(t.number for t in said.tables.values()), sum(t.number for t in said.collections.values()),
        len(said.files), round(time.monotonic() - began, 2), note.restore_point,
        {prefix.rstrip("/"): place for prefix, place in note.targets.items()},
    )  # fmt: skip
