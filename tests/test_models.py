"""Columns as a Pydantic class, on real servers: silver is what the class says, and `new model` writes such a class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conftest import MakeWorld, World
from dataplatform.metadata import load_catalog
from dataplatform.metadata.model_text import module_text
from dataplatform.reading.shape import shape_named

CLASSES = '''
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from dataplatform.metadata import Key, Scd1, Sensitive
from pydantic import BaseModel, Field


class Line(BaseModel):
    no: Annotated[int, Key]
    price: Decimal = Field(max_digits=10, decimal_places=2, description="Without tax")


class Customer(BaseModel):
    name: Annotated[str, Sensitive]


class Order(BaseModel):
    """An order of the shop."""

    number: Annotated[int, Key] = Field(alias="@id")
    title: Annotated[str | None, Scd1] = Field(default=None, description="What it is called")
    state: str
    code: str
    at: datetime
    customer: Customer
    lines: list[Line]
'''


def order(state: str = "open", title: str = "a", price: Any = 1, code: Any = "007", **more: Any) -> str:
    record = {
        "@id": 1, "title": title, "state": state, "code": code, "at": "2026-01-31T10:00:00Z",
        "customer": {"name": "x"}, "lines": [{"no": 1, "price": price}, {"no": 2, "price": 2}], **more,
    }  # fmt: skip
    return json.dumps(record) + "\n"


def shop(make_world: MakeWorld, tmp_path: Path, entity: str = "model: shop.Order") -> World:
    (tmp_path / "metadata" / "models").mkdir(parents=True, exist_ok=True)
    (tmp_path / "metadata" / "models" / "shop.py").write_text(CLASSES)
    return make_world(
        s=f'source: s\nconnector: {{type: files, path: "{{data}}"}}\nentities:\n  e: {{file: e.jsonl, {entity}}}\n'
    )


def loaded(world: World, text: str) -> None:
    world.write("e.jsonl", text)
    result = world.run()
    assert not result.failed, result.failed


def columns(world: World, table: str) -> dict[str, tuple[str, str | None]]:
    query = (
        "select attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) from pg_attribute "
        f"where attrelid = 'silver.{table}'::regclass and attnum > 0 and attname not like 'dp!_%' escape '!'"
    )
    return {name: (type_, comment) for name, type_, comment in world.rows(query)}


def test_silver_is_what_the_class_says(make_world: MakeWorld, tmp_path: Path) -> None:
    world = shop(make_world, tmp_path)
    loaded(world, order(code=7))
    assert columns(world, "s__e") == {
        "_id": ("bigint", None),
        "title": ("text", "What it is called"),
        "state": ("text", None),
        "code": ("text", None),
        "at": ("timestamp with time zone", None),
        "customer__name": ("text", None),
    }
    assert columns(world, "s__e__lines") == {
        "no": ("bigint", None),
        "price": ("numeric(10,2)", "Without tax"),
    }
    assert world.rows("select obj_description('silver.s__e'::regclass)") == [("An order of the shop.",)]

    loaded(world, order(code=7, title="b"))  # overwritten in place
    assert world.rows("select title, dp_current from silver.s__e") == [("b", True)]
    loaded(world, order(code=7, title="b", state="done", price=3))  # with history; of the lines one changed
    assert world.rows("select state, dp_current from silver.s__e order by dp_valid_from") == [
        ("open", False),
        ("done", True),
    ]
    lines = "select no, price::text, dp_current from silver.s__e__lines order by no, dp_valid_from"
    assert world.rows(lines) == [(1, "1.00", False), (1, "3.00", True), (2, "2.00", True)]


def test_what_does_not_fit_the_class_waits_in_quarantine(make_world: MakeWorld, tmp_path: Path) -> None:
    world = shop(make_world, tmp_path, "model: shop.Order, max_quarantine: 100%")
    loaded(world, order() + order(price="much", **{"@id": 2}))
    assert world.rows("select _id from silver.s__e") == [(1,)]


def test_a_class_is_written_from_what_silver_knows(make_world: MakeWorld, tmp_path: Path) -> None:
    world = shop(make_world, tmp_path, 'key: "@id", columns: {title: {scd: 1}}, children: {lines: {key: no}}'.replace("key: no", "key: [no]"))  # fmt: skip
    loaded(world, order())
    before = columns(world, "s__e"), columns(world, "s__e__lines")
    ref, shape = shape_named(world.platform, "s.e")
    (tmp_path / "metadata" / "models" / "s.py").write_text(module_text(ref.name, shape))

    again = shop(make_world, tmp_path, "model: s.E")
    entity = again.platform.catalog.source("s").entities["e"]
    assert entity.key == ("@id",)
    assert {p: (c.type, c.scd) for p, c in entity.columns.items()} == {
        "@id": ("bigint", 2),
        "title": ("text", 1),
        "state": ("text", 2),
        "code": ("text", 2),
        "at": ("timestamptz", 2),
        "customer__name": ("text", 2),
    }
    assert entity.children["lines"].key == ("no",)
    assert {p: c.type for p, c in entity.children["lines"].columns.items()} == {
        "no": "bigint",
        "price": "bigint",
    }
    loaded(again, order(title="b"))
    assert (columns(again, "s__e"), columns(again, "s__e__lines")) == before
    assert again.rows("select title, dp_current from silver.s__e") == [("b", True)]


def test_of_an_entity_that_was_never_loaded_the_metadata_speak(make_world: MakeWorld, tmp_path: Path) -> None:
    world = shop(make_world, tmp_path)
    ref, shape = shape_named(world.platform, "s.e")
    (tmp_path / "metadata" / "models" / "s.py").write_text(module_text(ref.name, shape))
    before = world.platform.catalog.source("s").entities["e"]
    shop(make_world, tmp_path, "model: s.E")
    after = load_catalog(tmp_path / "metadata").source("s").entities["e"]
    normal = {p.replace(".", "__"): c for p, c in before.columns.items()}
    assert (after.columns, after.children, after.key) == (normal, before.children, before.key)
    assert after.description == before.description


def test_a_description_is_the_comment_whatever_stands_in_it(make_world: MakeWorld, files: str) -> None:
    """On a new table, and on a column that comes later: ends of statements, quotes, what drivers take for parameters."""
    odd = "first;\nthen 'quoted', 100 % of it; %s :name\\ {x}\n;\n"
    columns = json.dumps({name: {"description": odd + name} for name in ("id", "late")})
    world = make_world(
        s=f"{files}  e:\n    {{file: e.jsonl, key: [id], description: {json.dumps(odd)}, columns: {columns}}}\n"
    )
    for record in ('{"id": 1}\n', '{"id": 1, "late": 2}\n'):
        world.write("e.jsonl", record)
        assert world.run().status == "done"
    assert world.rows("select obj_description('silver.s__e'::regclass)") == [(odd,)]
    said = world.rows(
        "select attname, col_description(attrelid, attnum) from pg_attribute "
        "where attrelid = 'silver.s__e'::regclass and attname in ('id', 'late') order by attname"
    )
    assert said == [("id", odd + "id"), ("late", odd + "late")]
