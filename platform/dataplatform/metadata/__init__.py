"""What a person writes: Pydantic models of metadata/, the catalog that reads it, its JSON Schema."""

from dataplatform.metadata.catalog import Catalog, Problem, load_catalog, read_catalog
from dataplatform.metadata.gold import GoldModel
from dataplatform.metadata.source import Entity, Source

__all__ = ["Catalog", "Entity", "GoldModel", "Problem", "Source", "load_catalog", "read_catalog"]
