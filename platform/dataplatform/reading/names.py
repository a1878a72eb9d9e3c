"""Which table, entity or record a person means by what they type."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa

from dataplatform.errors import MetadataError
from dataplatform.metadata import Catalog
from dataplatform.metadata.source import Entity
from dataplatform.names import shortened
from dataplatform.records.record import key_hash
from dataplatform.records.refs import EntityRef

_RELATIONS = sa.text(
    "select nspname, relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
    "where nspname in ('silver', 'gold') and relkind in ('r', 'p', 'v', 'm') order by nspname desc, relname"
)


@dataclass(frozen=True, order=True)
class TableName:
    """A table of silver or gold."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def table_named(conn: sa.Connection, catalog: Catalog, text: str) -> TableName:
    """The table of silver or gold that is there: `silver.a__b`, `a__b`, `a.b`, `gold.m` or `m`.

    Raises MetadataError with names that are close, or with how to load an entity that never was.
    """
    tables = [TableName(schema, name) for schema, name in conn.execute(_RELATIONS)]
    for meant in _meant(text):
        if meant in tables:
            return meant
    for ref, _ in _entities(catalog):
        if TableName("silver", ref.table) in _meant(text):
            raise MetadataError(
                f"{ref} has no table yet: nothing of it was loaded",
                f"dataplatform run {ref.source} {ref.name}",
            )
    raise MetadataError(f"there is no table {text} in silver or gold", _close(text, map(str, tables)))


def entity_named(catalog: Catalog, text: str) -> tuple[EntityRef, Entity]:
    """The entity whose own table that is: `silver.a__b`, `a__b` or `a.b`; raises MetadataError with close names."""
    for meant in _meant(text):
        for ref, entity in _entities(catalog):
            if meant == TableName("silver", ref.table):
                return ref, entity
    raise MetadataError(
        f"no entity of the metadata has the table {text}",
        f"name the entity's own table: {_close(text, (ref.table for ref, _ in _entities(catalog)))}",
    )


def key_hashes(key: str, fields: int) -> list[str]:
    """The hashes that the text may mean: dp_key itself, or `fields` values (a,b) as text or as numbers; else none."""
    try:
        return [str(UUID(key))]
    except ValueError:
        pass
    parts = key.split(",") if fields > 1 else [key]
    if len(parts) != fields:
        return []
    options: list[list[Any]] = [[]]
    for part in parts:
        options = [[*option, value] for option in options for value in _readings(part)]
    hashes = (key_hash(option) for option in options)
    return [str(UUID(bytes=one)) for one in hashes if one]


def no_record(ref: EntityRef, entity: Entity, key: str) -> MetadataError:
    """The error for a key that no version has."""
    how = f"the key is {', '.join(entity.key)}; several fields are written a,b"
    if entity.by_row:
        how = f"its records have no key: name one by its dp_key, which `show {ref} --system` lists"
    return MetadataError(f"silver.{ref.table} has no record with the key {key!r}", how)


def _readings(part: str) -> list[Any]:
    """A text, and the number that it may be."""
    try:
        number = orjson.loads(part)
    except orjson.JSONDecodeError:
        return [part]
    return [part, number] if isinstance(number, int | float) else [part]


def _meant(text: str) -> tuple[TableName, ...]:
    """What a text may name, the likeliest first."""
    schema, dot, name = text.partition(".")
    exact = [TableName(schema.removesuffix("_current"), name)] if dot else []
    return (*exact, TableName("silver", shortened(text.replace(".", "__"))), TableName("gold", text))


def _entities(catalog: Catalog) -> Iterator[tuple[EntityRef, Entity]]:
    for source in catalog.sources.values():
        for name, entity in source.entities.items():
            yield EntityRef(source.source, name), entity


def _close(text: str, names: Iterable[str], most: int = 3) -> str:
    """A remedy: names that are like the text, else the first of all."""
    by_name = {form: name for name in names for form in (name.rpartition(".")[2], name)}
    close = difflib.get_close_matches(
        text.replace(".", "__"), by_name, most, 0.6
    ) + difflib.get_close_matches(text, by_name, most, 0.6)
    if close:
        return f"did you mean {' or '.join(list(dict.fromkeys(by_name[one] for one in close))[:most])}?"
    there = list(dict.fromkeys(by_name.values()))
    rest = f" and {len(there) - 10} others" if len(there) > 10 else ""
    return (
        f"there are {', '.join(there[:10])}{rest}" if there else "there is none yet: dataplatform run SOURCE"
    )
