"""A Pydantic class as what YAML says of an entity: description, key, columns, children.

Knows no file: `model_file` finds the class, and tells a person where an Unfit field stands.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AnySet
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, NewType, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo

from dataplatform.metadata.markers import Key, Marker, Scd1, Sensitive, Type

Said = dict[str, Any]  # as YAML would say it
PLAIN = {
    str: "text", int: "bigint", float: "double precision", Decimal: "numeric", bool: "boolean", date: "date",
    datetime: "timestamptz", time: "time", UUID: "uuid",
}  # fmt: skip
LEGAL = (
    "str, int, float, Decimal, bool, date, datetime, time, UUID, Any, dict, an Enum or Literal of one kind, "
    'a BaseModel, a list of these, each also `| None`; or Annotated[…, Type("jsonb")] with any type of a column'
)
_LISTS = (list, tuple, set, frozenset, Sequence, AnySet)
_DICTS = (dict, Mapping)


class UnfitError(Exception):
    """A field that no column can be made of. `owner` is the class that has it."""

    def __init__(self, owner: type[BaseModel], name: str, message: str, legal: str = "") -> None:
        super().__init__(message)
        self.owner, self.name, self.message, self.legal = owner, name, message, legal


@dataclass(frozen=True)
class _Field:
    """One field: where it stands, its path in the record, its type laid bare, and all that annotates it."""

    owner: type[BaseModel]
    name: str
    path: str
    kind: Any
    notes: tuple[Any, ...]
    description: str

    def has(self, marker: Marker) -> bool:
        return any(note is marker for note in self.notes)

    def unfit(self, message: str, legal: str = "") -> UnfitError:
        return UnfitError(self.owner, self.name, message, legal)


@dataclass
class _Found:
    """What is gathered on the way through a class."""

    key: list[str] = field(default_factory=list)
    columns: dict[str, Said] = field(default_factory=dict)
    children: dict[str, Said] = field(default_factory=dict)


def entity_of(model: type[BaseModel]) -> Said:
    """What the class says: `key`, `columns`, `children`, `description`; what it does not say is absent.

    Raises UnfitError naming class and field.
    """
    found = _gathered(model, "", ())
    said: Said = {
        "description": inspect.cleandoc(model.__dict__.get("__doc__") or ""),
        "key": found.key,
        "columns": found.columns,
        "children": found.children,
    }
    return {name: value for name, value in said.items() if value}


def _gathered(model: type[BaseModel], prefix: str, above: tuple[type[BaseModel], ...]) -> _Found:
    found = _Found()
    for one in _fields(model, prefix):
        _take(one, found, (*above, model))
    return found


def _take(one: _Field, found: _Found, above: tuple[type[BaseModel], ...]) -> None:
    """Adds what a field says: a column, the columns of an object, a child."""
    kind = one.kind
    declared = any(isinstance(note, Type) for note in one.notes)
    if not declared and _is_model(kind):
        _take_object(one, found, above)
    elif not declared and _is_list(kind):
        _take_list(one, found, above)
    else:
        column = _column(one)
        if column:
            found.columns[one.path] = column
        if one.has(Key):
            found.key.append(one.path)


def _take_object(one: _Field, found: _Found, above: tuple[type[BaseModel], ...]) -> None:
    inner = _gathered(_not_itself(one, one.kind, above), one.path + ".", above)
    found.columns |= inner.columns
    found.children |= inner.children
    if one.has(Key):
        if not inner.key:
            raise one.unfit(f"is marked Key, and no field of {one.kind.__name__} is")
        found.key += inner.key


def _take_list(one: _Field, found: _Found, above: tuple[type[BaseModel], ...]) -> None:
    if one.has(Key):
        raise one.unfit("a list cannot be part of a key")
    item, _ = _bare(one, (get_args(one.kind) or (Any,))[0])
    if not _is_model(item):
        return  # the items' only column, `value`, is inferred
    inner = _gathered(_not_itself(one, item, above), "", above)
    said: Said = {"key": inner.key, "columns": inner.columns}
    found.children[one.path] = {name: value for name, value in said.items() if value}
    for path, child in inner.children.items():
        found.children[f"{one.path}[].{path}"] = child


def _not_itself(one: _Field, kind: type[BaseModel], above: Sequence[type[BaseModel]]) -> type[BaseModel]:
    if kind in above:
        raise one.unfit(
            f"{kind.__name__} holds itself", 'Annotated[…, Type("jsonb")], which keeps it as JSON'
        )
    return kind


def _column(one: _Field) -> Said:
    """What YAML would say of the column; nothing where only the data can tell."""
    said: Said = {}
    type_ = _type(one)
    if type_ is not None:
        said["type"] = type_.name
        if type_.format:
            said["format"] = type_.format
    if one.has(Scd1):
        said["scd"] = 1
    if one.has(Sensitive):
        said["sensitive"] = True
    if one.description:
        said["description"] = one.description
    return said


def _type(one: _Field) -> Type | None:
    """The column's type; None where it is inferred from the data."""
    for note in one.notes:
        if isinstance(note, Type):
            return note
    kind = one.kind
    if kind is Any or kind is object or (get_origin(kind) or kind) in _DICTS:
        return None
    if isinstance(kind, type) and issubclass(kind, Decimal):
        return Type(_numeric(one.notes))
    name = _scalar(kind)
    if name is None:
        raise one.unfit(f"{_shown(kind)} is no type that a column can be made of", LEGAL)
    return Type(name)


