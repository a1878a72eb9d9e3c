"""What a person writes: Pydantic models of metadata/, the catalog that reads it, its JSON Schema."""

from dataplatform.metadata.catalog import Catalog, load_catalog, read_catalog
from dataplatform.metadata.gold import GoldModel
from dataplatform.metadata.markers import Key, Scd1, Sensitive, Type
from dataplatform.metadata.problem import Problem
from dataplatform.metadata.source import Entity, Source

__all__ = [
    "Catalog",
    "Entity",
    "GoldModel",
    "Key",
    "Problem",
    "Scd1",
    "Sensitive",
    "Source",
    "Type",
    "load_catalog",
    "read_catalog",
]
