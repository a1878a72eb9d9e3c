"""What the metadata of sources say about silver's tables: a person's word, too."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from dataplatform.auto_dw.said.decisions import ColumnDecision, SchemaDecision, TableDecision
from dataplatform.layers.silver.plan import declared
from dataplatform.layers.silver.tables import entity_column
from dataplatform.metadata import Catalog
from dataplatform.metadata.source import Entity
from dataplatform.names import entity_table

SCHEMA = "silver"
Places = dict[str, tuple[str, str]]  # table and column of each path of an entity


def with_sources(conn: sa.Connection, catalog: Catalog, decisions: SchemaDecision) -> SchemaDecision:
    """The decisions, with keys and private columns as the metadata name them where auto_dw.yaml is silent."""
    found: dict[str, TableDecision] = {}
    places = _places(conn)
    for source in catalog.sources.values():
        for name, entity in source.entities.items():
            known = places.get((source.source, name))
            if known:
                found |= _tables(entity_table(source.source, name), entity, known)
    names = found | dict(decisions.tables)
    merged = {name: _merged(found.get(name), decisions.tables.get(name)) for name in names}
    return decisions.model_copy(update={"tables": merged})


def _places(conn: sa.Connection) -> dict[tuple[str, str], Places]:
    result: dict[tuple[str, str], Places] = {}
    for row in conn.execute(sa.select(entity_column)):
        if row.column_name:
            result.setdefault((row.source, row.entity), {})[row.path] = (row.table_name, row.column_name)
    return result


def _tables(root: str, entity: Entity, places: Mapping[str, tuple[str, str]]) -> dict[str, TableDecision]:
    key = [places.get(path.replace(".", "__")) for path in entity.key]
    columns: dict[str, dict[str, ColumnDecision]] = {root: {}}
    for path, column in declared(entity).items():
        if column.sensitive and path in places:
            table, name = places[path]
            columns.setdefault(table, {})[name] = ColumnDecision(sensitive=True)
    result = {table: TableDecision(columns=found) for table, found in columns.items()}
    if all(key):
        names = tuple(place[1] for place in key if place)
        result[root] = result[root].model_copy(update={"primary_key": names})
    return result


def _merged(in_source: TableDecision | None, decided: TableDecision | None) -> TableDecision:
    if in_source is None or decided is None:
        return decided or in_source or TableDecision()
    names = in_source.columns | dict(decided.columns)
    columns = {name: _column(in_source.columns.get(name), decided.columns.get(name)) for name in names}
    key = decided.primary_key or in_source.primary_key
    return decided.model_copy(update={"primary_key": key, "columns": columns})


def _column(in_source: ColumnDecision | None, decided: ColumnDecision | None) -> ColumnDecision:
    if in_source is None or decided is None or decided.sensitive is not None:
        return decided or in_source or ColumnDecision()
    return decided.model_copy(update={"sensitive": in_source.sensitive})
