"""What auto_dw works on: one schema, with the Platform's parts that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import Engine

from dataplatform.context import Platform
from dataplatform.metadata import Catalog
from dataplatform.settings import Settings


@dataclass(frozen=True)
class Workspace:
    """A schema of the Platform's database; `catalog` is what people wrote when the Platform was opened."""

    engine: Engine
    catalog: Catalog
    settings: Settings
    schema: str

    @classmethod
    def of(cls, platform: Platform, schema: str = "silver") -> Workspace:
        return cls(platform.engine, platform.catalog, platform.settings, schema)

    @property
    def root(self) -> Path:
        """The metadata folder: decisions are kept in it, and models written."""
        return self.catalog.root
