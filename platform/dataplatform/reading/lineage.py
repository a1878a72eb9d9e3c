"""What gold's models read, and what reads them; from the metadata alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dataplatform.layers.gold.lineage import usable
from dataplatform.metadata import Catalog


@dataclass(frozen=True)
class ModelLineage:
    """One model: the models and the other tables (schema.table) that it reads, and the models that read it."""

    name: str
    models: tuple[str, ...]
    tables: tuple[str, ...]
    read_by: tuple[str, ...]


@dataclass(frozen=True)
class Lineage:
    """All models, each after those it reads."""

    models: tuple[ModelLineage, ...]

    def as_json(self) -> dict[str, Any]:
        """The document of `gold lineage --json`."""
        return {
            model.name: {"models": model.models, "tables": model.tables, "read_by": model.read_by}
            for model in self.models
        }


def lineage(catalog: Catalog) -> Lineage:
    """Parses every model; one that is wrong is left out, with those that read it: `check` says why."""
    found = usable(catalog.models)
    names, reads = found.order, found.reads
    return Lineage(
        tuple(
            ModelLineage(
                name,
                reads[name].models,
                reads[name].tables,
                tuple(reader for reader in names if name in reads[reader].models),
            )
            for name in names
        )
    )
