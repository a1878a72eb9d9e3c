"""Profiles with the names that their tables and columns are meant to have."""

from __future__ import annotations

from dataclasses import replace

from dataplatform.auto_dw.look.profiles import SchemaProfile, TableProfile
from dataplatform.auto_dw.names.spelling import Meant, meant


def spelled(schema: SchemaProfile) -> SchemaProfile:
    """The schema with `spoken` set where a name is meant otherwise than it is written."""
    names = meant({name: [c.name for c in table.columns] for name, table in schema.tables.items()})
    return replace(schema, tables={n: _spelled(table, names[n]) for n, table in schema.tables.items()})


def _spelled(table: TableProfile, names: Meant) -> TableProfile:
    columns = tuple(replace(c, spoken=names.columns[c.name]) for c in table.columns)
    return replace(table, spoken=names.table, columns=columns)
