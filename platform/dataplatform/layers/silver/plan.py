"""The plan: which table and which column each path of an entity's records belongs to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from dataplatform.errors import LoadError
from dataplatform.layers.silver.convert import Convert, converter
from dataplatform.layers.silver.known import KnownPath
from dataplatform.metadata.source import Column, Entity
from dataplatform.names import child_table, column_names, digest
from dataplatform.records import kinds as k
from dataplatform.records.record import HASH_VERSION, ITEM, hash_path
from dataplatform.records.refs import EntityRef

UNBORN = "~"  # sorts after every batch: a declared column that no batch has had yet


class Sendable:
    """Goes to other processes as what it was made of, without what has been worked out since."""

    def __getstate__(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}  # type: ignore[attr-defined]  # of those below


@dataclass(frozen=True)
class ColumnPlan(Sendable):
    """One column. `path` is relative to the table's records."""

    path: str
    name: str
    type: str
    scd: int
    first_batch: str
    silent_batch: str = ""
    description: str = ""
    format: str = ""

    @cached_property
    def convert(self) -> Convert:
        return converter(self.type, self.format)

    @cached_property
    def prefix(self) -> str:
        """How the column begins in a row's hash."""
        return hash_path(self.path)


@dataclass(frozen=True)
class TablePlan(Sendable):
    """One table: of the entity itself (`prefix` is empty) or of a nested list (`splits[].`)."""

    name: str
    prefix: str
    columns: tuple[ColumnPlan, ...]
    key: tuple[str, ...]
    children: tuple[TablePlan, ...] = ()
    description: str = ""

    @property
    def is_child(self) -> bool:
        return bool(self.prefix)

    @property
    def list_path(self) -> str:
        """Path of the list in the parent's record."""
        return self.prefix.removesuffix(ITEM).rpartition(ITEM)[2]

    @cached_property
    def scd1(self) -> frozenset[str]:
        return frozenset(c.path for c in self.columns if c.scd == 1)

    @cached_property
    def scd2(self) -> frozenset[str]:
        """Paths whose change makes a new version; not those of the key, they never change."""
        keys = () if self.is_child else self.key
        return frozenset(c.path for c in self.columns if c.scd == 2 and c.path not in keys)

    @cached_property
    def scd1_paths(self) -> tuple[tuple[str, str], ...]:
        """Path and how it begins in a hash, in the order of hashing."""
        return tuple((p, hash_path(p)) for p in sorted(self.scd1))

    @cached_property
    def scd2_paths(self) -> tuple[tuple[str, str], ...]:
        return tuple((p, hash_path(p)) for p in sorted(self.scd2))

    @cached_property
    def paths(self) -> frozenset[str]:
        return frozenset(c.path for c in self.columns)

    @cached_property
    def converters(self) -> tuple[tuple[str, Convert], ...]:
        """Path and conversion of each column, in their order."""
        return tuple((c.path, c.convert) for c in self.columns)

    def tables(self) -> Iterator[TablePlan]:
        """This table and all below it."""
        yield self
        for child in self.children:
            yield from child.tables()


@dataclass(frozen=True)
class Plan(Sendable):
    """All tables of an entity, and what is known of every path. `timed`: each row says when it became valid."""

    ref: EntityRef
    root: TablePlan
    known: Mapping[str, KnownPath] = field(default_factory=dict)
    timed: bool = False

    @cached_property
    def whole(self) -> frozenset[str]:
        """Paths kept as JSON."""
        return frozenset(
            table.prefix + c.path for table in self.root.tables() for c in table.columns if c.type == "jsonb"
        )

    @cached_property
    def layout(self) -> dict[str, tuple[str, tuple[str, ...], dict[str, object]]]:
        """What COPY text depends on, beside the paths kept as JSON: of each table its prefix, key and columns."""
        return {
            table.name: (table.prefix, table.key, {c.path: (c.type, c.scd, c.format) for c in table.columns})
            for table in self.root.tables()
        }

    def holds(self, other: Plan) -> bool:
        """Whether the other's columns are all here and alike: of records that have no others both make the same."""
        if self.whole != other.whole or (self.timed and not other.timed):
            return False
        for name, (prefix, key, columns) in other.layout.items():
            mine = self.layout.get(name)
            if mine is None or mine[:2] != (prefix, key) or not columns.items() <= mine[2].items():
                return False
        return True