def _scalar(kind: Any) -> str | None:
    """The type of a column for a Python type, an Enum or a Literal."""
    if get_origin(kind) is Literal:
        return _of_values(get_args(kind))
    if not isinstance(kind, type):
        return None
    if issubclass(kind, Enum):
        return _of_values(member.value for member in kind)
    return next((PLAIN[base] for base in kind.__mro__ if base in PLAIN), None)


def _of_values(values: Any) -> str | None:
    kinds = {_scalar(type(v)) for v in values if v is not None}
    return kinds.pop() if len(kinds) == 1 else None


def _numeric(notes: Sequence[Any]) -> str:
    digits = next((d for d in (getattr(n, "max_digits", None) for n in notes) if d is not None), None)
    places = next((p for p in (getattr(n, "decimal_places", None) for n in notes) if p is not None), None)
    return "numeric" if digits is None or places is None else f"numeric({digits},{places})"


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_list(kind: Any) -> bool:
    return (get_origin(kind) or kind) in _LISTS


# the types as they are written


def _fields(model: type[BaseModel], prefix: str) -> Iterator[_Field]:
    for name, info in model.model_fields.items():
        one = _Field(model, name, "", None, (), info.description or "")
        one = replace(one, path=prefix + _source_name(one, info))
        kind, notes = _bare(one, info.annotation)
        notes = (*_noted(info.metadata), *notes)
        described = (n.description for n in notes if isinstance(n, FieldInfo) and n.description)
        yield replace(one, kind=kind, notes=notes, description=one.description or next(described, ""))


def _source_name(one: _Field, info: FieldInfo) -> str:
    """The name that the source gives the field: its alias, else its own."""
    alias = info.validation_alias or info.alias
    if alias is None:
        return one.name
    if not isinstance(alias, str):
        raise one.unfit(f"{type(alias).__name__} is no alias for a column", 'one name: Field(alias="@id")')
    return alias


def _noted(notes: Sequence[Any]) -> tuple[Any, ...]:
    """What annotates a type, with what a `Field(…)` among it holds."""
    return tuple(x for n in notes for x in ((n, *n.metadata) if isinstance(n, FieldInfo) else (n,)))


def _bare(one: _Field, kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without Annotated, `| None`, aliases, NewType and RootModel; and what annotated it."""
    if hasattr(kind, "__metadata__"):
        inner, notes = _bare(one, kind.__origin__)
        return inner, (*_noted(kind.__metadata__), *notes)
    if get_origin(kind) in (Union, types.UnionType):
        options = [option for option in get_args(kind) if option is not type(None)]
        return _bare(one, options[0]) if len(options) == 1 else (kind, ())
    if isinstance(kind, NewType):
        return _bare(one, kind.__supertype__)
    if hasattr(kind, "__value__"):  # type Name = …
        return _bare(one, kind.__value__)
    if _is_model(kind) and issubclass(kind, RootModel):
        return _bare(one, kind.model_fields["root"].annotation)
    return kind, ()


def _shown(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
