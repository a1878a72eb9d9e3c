"""The text of a class in metadata/models/: what `model_class` reads, written from what is known of an entity.

Fields are flat (`user__login`, as silver's columns are), each under the source's own name.
"""

from __future__ import annotations

import ast
import json
import keyword
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from dataplatform.errors import MetadataError

# type of a column → the Python type that means just that, and where it comes from
_PYTHON = {
    "text": ("str", ""), "bigint": ("int", ""), "double precision": ("float", ""), "boolean": ("bool", ""),
    "numeric": ("Decimal", "decimal"), "date": ("date", "datetime"), "timestamptz": ("datetime", "datetime"),
    "time": ("time", "datetime"), "uuid": ("UUID", "uuid"),
}  # fmt: skip
# … and those that have none of their own: what a value is like, beside `Type("…")`
_LIKE = {"smallint": "bigint", "integer": "bigint", "real": "double precision", "timestamp": "timestamptz"}
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_MARKERS = ("Key", "Scd1", "Sensitive", "Type")
_USED = {"Annotated", "Any", "BaseModel", "Field", *_MARKERS, *(name for name, _ in _PYTHON.values())}


@dataclass(frozen=True)
class FieldShape:
    """A column, under the source's name for it. `type` None: nothing is known of it."""

    path: str
    type: str | None = None
    format: str = ""
    key: bool = False
    scd: int = 2
    sensitive: bool = False
    description: str = ""


@dataclass(frozen=True)
class Shape:
    """An entity or the items of a list: fields in their order, those of the key first; lists by path."""

    fields: tuple[FieldShape, ...]
    lists: tuple[tuple[str, Shape], ...] = ()
    description: str = ""


@dataclass
class _Text:
    """Classes as they are written, those that others need first; what they import."""

    classes: dict[str, str] = field(default_factory=dict)
    imports: set[tuple[str, str]] = field(default_factory=lambda: {("pydantic", "BaseModel")})


def class_name(entity: str) -> str:
    """`pull_requests` → `PullRequests`."""
    name = "".join(part[:1].upper() + part[1:] for part in re.split(r"\W|_", entity))
    return f"{name}Record" if name in _USED or keyword.iskeyword(name) else name


def module_text(entity: str, shape: Shape) -> str:
    """A file with the entity's class, and the classes of its lists."""
    return '"""What records hold, as classes: see `model:` in docs/add-a-source.md."""\n\n' + _body(
        entity, shape
    )


def appended(existing: str, file: str, entity: str, shape: Shape) -> str:
    """A file's text with the entity's class at its end. Raises MetadataError where it has that class already."""
    try:
        tree = ast.parse(existing)
    except SyntaxError as error:
        raise MetadataError(f"{file}:{error.lineno}: {error.msg}", "mend it there, or see --stdout") from None
    there = {node.name: node.lineno for node in tree.body if isinstance(node, ast.ClassDef)}
    for name in _text(entity, shape).classes:
        if name in there:
            raise MetadataError(
                f"{file}:{there[name]}: the class {name} is there already, and stays as it is",
                "see what would be written with --stdout, or remove the class and call this again",
            )
    return existing.rstrip() + "\n\n\n" + _body(entity, shape)


def _text(entity: str, shape: Shape) -> _Text:
    text = _Text()
    _write(class_name(entity), shape, text)
    return text


def _body(entity: str, shape: Shape) -> str:
    text = _text(entity, shape)
    return "\n".join(_imports(text.imports)) + "\n\n\n" + "\n\n\n".join(text.classes.values()) + "\n"


