"""Columns as a Pydantic class: what it says is what YAML would, and what is wrong is told with file and line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dataplatform.metadata import Entity, Problem, Type, read_catalog

HEAD = """\
from __future__ import annotations
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal, NewType, Optional
from uuid import UUID
from pydantic import BaseModel, Field, PositiveInt, RootModel
from dataplatform.metadata import Key, Scd1, Sensitive, Type
"""
YAML = """\
source: s
connector: {type: sql, url: "sqlite:///x.db"}
entities:
  things:
    table: t
    model: m.Thing
"""


def read(folder: Path, classes: str, yaml: str = YAML) -> tuple[Entity | None, list[Problem]]:
    for name, text in (("models/m.py", HEAD + classes), ("sources/s.yaml", yaml)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    catalog, problems = read_catalog(folder)
    assert bool(problems) != bool(catalog.sources)
    return (None if problems else catalog.sources["s"].entities["things"]), problems


def entity(folder: Path, classes: str, yaml: str = YAML) -> dict[str, Any]:
    found, problems = read(folder, classes, yaml)
    assert not problems
    assert found is not None
    return found.model_dump(exclude_defaults=True, exclude={"table", "model"})


def problem(folder: Path, classes: str, yaml: str = YAML) -> Problem:
    _, problems = read(folder, classes, yaml)
    (one,) = problems
    return one


@pytest.mark.parametrize(
    ("written", "column"),
    [
        ("str", {"type": "text"}), ("int", {"type": "bigint"}), ("float", {"type": "double precision"}),
        ("bool", {"type": "boolean"}), ("date", {"type": "date"}), ("datetime", {"type": "timestamptz"}),
        ("time", {"type": "time"}), ("UUID", {"type": "uuid"}), ("Decimal", {"type": "numeric"}),
        ("Decimal = Field(max_digits=10, decimal_places=2)", {"type": "numeric(10,2)"}),
        ("Annotated[Decimal, Field(max_digits=5, decimal_places=1)] | None", {"type": "numeric(5,1)"}),
        ("Decimal = Field(max_digits=10)", {"type": "numeric"}),
        ("str | None", {"type": "text"}), ("Optional[int]", {"type": "bigint"}), ("PositiveInt", {"type": "bigint"}),
        ("State", {"type": "text"}), ("Level", {"type": "bigint"}), ('Literal["a", "b"]', {"type": "text"}),
        ("Name", {"type": "text"}), ("Root", {"type": "bigint"}),
        ('Annotated[int, Type("int2")]', {"type": "smallint"}),
        ('Annotated[date, Type("date", format="%d-%m-%Y")]', {"type": "date", "format": "%d-%m-%Y"}),
        ('Annotated[list[int], Type("jsonb")]', {"type": "jsonb"}), ('Annotated[Thing, Type("jsonb")]', {"type": "jsonb"}),
        ("Annotated[str, Scd1]", {"type": "text", "scd": 1}), ("Annotated[str, Scd1] | None", {"type": "text", "scd": 1}),
        ("Annotated[str | None, Sensitive]", {"type": "text", "sensitive": True}),
        ('str = Field(description="what it is")', {"type": "text", "description": "what it is"}),
        ('Annotated[str, Field(description="what it is")]', {"type": "text", "description": "what it is"}),
        ("Annotated[Any, Scd1]", {"scd": 1}), ("Annotated[dict[str, int], Sensitive]", {"sensitive": True}),
    ],
)  # fmt: skip
def test_a_field_is_a_column(tmp_path: Path, written: str, column: dict[str, Any]) -> None:
    classes = (
        f"class Thing(BaseModel):\n    id: Annotated[int, Key]\n    x: {written}\n"
        'class State(Enum):\n    a = "a"\nclass Level(IntEnum):\n    low = 1\n'
        'Name = NewType("Name", str)\nclass Root(RootModel[int]):\n    pass\n'
    )
    assert entity(tmp_path, classes) == {"key": ("id",), "columns": {"id": {"type": "bigint"}, "x": column}}


@pytest.mark.parametrize("written", ["Any", "dict[str, Any]", "dict", "list[str]", "tuple[int, ...]", "list"])
def test_of_what_the_data_tell_nothing_is_said(tmp_path: Path, written: str) -> None:
    classes = f"class Thing(BaseModel):\n    id: Annotated[int, Key]\n    x: {written}\n"
    assert entity(tmp_path, classes)["columns"] == {"id": {"type": "bigint"}}
    assert "children" not in entity(tmp_path, classes)


NESTED = '''
class Thing(BaseModel):
    """What it is.

    At length."""

    number: Annotated[int, Key] = Field(alias="@id")
    owner: Annotated[Person, Key]
    maker: Person | None
    lines: list[Line] | None = None


class Base(BaseModel):
    id: Annotated[int, Key]


class Person(Base):
    name: Annotated[str, Scd1]
    homes: list[Base]


class Line(Base):
    price: Decimal
    maker: Person
    taxes: list[Base]
'''


def test_objects_are_paths_and_lists_children(tmp_path: Path) -> None:
    id_, name = {"id": {"type": "bigint"}}, {"type": "text", "scd": 1}
    below = {"key": ("id",), "columns": id_}
    assert entity(tmp_path, NESTED) == {
        "description": "What it is.\n\nAt length.",
        "key": ("@id", "owner.id"),
        "columns": {
            "@id": {"type": "bigint"},
            "owner.id": {"type": "bigint"},
            "owner.name": name,
            "maker.id": {"type": "bigint"},
            "maker.name": name,
        },
        "children": {
            "owner.homes": below,
            "maker.homes": below,
            "lines": {
                "key": ("id",),
                "columns": id_
                | {"price": {"type": "numeric"}, "maker.id": {"type": "bigint"}, "maker.name": name},
            },
            "lines[].maker.homes": below,
            "lines[].taxes": below,
        },
    }


def test_what_yaml_says_comes_first(tmp_path: Path) -> None:
    yaml = (
        YAML
        + """\
    description: mine
    key: [code]
    columns:
      owner__name: {type: jsonb}
      other: {scd: 1}
    children:
      lines: {columns: {price: {sensitive: true}}}
      taxes: {key: [n]}
