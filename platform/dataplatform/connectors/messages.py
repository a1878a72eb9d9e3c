"""Messages of other connectors' programs as items of the contract: pages of records, types by JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dataplatform.connectors.contract import Deleted, Item, Records, Schema, encode
from dataplatform.metadata.paths import MISSING, dig
from dataplatform.metadata.source import Entity

PAGE = 1_000  # records


@dataclass
class Pages:
    """The records of one entity, gathered into pages."""

    name: str
    entity: Entity
    about: dict[str, Any]
    leaves_out: Callable[[str], bool] = lambda name: False
    waiting: list[bytes] = field(default_factory=list)

    def kept(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record without the fields that are left out."""
        return {name: value for name, value in record.items() if not self.leaves_out(name)}

    def add(self, record: Mapping[str, Any]) -> Iterator[tuple[str, Item]]:
        self.waiting.append(encode(record))
        if len(self.waiting) >= PAGE:
            yield from self.flush()

    def end(self, record: Mapping[str, Any]) -> Iterator[tuple[str, Item]]:
        """The record is gone: what was said before it comes first."""
        yield from self.flush()
        names = [*self.entity.key, *([self.entity.effective_at] if self.entity.effective_at else [])]
        key = {name: value for name in names if (value := dig(record, name)) is not MISSING}
        yield self.name, Deleted([encode(key or record)], self.about)

    def flush(self) -> Iterator[tuple[str, Item]]:
        if self.waiting:
            page, self.waiting = Records(self.waiting, self.about), []
            yield self.name, page


def schema_of(
    json_schema: Mapping[str, Any],
    key: tuple[str, ...],
    leaves_out: Callable[[str], bool] = lambda name: False,
) -> Schema:
    """What a JSON Schema says of the fields; a type only where it is one that the values surely have."""
    properties = json_schema.get("properties") or {}
    fields = {name: column_type(said) for name, said in properties.items() if not leaves_out(name)}
    return Schema(fields, tuple(name for name in key if name in fields))


def column_type(said: Any) -> str | None:
    """The type of a column for a property of JSON Schema; None where it is none, or several."""
    if not isinstance(said, Mapping):
        return None
    given = said.get("type")
    options = said.get("anyOf") or said.get("oneOf")
    if given is None and isinstance(options, list):
        found = {
            column_type(one)
            for one in options
            if not (isinstance(one, Mapping) and one.get("type") == "null")
        }
        return found.pop() if len(found) == 1 else None
    kinds = {k for k in (given if isinstance(given, list) else [given]) if k != "null"}
    if len(kinds) != 1:
        return None
    kind, form = kinds.pop(), said.get("format")
    if kind == "string":
        return {"date-time": "timestamptz", "date": "date", "uuid": "uuid"}.get(
            str(form), "text" if not form else None
        )
    return {"integer": "bigint", "number": "numeric", "boolean": "boolean"}.get(str(kind))