def history_rule(ref: EntityRef, entity: Entity) -> str:
    """What decides an entity's rows beside the data; when it changes, they are made anew."""

    def columns(found: Mapping[str, Column]) -> dict[str, list[object]]:
        return {p: [c.scd, c.type, *([c.format] if c.format else [])] for p, c in sorted(found.items())}

    children = {p: [c.key, columns(c.columns)] for p, c in sorted(entity.children.items())}
    screens = [check.model_dump(mode="json", exclude_unset=True) for check in entity.checks if check.screens]
    return json.dumps(
        [
            HASH_VERSION,
            ref.source,
            ref.name,
            entity.key,
            entity.effective_at,
            entity.partial,
            columns(entity.columns),
            children,
            entity.null_values,
            *([screens] if screens else []),
        ],
    )


def whole_paths(entity: Entity) -> frozenset[str]:
    """Paths that stay JSON because the metadata say `type: jsonb`."""
    return frozenset(p for p, c in declared(entity).items() if c.type == "jsonb")


def declared(entity: Entity) -> dict[str, Column]:
    """What the metadata say about columns, by full path (`labels[].name` for a child's)."""
    found = {_normal(p): c for p, c in entity.columns.items()}
    for list_path, child in entity.children.items():
        prefix = child_prefix(list_path)
        found |= {prefix + _normal(p): c for p, c in child.columns.items()}
    return found


def child_prefix(list_path: str) -> str:
    """`lines` → `lines[].`; `lines.taxes` → `lines[].taxes[].` is written `lines[].taxes`."""
    return _normal(list_path).removesuffix("[]") + ITEM


def _normal(path: str) -> str:
    parts = path.split(ITEM)
    return ITEM.join(part.replace(".", "__") for part in parts)


def make_plan(ref: EntityRef, entity: Entity, known: Mapping[str, KnownPath], empty_since: str = "") -> Plan:
    """The plan for what is known. Declared columns exist even before they have values."""
    paths = dict(known)
    said = declared(entity)
    for path in said:
        paths.setdefault(path, KnownPath(k.NULL, empty_since))
    paths = {p: _typed(p, paths, said) for p in paths}
    tables = _prefixes(paths)
    root = _table("", ref.table, entity, paths, said, tables)
    return Plan(ref, root, _named(paths, root), entity.effective_at is not None)


def _typed(path: str, paths: Mapping[str, KnownPath], said: Mapping[str, Column]) -> KnownPath:
    known, column = paths[path], said.get(path)
    if column is not None and column.type:
        return replace(known, type=k.canonical_type(column.type))
    if known.said:
        return replace(known, type=k.canonical_type(known.said))
    is_object = known.kind == k.NULL and any(p.startswith(path + "__") for p in paths)
    if known.kind == k.LISTS or is_object:
        return replace(known, type=None)
    return replace(known, type=k.POSTGRES[known.kind])


def _prefixes(paths: Mapping[str, KnownPath]) -> list[str]:
    """Prefixes of all child tables: those of lists that held anything, and all above them."""
    found: set[str] = set()
    for path in paths:
        head = path
        while ITEM in head:
            head = head[: head.rindex(ITEM)]
            found.add(head + ITEM)
    return sorted(found)


