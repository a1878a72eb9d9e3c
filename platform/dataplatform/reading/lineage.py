"""What gold's models read, and what reads them; from the metadata alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class ColumnSource:
    """A column of a model, and the columns of tables (schema.table.column) that its values come from."""

    column: str
    sources: tuple[str, ...]


def columns_of(
    catalog: Catalog, name: str, known: Mapping[str, Sequence[str]], most: int = 80
) -> tuple[ColumnSource, ...]:
    """Where the columns of a model come from; empty where it cannot be told. `known`: columns by table."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage as trace
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    places: dict[str, dict[str, dict[str, str]]] = {}
    for table, columns in known.items():
        place, _, own = table.partition(".")
        places.setdefault(place, {})[own] = dict.fromkeys(columns, "text")
    schema: dict[str, object] = dict(places)
    try:
        query = sqlglot.parse_one(catalog.models[name].sql.replace(":since", "null"), read="postgres")
        query = qualify(query, dialect="postgres", schema=schema, validate_qualify_columns=False)
        scope = build_scope(query)
        if scope is None or not isinstance(query, exp.Query):
            return ()
        found = []
        for column in query.named_selects[:most]:
            leaves = {
                f"{node.source.db}.{node.source.name}.{node.name.rsplit('.', 1)[-1]}"
                for node in trace(column, query, schema=schema, scope=scope, dialect="postgres").walk()
                if isinstance(node.source, exp.Table) and node.source.db
            }
            found.append(ColumnSource(column, tuple(sorted(leaf.replace('"', "") for leaf in leaves))))
        return tuple(found)
    except (SqlglotError, KeyError, ValueError, RecursionError):
        return ()
