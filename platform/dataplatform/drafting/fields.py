"""A source as a form: the fields of its kind of connector and of its entities, and the document that they fill.

In comes a kind's JSON Schema, so a field that a model gains is in the form at once. Used by the pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from dataplatform.metadata.editing import PASSWORD, is_credential
from dataplatform.metadata.kinds import model_of
from dataplatform.metadata.source import Entity
from dataplatform.metadata.yaml_file import YamlError, parse

FIRST = {
    "key", "load", "path", "file", "table", "records", "stream", "resource", "config", "package", "manifest",
    "params", "cursor", "schema",
}  # fmt: skip  # beside what is required, the fields that most people fill in
Path = tuple[str, ...]
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """One field. `kind`: text, number, flag, choice, list, yaml, secret, or kind (which fields follow depends on it).

    `more`: most people leave it as it is."""

    path: Path
    about: str
    kind: str
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    more: bool = False

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def label(self) -> str:
        inner = self.path[2:] if self.path[0] == "entities" else self.path[1:]
        words = [step.replace("_", " ") for step in inner if step != "type"]
        return " ".join(words[-2:]).capitalize()


@dataclass(frozen=True)
class Filled:
    """What was filled in: a source's document, secrets by name, and what is wrong by the name of its field."""

    document: dict[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    problems: Mapping[str, str] = field(default_factory=dict)


@cache
def _schema(kind: str) -> dict[str, Any]:
    return model_of(kind).model_json_schema(by_alias=True)


def connector_fields(kind: str, values: Mapping[str, str]) -> list[Field]:
    """Of the connector; `values` say which kinds of authentication and so on were chosen."""
    schema = _schema(kind)
    return list(_fields(schema, _found(schema, schema["properties"]["connector"]), ("connector",), values))


def entity_fields(kind: str, number: int, values: Mapping[str, str]) -> list[Field]:
    """Of the entity with that number."""
    schema = _schema(kind)
    listed = schema["properties"]["entities"]
    inner = next(iter(listed.get("patternProperties", {}).values()), None) or listed["additionalProperties"]
    found = list(_fields(schema, _found(schema, inner), ("entities", str(number)), values))
    return sorted(found, key=lambda one: (one.more, one.path[2] in Entity.model_fields))


def _found(schema: Schema, node: Schema) -> Schema:
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return node


def _fields(schema: Schema, node: Schema, path: Path, values: Mapping[str, str]) -> Iterator[Field]:
    for name, about in node.get("properties", {}).items():
        if name == "type" or str(about.get("description", "")).startswith("Another name of"):
            continue
        yield from _of_property(schema, (*path, name), about, name in node.get("required", ()), values)


def _of_property(
    schema: Schema, path: Path, about: Schema, required: bool, values: Mapping[str, str]
) -> Iterator[Field]:
    union = next((u for u in (about, *about.get("anyOf", ())) if "discriminator" in u), None)
    if union is not None:
        yield from _of_union(schema, path, about, union, values)
        return
    inner = _found(schema, about)
    required = required or path[-1] == "key"
    if inner.get("properties") and inner.get("title") != "SecretRef":
        yield from _fields(schema, inner, path, values)
        return
    kind, choices = _kind(schema, about, path)
    more = not required and kind != "secret" and path[-1] not in FIRST
    text = re.sub(r",? best as `\{secret: name\}`", "", str(about.get("description", "")))
    yield Field(path, text, kind, required, about.get("default"), choices, more)


def _of_union(
    schema: Schema, path: Path, about: Schema, union: Schema, values: Mapping[str, str]
) -> Iterator[Field]:
    nodes = {_type_of(node): node for node in (_found(schema, one) for one in union["oneOf"])}
    default = about.get("default") or {}
    own = Field((*path, "type"), str(about.get("description", "")), "kind", choices=tuple(nodes),
                default=default.get("type") if isinstance(default, dict) else None)  # fmt: skip
    yield own
    if (chosen := values.get(own.name, "")) in nodes:
        yield from _fields(schema, nodes[chosen], path, values)


def _type_of(node: Schema) -> str:
    about = node["properties"]["type"]
    return str(about.get("const") or about["enum"][0])


def _kind(schema: Schema, about: Schema, path: Path) -> tuple[str, tuple[str, ...]]:
    options = [_found(schema, one) for one in about.get("anyOf", (about,))]
    secret = any(one.get("title") == "SecretRef" for one in options)
    options = [one for one in options if one.get("type") != "null" and one.get("title") != "SecretRef"]
    if secret and (not options or is_credential(path, path[-1])):
        return "secret", ()
    if len(options) != 1:
        return "yaml", ()
    only = options[0]
    if "enum" in only:
        return "choice", tuple(map(str, only["enum"]))
    if only.get("type") == "boolean":
        return "flag", ("true", "false")
    if only.get("type") == "array" and _found(schema, only.get("items", {})).get("type") == "string":
        return "list", ()
    kinds = {"string": "text", "integer": "number", "number": "number"}
    return kinds.get(str(only.get("type")), "yaml"), ()


def filled(kind: str, values: Mapping[str, str], entities: int, typed: Mapping[str, str]) -> Filled:
    """The document of a form. `typed`: secrets that were typed before, by the name of their field."""
    source = values.get("source", "").strip()
    made = _Making(source, typed)
    connector: dict[str, Any] = {"type": kind}
    for one in connector_fields(kind, values):
        made.put(connector, one, one.path[1:], values.get(one.name, ""))
    document: dict[str, Any] = {"source": source}
    if about := values.get("description", "").strip():
        document["description"] = about
    document |= {"connector": connector, **_triggers(values), "entities": {}}
    for number in range(entities):
        name, entity = values.get(f"entities.{number}.name", "").strip(), dict[str, Any]()
        for one in entity_fields(kind, number, values):
            made.put(entity, one, one.path[2:], values.get(one.name, ""))
        if entity and (not name or name in document["entities"]):
            said = f"there is an entity {name} already" if name else "an entity has a name, such as orders"
            made.problems[f"entities.{number}.name"] = said
        elif name:
            document["entities"][name] = entity
    return Filled(document, made.secrets, made.problems)


def _triggers(values: Mapping[str, str]) -> dict[str, Any]:
    every, cron = values.get("every", "").strip(), values.get("cron", "").strip()
    zone = values.get("timezone", "").strip()
    found: list[dict[str, str]] = [{"type": "interval", "every": every}] if every else []
    found += [{"type": "cron", "cron": cron, **({"timezone": zone} if zone else {})}] if cron else []
    return {"triggers": found} if found else {}


@dataclass
class _Making:
    """What comes out beside the document while it is filled."""

    source: str
    typed: Mapping[str, str] = field(repr=False)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    problems: dict[str, str] = field(default_factory=dict)

    def put(self, into: dict[str, Any], one: Field, path: Path, text: str) -> None:
        """The field's value at its place; nothing where it was left empty."""
        try:
            value = self._value(one, path, text)
        except YamlError as error:
            self.problems[one.name] = f"line {error.line}: {error.message}"
            return
        if value is None:
            return
        for step in path[:-1]:
            into = into.setdefault(step, {})
        into[path[-1]] = value

    def _value(self, one: Field, path: Path, text: str) -> Any:
        plain = text.strip()
        if one.kind == "secret" or (one.kind == "text" and PASSWORD.search(plain)):
            return self._secret(one, path[-1], text)
        if not plain or plain == str(one.default):
            return None
        if one.kind == "flag":
            return plain == "true"
        if one.kind == "number" and re.fullmatch(r"-?\d+(\.\d+)?", plain):
            return float(plain) if "." in plain else int(plain)
        if one.kind == "list":
            listed = [part.strip() for part in plain.split(",") if part.strip()]
            return "row" if path == ("key",) and listed == ["row"] else listed
        return parse(text.replace("\r\n", "\n")).data if one.kind == "yaml" else plain

    def _secret(self, one: Field, name: str, text: str) -> dict[str, str] | None:
        """Its name goes into the document, and what was typed nowhere but to the store."""
        value = text.strip("\r\n") or self.typed.get(one.name, "")
        if not value and not one.required:
            return None
        named = f"{self.source or 'source'}/{name}"
        if value:
            self.secrets[named] = value
        return {"secret": named}


def by_field(problems: Mapping[str, str], entities: Mapping[str, int]) -> dict[str, str]:
    """Problems of a document by the field of its form that they are of."""
    found: dict[str, str] = {}
    for path, text in problems.items():
        parts = ["entities", "0", "name"] if path == "entities" else path.split(".")
        if parts[0] == "entities" and len(parts) > 1 and parts[1] in entities:
            parts[1] = str(entities[parts[1]])
            parts += ["name"] if len(parts) == 2 else []
        found[".".join(parts)] = text
    return found