"""
    )
    found = entity(tmp_path, NESTED, yaml)
    assert (found["description"], found["key"]) == ("mine", ("code",))
    assert found["columns"]["owner__name"] == {"type": "jsonb", "scd": 1}
    assert "owner.name" not in found["columns"]
    assert found["columns"]["other"] == {"scd": 1}
    assert found["columns"]["maker.name"] == {"type": "text", "scd": 1}
    lines = found["children"]["lines"]
    assert (lines["key"], lines["columns"]["price"]) == (("id",), {"type": "numeric", "sensitive": True})
    assert found["children"]["taxes"] == {"key": ("n",)}
    assert set(found["children"]) == {"owner.homes", "maker.homes", "lines", "lines[].maker.homes", "lines[].taxes", "taxes"}  # fmt: skip


def test_another_type_takes_its_format_along(tmp_path: Path) -> None:
    classes = 'class Thing(BaseModel):\n    id: Annotated[int, Key]\n    x: Annotated[date, Type("date", "%d"), Scd1]\n'
    found = entity(tmp_path, classes, YAML + "    columns: {x: {type: text}}\n")
    assert found["columns"]["x"] == {"type": "text", "scd": 1}


CLASS = "class Thing(BaseModel):\n    id: Annotated[int, Key]\n"


@pytest.mark.parametrize(
    ("classes", "line", "path", "message", "legal"),
    [
        (CLASS + "    x: bytes\n", 11, "Thing.x", "bytes is no type that a column can be made of", "str, int, float"),
        (CLASS + "    x: int | str\n", 11, "Thing.x", "int | str is no type", "str, int, float"),
        (CLASS + '    x: Literal["a", 1]\n', 11, "Thing.x", "Literal['a', 1] is no type", "an Enum or Literal of one kind"),
        (CLASS + "    x: list[Thing]\n", 11, "Thing.x", "Thing holds itself", 'Type("jsonb")'),
        (CLASS + "    x: B\nclass B(BaseModel):\n    a: int\n    b: set[bytes] | bytes\n", 14, "B.b", "is no type", "str"),
        (CLASS + "    x: Annotated[list[int], Key]\n", 11, "Thing.x", "a list cannot be part of a key", ""),
        (CLASS + "    x: Annotated[B, Key]\nclass B(BaseModel):\n    a: int\n", 11, "Thing.x", "no field of B is", ""),
        ("class B(BaseModel):\n    x: bytes\nclass Thing(B):\n    id: Annotated[int, Key]\n", 10, "Thing.x", "bytes", "str"),
        (CLASS + '    x: int = Field(validation_alias=AliasPath("a", 0))\n', 11, "Thing.x", "NameError: name 'AliasPath'", ""),
        (CLASS + "    x: Missing\n", 11, "Thing.x", "name 'Missing' is not defined", "str, int"),
        (CLASS + '    x: Annotated[str, Type("strin")]\n', 11, "Thing.x", "'strin' is not a type", ""),
        ("class C: pass\nclass Thing(BaseModel):\n    x: C\n", 11, "Thing.x", "PydanticSchemaGenerationError", "str, int, float"),
        ("Thing = 1\n", 1, "Thing", "is no class of pydantic.BaseModel", "none is there yet"),
        ("class Other(BaseModel): pass\nclass Thing: pass\n", 10, "Thing", "is no class of pydantic.BaseModel", "Other"),
        ("import sys\n1 / 0\n", 10, "", "your file cannot be imported: ZeroDivisionError: division by zero", ""),
        ("\0", 1, "", "your file cannot be imported: ", ""),
        ("import json\njson.loads('[')\n", 10, "", "JSONDecodeError", ""),
        ("class Thing(BaseModel:\n", 9, "", "your file cannot be imported: SyntaxError", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_class_is_told_with_its_line(
    tmp_path: Path, classes: str, line: int, path: str, message: str, legal: str
) -> None:
    found = problem(tmp_path, classes)
    assert (found.file, found.line, found.path) == (str(tmp_path / "models" / "m.py"), line, path), found
    assert message in found.message
    assert legal in found.legal


@pytest.mark.parametrize(
    ("model", "message", "legal"),
    [
        ("mm.Thing", "there is no {folder}/models/mm.py; did you mean `m`?", "m"),
        ("m.Thin", "{folder}/models/m.py has no class Thin; did you mean `Thing`?", "Other, Thing"),
        ("Thing", "a class is named `file.Class`, for {folder}/models/file.py", "m"),
        ("a/b.Thing", "a class is named `file.Class`", "m"),
        ("[m.Thing]", "a class is named `file.Class`", "m"),
        ("m.Other", "m.Other has no key: mark its fields with `Annotated[…, Key]`, or write `key: [id]`", ""),
    ],
)  # fmt: skip
def test_a_class_that_is_not_there_is_told_with_the_line_of_the_yaml(
    tmp_path: Path, model: str, message: str, legal: str
) -> None:
    classes = CLASS + "class Other(BaseModel):\n    a: int\n"
    found = problem(tmp_path, classes, YAML.replace("m.Thing", model))
    where = (str(tmp_path / "sources" / "s.yaml"), 6, "entities.things.model")
    assert (found.file, found.line, found.path) == where
    assert message.format(folder=tmp_path) in found.message
    assert found.legal == legal


def test_without_a_key_both_ways_are_told(tmp_path: Path) -> None:
    found = problem(tmp_path, CLASS, YAML.replace("    model: m.Thing\n", ""))
    assert found.path == "entities.things.key"
    assert "`key: [id]`, or `Annotated[int, Key]` in a class that `model:` names" in found.message


def test_a_class_is_read_anew_when_it_changed(tmp_path: Path) -> None:
    assert entity(tmp_path, CLASS)["key"] == ("id",)
    assert entity(tmp_path, CLASS.replace("id", "no"))["key"] == ("no",)


def test_one_wrong_class_hides_no_other_problem(tmp_path: Path) -> None:
    yaml = YAML + "  more: {table: t, model: m.Nothing}\n  most: {table: t, model: m.Thing}\n"
    _, problems = read(tmp_path, CLASS + "    x: bytes\n", yaml)
    assert [p.path for p in problems] == ["Thing.x", "entities.more.model", "Thing.x"]


def test_a_type_is_checked_where_it_is_written() -> None:
    assert Type("decimal(10,2)").name == "numeric(10,2)"
    with pytest.raises(ValueError, match="legal: text, boolean"):
        Type("strin")
    with pytest.raises(ValueError, match="`format` is for"):
        Type("text", format="%d")


def test_who_names_no_class_does_not_wait_for_them(tmp_path: Path) -> None:
    read(tmp_path, CLASS, YAML.replace("model: m.Thing", "key: [id]"))
    code = (
        "import sys\nfrom pathlib import Path\nfrom dataplatform.metadata import load_catalog\n"
        "load_catalog(Path(sys.argv[1])).source('s')\n"
        "print([m for m in sys.modules if m.startswith('dataplatform.metadata.model_')])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
