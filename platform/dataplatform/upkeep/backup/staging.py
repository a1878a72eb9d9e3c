"""Unpacks an archive beside what is live, and compares what came out with what the archive says went in."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Protocol

from dataplatform import __version__
from dataplatform.audit import migrate
from dataplatform.audit.tables import HEAD
from dataplatform.errors import SettingsError, StorageError
from dataplatform.settings import Settings
from dataplatform.storage import FileStore
from dataplatform.upkeep.backup import archive as a
from dataplatform.upkeep.backup import files_part, keys, mongo_part
from dataplatform.upkeep.backup.archive import Header, Manifest, Member, Tally
from dataplatform.upkeep.backup.make import target
from dataplatform.upkeep.backup.mongo_part import MongoPart
from dataplatform.upkeep.backup.postgres_part import DUMP, PostgresPart

log = logging.getLogger(__name__)


class Sink(Protocol):
    """Where files are put."""

    def stage(self, path: str, chunks: Iterator[bytes]) -> None: ...


class Nowhere:
    """Files that are only to be read through."""

    def stage(self, path: str, chunks: Iterator[bytes]) -> None:
        for _ in chunks:
            pass


@dataclass(frozen=True)
class Beside:
    """Where an archive is unpacked to."""

    postgres: PostgresPart
    mongo: MongoPart
    raw: Sink
    written: Sink


@dataclass(frozen=True)
class Archived:
    """An archive that a person named, and the keys that may open it."""

    store: FileStore
    name: str
    secrets: list[str]

    @property
    def location(self) -> str:
        return self.store.location(self.name)

    def header(self) -> Header:
        """Raises SecretError, StorageError; SettingsError where it is of a newer release."""
        with a.opened(self.store, self.name, keys.identities(self.secrets)) as found:
            refuse_newer(self.location, found.header)
            return found.header


def located(settings: Settings, text: str, secrets: list[str]) -> Archived:
    """A file or URL, or the name of one among the backups, `latest` the newest; raises StorageError."""
    from dataplatform.upkeep.backup.keep import archives

    store, name = target(settings.backup_location), text
    if "://" in text or "/" in text or Path(text).is_file():
        folder, _, name = (text if "://" in text else os.path.abspath(text)).rpartition("/")
        store = target(folder or "/")
    elif text == "latest":
        there = archives(store)
        name = there[0].name if there else ""
    if not name or not store.exists(name):
        raise StorageError(
            f"there is no backup {store.location(name) if name else f'in {store.root}'}",
            "see: dataplatform backup list",
        )
    return Archived(store, name, secrets)


def refuse_newer(where: str, header: Header) -> None:
    """Raises SettingsError where this program is older than what it would have to understand."""
    if (header.revision or "") > HEAD or migrate.is_newer(header.platform):
        raise SettingsError(
            f"{where} was made by dataplatform {header.platform} (revision {header.revision}); this is "
            f"{__version__} (revision {HEAD}), which is older",
            f"update dataplatform to {header.platform} or newer, then restore",
        )


def unpack(archived: Archived, beside: Beside) -> Manifest:
    """Puts everything beside what is live; raises StorageError where the archive has no end."""
    with a.opened(archived.store, archived.name, keys.identities(archived.secrets)) as found:
        seen, said = Manifest(), None
        # groupby reads one ahead only when the group before is used up, as a stream wants it
        for kind, members in groupby(found.members, key=_kind):
            if kind == a.MANIFEST:
                said = a.manifest_of(next(members))
            else:
                _unpack(kind, members, beside, found.header, seen)
        if said is None:
            raise StorageError(f"{archived.location} has no end: it was cut short", "take another archive")
    seen.tables, seen.collections = beside.postgres.staged(), beside.mongo.staged()
    refuse_differences(archived.location, differences(said, seen))
    return said


def _kind(one: Member) -> str:
    return DUMP if one.name.startswith(f"{DUMP}.") else one.name.split("/")[0]


def _unpack(kind: str, members: Iterator[Member], beside: Beside, header: Header, seen: Manifest) -> None:
    if kind == DUMP:
        beside.postgres.stage(members, header.roles)
        return
    for one in members:
        if kind == "mongo":
            beside.mongo.stage(mongo_part.collection_of(one), one)
        else:
            sink = beside.raw if one.name.startswith(files_part.RAW) else beside.written
            path = one.name.removeprefix(files_part.RAW)
            sink.stage(path, files_part.counted(one, seen.files))


def differences(said: Manifest, seen: Manifest) -> list[str]:
    """What an archive says it holds, and what was found, where they are not the same."""
    return list(
        chain(
            _differences("table", "rows", said.tables, seen.tables),
            _differences("collection", "documents", said.collections, seen.collections),
            _differences("file", "bytes", said.files, seen.files),
        )
    )


def _differences(kind: str, unit: str, said: Mapping[str, Tally], seen: Mapping[str, Tally]) -> Iterator[str]:
    for name in sorted(said.keys() | seen.keys()):
        one, other = said.get(name), seen.get(name)
        if one is None or other is None:
            yield f"{kind} {name}: {'is not in' if other is None else 'is only in'} what came out"
        elif one.number != other.number:
            yield f"{kind} {name}: {other.number:,} {unit} instead of {one.number:,}"
        elif one.digest != other.digest:
            yield f"{kind} {name}: as many {unit}, but not the same"


def refuse_differences(where: str, found: list[str]) -> None:
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise StorageError(
            f"{where} does not hold what it says: {'; '.join(found[:3])}{more}", "take another archive"
        )
