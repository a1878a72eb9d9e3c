"""A class written from what is known of an entity says the same when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dataplatform.errors import MetadataError
from dataplatform.metadata import load_catalog
from dataplatform.metadata.model_text import FieldShape, Shape, appended, class_name, module_text
from dataplatform.metadata.source import COLUMN_TYPES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ID = FieldShape("id", "bigint", key=True)


def read(folder: Path, text: str, entity: str = "things") -> dict[str, Any]:
    """What the class in the text says, as YAML would."""
    for part in ("models", "sources"):
        (folder / part).mkdir(exist_ok=True)
    (folder / "models" / "s.py").write_text(text, "utf-8")
    (folder / "sources" / "s.yaml").write_text(
        'source: s\nconnector: {type: sql, url: "sqlite:///x.db"}\n'
        f"entities:\n  {entity}: {{table: t, model: s.{class_name(entity)}}}\n"
    )
    found = load_catalog(folder).source("s").entities[entity]
    return found.model_dump(exclude_defaults=True, exclude={"table", "model"})


def as_yaml(shape: Shape) -> dict[str, Any]:
    """What YAML would say of the shape."""
    return (
        _said(shape)
        | _children(shape, "")
        | ({"description": shape.description} if shape.description else {})
    )


def _said(shape: Shape) -> dict[str, Any]:
    key = tuple(f.path for f in shape.fields if f.key)
    columns = {f.path: _column(f) for f in shape.fields if _column(f)}
    return ({"key": key} if key else {}) | ({"columns": columns} if columns else {})


def _children(shape: Shape, prefix: str) -> dict[str, Any]:
    found = {}
    for path, items in shape.lists:
        found[prefix + path] = _said(items)
        found |= _children(items, f"{prefix}{path}[].").get("children", {})
    return {"children": found} if found else {}


def _column(one: FieldShape) -> dict[str, Any]:
    said = {
        "type": one.type,
        "format": one.format,
        "sensitive": one.sensitive,
        "description": one.description,
    }
    return {n: v for n, v in said.items() if v} | ({"scd": 1} if one.scd == 1 else {})


names = st.sampled_from(["date", "int", "class", "json", "model_x", "list", "Key", "_x", "@id", "a-b", "a__b", "1", "ü", "ﬁ", "None", "x", "X"]) | st.text(
    st.characters(exclude_characters=".[]", exclude_categories=["Cs"]), min_size=1, max_size=5
)  # fmt: skip
types_ = st.none() | st.sampled_from([*COLUMN_TYPES, "numeric(10,2)", "numeric(3)", "numeric(2,4)"])
texts = st.just("") | st.sampled_from(['say "it"', "a\\b", 'ends with "', "two\nlines", '"""'])


@st.composite
def fields(draw: st.DrawFn, key: bool) -> FieldShape:
    type_ = draw(types_)
    dated = type_ in ("date", "timestamp", "timestamptz") and draw(st.booleans())
    return FieldShape(
        draw(names), type_, "%d-%m-%Y" if dated else "", key, draw(st.sampled_from([1, 2])), draw(st.booleans()), draw(texts)
    )  # fmt: skip


@st.composite
def shapes(draw: st.DrawFn, depth: int = 2, keyed: bool = True) -> Shape:
    own = [
        *draw(st.lists(fields(True), min_size=int(keyed), max_size=2)),
        *draw(st.lists(fields(False), max_size=4)),
    ]
    lists = draw(st.lists(st.tuples(names, shapes(depth - 1, False)), max_size=2)) if depth else []
    normal = {f.path.replace(".", "__"): f for f in reversed(own)}
    there = tuple(f for f in own if normal[f.path] is f)
    return Shape(
        there, tuple({p: s for p, s in lists if p not in normal}.items()), draw(texts) if keyed else ""
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(shapes())
def test_what_is_written_is_read_as_it_was(tmp_path: Path, shape: Shape) -> None:
    assert read(tmp_path, module_text("things", shape)) == as_yaml(shape)


def test_a_class_as_a_person_sees_it() -> None:
    lines = Shape((ID, FieldShape("price", "numeric(10,2)", description="Euro")))
    shape = Shape(
        (ID, FieldShape("title", "text", scd=1), FieldShape("@at", "timestamptz"), FieldShape("n", "integer", sensitive=True)),
        (("lines", lines),),
        "Mine.",
    )  # fmt: skip
    assert (
        module_text("pull_requests", shape).partition("\n\n")[2]
        == '''\
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from dataplatform.metadata import Key, Scd1, Sensitive, Type


class PullRequestsLines(BaseModel):
    id: Annotated[int, Key]
    price: Decimal | None = Field(default=None, max_digits=10, decimal_places=2, description="Euro")


class PullRequests(BaseModel):
    """Mine."""

    id: Annotated[int, Key]
    title: Annotated[str | None, Scd1] = None
    at: datetime | None = Field(default=None, alias="@at")
    n: Annotated[int | None, Type("integer"), Sensitive] = None
    lines: list[PullRequestsLines] | None = None
'''
    )


def test_a_file_gets_more_classes_and_none_twice(tmp_path: Path) -> None:
    shape = Shape((ID,), (("lines", Shape((ID,))),))
    text = module_text("others", Shape((ID, FieldShape("d", "date"))))
    both = appended(text, "s.py", "things", shape)
    assert both.startswith(text.rstrip())
    assert read(tmp_path, both) == as_yaml(shape)
    assert read(tmp_path, both, "others")["columns"]["d"] == {"type": "date"}
    with pytest.raises(MetadataError, match=r"s.py:23: the class ThingsLines is there already"):
        appended(both, "s.py", "things", shape)
    with pytest.raises(MetadataError, match=r"s.py:1: .*was never closed"):
        appended("x = (", "s.py", "things", shape)


def test_the_name_of_a_class_hides_no_other() -> None:
    assert [class_name(n) for n in ("issues", "pull_requests", "key", "any")] == [
        "Issues",
        "PullRequests",
        "KeyRecord",
        "AnyRecord",
    ]
