"""The stores that a backup holds, opened as they are: nothing is migrated, no metadata are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pymongo
from pymongo.database import Database
from sqlalchemy.engine import Engine

from dataplatform.context import Platform
from dataplatform.embedded import start_servers
from dataplatform.embedded.private import make_private
from dataplatform.settings import Settings
from dataplatform.storage import FileStore
from dataplatform.storage.mongo import server_errors
from dataplatform.storage.postgres import make_engine

SELECTION_MS = 10_000  # how long a MongoDB that does not answer is waited for


@dataclass(frozen=True)
class Stores:
    """Postgres, MongoDB and raw of one platform."""

    settings: Settings
    engine: Engine
    db: Database[Any]
    raw: FileStore

    @classmethod
    def of(cls, platform: Platform) -> Stores:
        return cls(platform.settings, platform.engine, platform.bronze.db, platform.raw)

    @property
    def postgres_url(self) -> str:
        return self.engine.url.render_as_string(hide_password=False)


@contextmanager
def open_stores(settings: Settings) -> Iterator[Stores]:
    """For the block; embedded servers are started where they must be."""
    with ExitStack() as stack:
        make_private(settings.home_path)
        servers = start_servers(settings, prefect=False)
        stack.callback(servers.close)
        with server_errors(servers.mongo_url):
            client: pymongo.MongoClient[Any] = pymongo.MongoClient(
                servers.mongo_url, serverSelectionTimeoutMS=SELECTION_MS, tz_aware=True
            )
            stack.callback(client.close)
            db = client.get_default_database("dataplatform")
        engine = make_engine(servers.postgres_url)
        stack.callback(engine.dispose)
        yield Stores(settings, engine, db, FileStore(settings.raw_location))