def _table(
    prefix: str,
    name: str,
    entity: Entity,
    paths: Mapping[str, KnownPath],
    said: Mapping[str, Column],
    prefixes: Iterable[str],
) -> TablePlan:
    own = {
        p[len(prefix) :]: info
        for p, info in paths.items()
        if p.startswith(prefix) and ITEM not in p[len(prefix) :] and info.type
    }
    names = column_names(own, {p: i.column for p, i in own.items() if i.column})
    columns = tuple(
        ColumnPlan(
            path,
            names[path],
            str(info.type),
            *_scd(said.get(prefix + path)),
            first_batch=info.first_batch,
            silent_batch=info.silent_batch,
            description=_description(said.get(prefix + path)),
            format=said[prefix + path].format if prefix + path in said else "",
        )
        for path, info in own.items()
    )
    inner = [q for q in prefixes if q.startswith(prefix) and q.count(ITEM) == prefix.count(ITEM) + 1]
    children = tuple(
        _table(q, _child_name(name, prefix, q, prefixes), entity, paths, said, prefixes) for q in inner
    )
    return TablePlan(
        name,
        prefix,
        columns,
        _key(prefix, entity),
        children,
        entity.description if not prefix else "",
    )


def _child_name(parent: str, prefix: str, own: str, prefixes: Iterable[str]) -> str:
    """`{"b": {"b": []}}` beside `{"b": [{"b": []}]}`: two lists for one name; the flat one gets a digest."""
    name = child_table(parent, own[len(prefix) :].removesuffix(ITEM))
    flat, depth = own.replace(ITEM, "__"), own.count(ITEM)
    deeper = any(q.count(ITEM) > depth and q.replace(ITEM, "__") == flat for q in prefixes)
    return f"{name}_{digest(own)}" if deeper else name


def _scd(column: Column | None) -> tuple[int]:
    return (column.scd if column else 2,)


def _description(column: Column | None) -> str:
    return column.description if column else ""


def _key(prefix: str, entity: Entity) -> tuple[str, ...]:
    """Fields of the key as paths; of a child table, those its metadata name."""
    if not prefix:
        return tuple(_normal(p) for p in entity.key)
    for list_path, child in entity.children.items():
        if child_prefix(list_path) == prefix:
            return tuple(_normal(p) for p in child.key)
    return ()


def _named(paths: Mapping[str, KnownPath], root: TablePlan) -> dict[str, KnownPath]:
    result = dict(paths)
    for table in root.tables():
        for column in table.columns:
            path = table.prefix + column.path
            result[path] = replace(result[path], column=column.name, table=table.name)
    return {p: i if i.table else replace(i, table=root.name) for p, i in result.items()}


def without_new(
    ref: EntityRef, entity: Entity, before: Mapping[str, KnownPath], after: Mapping[str, KnownPath]
) -> dict[str, KnownPath]:
    """Applies `schema_changes`: freeze refuses what is new, discard leaves it out."""
    fresh = [p for p in after if p not in before and after[p].kind not in (k.NULL, k.LISTS)]
    wider = [p for p in after if p in before and _type_of(after[p]) != _type_of(before[p])]
    said = declared(entity)
    fresh = [p for p in fresh if p not in said]
    wider = [p for p in wider if not (p in said and said[p].type)]
    if not before or entity.schema_changes == "evolve" or not (fresh or wider):
        return dict(after)
    if entity.schema_changes == "freeze":
        what = [f"new: {', '.join(fresh)}"] * bool(fresh) + [f"wider: {', '.join(wider)}"] * bool(wider)
        raise LoadError(
            f"{ref}: its schema is frozen, and the batch would change it ({'; '.join(what)})",
            "set `schema_changes: evolve` (or discard) for the entity, then run again",
        )
    kept = {p: i for p, i in after.items() if p not in fresh}
    same = {p: replace(kept[p], kind=before[p].kind, said=before[p].said) for p in wider}
    return kept | same


def _type_of(known: KnownPath) -> str | None:
    return known.said or k.POSTGRES.get(known.kind)
