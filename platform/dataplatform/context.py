"""The Platform object: everything a move of data needs, put together once by bootstrap.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import Engine

from dataplatform.layers.bronze import Bronze
from dataplatform.layers.silver.ahead import Shelf
from dataplatform.metadata import Catalog
from dataplatform.processes import Processes
from dataplatform.secrets import Secrets
from dataplatform.settings import Settings
from dataplatform.storage import FileStore


@dataclass(frozen=True)
class Platform:
    """Frozen; handed on as an argument, never looked up."""

    settings: Settings
    catalog: Catalog
    engine: Engine
    bronze: Bronze
    raw: FileStore
    secrets: Secrets
    processes: Processes
    shelf: Shelf

    @property
    def base_dirs(self) -> tuple[Path, ...]:
        """Where relative paths of metadata start: the working directory, then the sources' folder."""
        return Path.cwd(), (self.catalog.root / "sources").absolute()
