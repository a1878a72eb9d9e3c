"""The shape of an entity: what its metadata and silver know of its columns, keys and lists."""

from __future__ import annotations

from collections.abc import Mapping

from dataplatform.context import Platform
from dataplatform.layers.silver import state
from dataplatform.layers.silver.known import KnownPath
from dataplatform.layers.silver.plan import Plan, TablePlan, child_prefix, declared, make_plan
from dataplatform.metadata.model_text import FieldShape, Shape
from dataplatform.metadata.source import Column, Entity
from dataplatform.reading.names import entity_named
from dataplatform.records import kinds as k
from dataplatform.records.record import ITEM
from dataplatform.records.refs import EntityRef
from dataplatform.storage.postgres import connected


def shape_named(platform: Platform, text: str) -> tuple[EntityRef, Shape]:
    """The shape of the entity `github.issues`; raises MetadataError with close names."""
    ref, entity = entity_named(platform.catalog, text)
    with connected(platform.engine) as conn:
        known = state.known_paths(conn, ref)
    return ref, shape_of(ref, entity, known)


def shape_of(ref: EntityRef, entity: Entity, known: Mapping[str, KnownPath]) -> Shape:
    """The shape; of an entity that was never loaded what its metadata say."""
    plan = make_plan(ref, entity, dict(known) | _unseen(entity, known))
    return _table(plan.root, plan, entity, declared(entity))


def _unseen(entity: Entity, known: Mapping[str, KnownPath]) -> dict[str, KnownPath]:
    """Keys of lists that no record had yet."""
    keys = (
        child_prefix(path) + name.replace(".", "__") for path, c in entity.children.items() for name in c.key
    )
    return {path: KnownPath(k.NULL, "") for path in keys if path not in known}


def _table(table: TablePlan, plan: Plan, entity: Entity, said: Mapping[str, Column]) -> Shape:
    spelled = dict(zip(table.key, _key(table.prefix, entity), strict=True))
    columns = {c.path: c for c in table.columns}
    fields = [_field(path, name, table, plan, said) for path, name in spelled.items()]
    fields += [_field(path, path, table, plan, said) for path in columns if path not in spelled]
    return Shape(
        tuple(fields),
        tuple((_list(table, child), _table(child, plan, entity, said)) for child in table.children),
        table.description,
    )


def _key(prefix: str, entity: Entity) -> tuple[str, ...]:
    """The fields of the key as metadata spell them: another spelling would be another key."""
    if not prefix:
        return entity.key
    return next((c.key for path, c in entity.children.items() if child_prefix(path) == prefix), ())


def _list(table: TablePlan, child: TablePlan) -> str:
    return child.prefix[len(table.prefix) :].removesuffix(ITEM)


def _field(path: str, name: str, table: TablePlan, plan: Plan, said: Mapping[str, Column]) -> FieldShape:
    full = table.prefix + path
    known, column = plan.known.get(full), said.get(full) or Column()
    seen = known is not None and (known.kind != k.NULL or known.said or column.type)
    return FieldShape(
        name,
        known.type if known is not None and seen else None,
        column.format,
        path in table.key,
        column.scd,
        column.sensitive,
        column.description,
    )
