"""What the metadata of sources say about silver's tables: a person's word, too."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from dataplatform.auto_dw.decisions import ColumnDecision, SchemaDecision, TableDecision
from dataplatform.layers.silver.plan import declared
from dataplatform.layers.silver.tables import entity_column
from dataplatform.metadata import Catalog
from dataplatform.metadata.source import Entity
from dataplatform.names import entity_table

SCHEMA = "silver"


Places = dict[str, tuple[str, str]]  # table and column of each path of an entity


def decided(conn: sa.Connection, catalog: Catalog, own: SchemaDecision) -> SchemaDecision:
    """The decisions, with keys and private columns as the metadata name them where auto_dw.yaml is silent."""
    found: dict[str, TableDecision] = {}
    places = _places(conn)
    for source in catalog.sources.values():
        for name, entity in source.entities.items():
            known = places.get((source.source, name))
            if known:
                found |= _tables(entity_table(source.source, name), entity, known)
    merged = {name: _merged(found.get(name), own.tables.get(name)) for name in found | dict(own.tables)}
    return own.model_copy(update={"tables": merged})


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


def _merged(said: TableDecision | None, own: TableDecision | None) -> TableDecision:
    if said is None or own is None:
        return own or said or TableDecision()
    columns = {
        name: _column(said.columns.get(name), own.columns.get(name))
        for name in said.columns | dict(own.columns)
    }
    return own.model_copy(update={"primary_key": own.primary_key or said.primary_key, "columns": columns})


def _column(said: ColumnDecision | None, own: ColumnDecision | None) -> ColumnDecision:
    if said is None or own is None or own.sensitive is not None:
        return own or said or ColumnDecision()
    return own.model_copy(update={"sensitive": said.sensitive})
