"""Tries a backup: unpacks it into throw-away servers, and compares every table, collection and file."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dataplatform.embedded import mongo, postgres
from dataplatform.errors import EmbeddedServerError
from dataplatform.settings import Settings
from dataplatform.upkeep.backup.mongo_part import MongoPart
from dataplatform.upkeep.backup.postgres_part import PostgresPart
from dataplatform.upkeep.backup.staging import Beside, Nowhere, located, unpack
from dataplatform.upkeep.backup.stores import open_stores


@dataclass(frozen=True)
class Verified:
    """What was compared, and found to be what went in."""

    archive: str
    made_at: str
    platform: str
    revision: str | None
    tables: int
    rows: int
    collections: int
    documents: int
    files: int
    bytes: int
    seconds: float


def verify(settings: Settings, text: str, secrets: list[str]) -> Verified:
    """Raises StorageError that names what differs; nothing live is touched."""
    archived, began = located(settings, text, secrets), time.monotonic()
    header = archived.header()
    with _throwaway(settings) as beside:
        said = unpack(archived, beside)
    return Verified(
        archived.location, header.made_at, header.platform, header.revision,
        len(said.tables), sum(t.number for t in said.tables.values()),
        len(said.collections), sum(t.number for t in said.collections.values()),
        len(said.files), sum(t.number for t in said.files.values()),
        round(time.monotonic() - began, 2),
    )  # fmt: skip


@contextmanager
def _throwaway(settings: Settings) -> Iterator[Beside]:
    """Servers of their own under HOME; without embedded ones, databases of their own on the servers there are."""
    home = settings.home_path / f"verify-{os.getpid()}"
    for left in settings.home_path.glob("verify-*"):
        if not Path(f"/proc/{left.name.removeprefix('verify-')}").exists():
            shutil.rmtree(left, ignore_errors=True)
    apart = {"home": home, "linger": 0.0, "raw_url": None}
    if _are_embedded():
        apart |= {"postgres_url": None, "mongo_url": None}
    try:
        with open_stores(settings.model_copy(update=apart)) as stores:
            db = stores.db.client[f"{stores.db.name}__verify"]
            beside = Beside(_beside(stores.postgres_url), MongoPart(db), Nowhere(), Nowhere())
            try:
                yield beside
            finally:
                beside.postgres.clean()
                db.client.drop_database(db.name)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _beside(url: str) -> PostgresPart:
    live = PostgresPart(url)
    return PostgresPart(live.url_of(f"{live.live}__verify"))


def _are_embedded() -> bool:
    try:
        return bool(postgres.programs() and mongo.binary())
    except EmbeddedServerError:
        return False