def _imports(names: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Standard library, others, ours."""
    by_module: dict[str, list[str]] = {}
    for module, name in sorted(names):
        by_module.setdefault(module, []).append(name)
    lines = {module: f"from {module} import {', '.join(found)}" for module, found in by_module.items()}
    last = [lines.pop(module, "") for module in ("pydantic", "dataplatform.metadata")]
    yield from lines.values()
    for line in filter(None, last):
        yield from ("", line)


def _write(name: str, shape: Shape, text: _Text) -> None:
    """Adds the class, after those of its lists."""
    taken: set[str] = set()
    lines = [_field(one, taken, text) for one in shape.fields]
    for path, items in shape.lists:
        inner = _unique(name + class_name(_identifier(path)), text.classes)
        _write(inner, items, text)
        more = _call(text, "None", path, own := _unique(_identifier(path), taken), "")
        taken.add(own)
        lines.append(f"{own}: list[{inner}] | None{more}")
    body = [*_docstring(shape.description), *lines] or ["pass"]
    text.classes[name] = f"class {name}(BaseModel):\n" + "\n".join(
        f"    {line}" if line else "" for line in body
    )


def _docstring(description: str) -> list[str]:
    if not description:
        return []
    plain = not re.search(r'\\|"""|"$', description)
    lines = f'"""{description}"""'.split("\n") if plain else [_quoted(description)]
    return [*lines, ""]


def _field(one: FieldShape, taken: set[str], text: _Text) -> str:
    name = _unique(_identifier(one.path), taken)
    taken.add(name)
    python, notes, arguments = _typed(one, text)
    notes = [*(["Key"] if one.key else []), *(["Scd1"] if one.scd == 1 else []), *notes]
    notes += ["Sensitive"] if one.sensitive else []
    text.imports |= {("dataplatform.metadata", note.partition("(")[0]) for note in notes}
    if not one.key and python != "Any":
        python += " | None"
    if notes:
        text.imports.add(("typing", "Annotated"))
        python = f"Annotated[{python}, {', '.join(notes)}]"
    return f"{name}: {python}" + _call(
        text, "" if one.key else "None", one.path, name, one.description, arguments
    )


def _typed(one: FieldShape, text: _Text) -> tuple[str, list[str], list[str]]:
    """The Python type, what has to be said beside it, and arguments of `Field`."""
    type_, arguments = one.type, []
    if type_ is not None and (match := _NUMERIC.fullmatch(type_)) and int(match[1]) >= int(match[2]):
        arguments, type_ = [f"max_digits={match[1]}", f"decimal_places={match[2]}"], "numeric"
    base = _LIKE.get(type_ or "", "numeric" if (type_ or "").startswith("numeric(") else type_ or "")
    python, module = _PYTHON.get(base, ("Any", "typing"))
    if module:
        text.imports.add((module, python))
    exact = type_ is None or (type_ == base and base in _PYTHON and not one.format)
    format_ = f", format={_quoted(one.format)}" if one.format else ""
    return python, [] if exact else [f"Type({_quoted(type_ or '')}{format_})"], arguments


def _call(
    text: _Text, default: str, path: str, name: str, description: str, arguments: Sequence[str] = ()
) -> str:
    """` = None`, or ` = Field(…)` where there is more to say."""
    said = [*([f"alias={_quoted(path)}"] if path != name else []), *arguments]
    said += [f"description={_quoted(description)}"] if description else []
    if not said:
        return f" = {default}" if default else ""
    text.imports.add(("pydantic", "Field"))
    return f" = Field({', '.join([*([f'default={default}'] if default else []), *said])})"


def _identifier(path: str) -> str:
    """A name for the field that Python and Pydantic take."""
    name = re.sub(r"\W", "_", path, flags=re.ASCII).strip("_") or "field"
    if not name[0].isalpha():
        name = f"f_{name}"
    clash = keyword.iskeyword(name) or name in _USED or hasattr(BaseModel, name) or name.startswith("model_")
    return f"{name}_" if clash or name in ("list", "None") else name


def _unique(name: str, taken: Iterable[str]) -> str:
    there, number, found = set(taken), 2, name
    while found in there:
        found, number = f"{name}_{number}", number + 1
    return found


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
