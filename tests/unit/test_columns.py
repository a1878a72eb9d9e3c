"""Column by column or row by row: the same rows, the same hashes."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from dataplatform.layers.silver.columns import Block, copy_lines
from dataplatform.layers.silver.convert import BadValue
from dataplatform.layers.silver.known import KnownPath
from dataplatform.layers.silver.plan import Plan, make_plan
from dataplatform.layers.silver.rows import Row, Rows, child_rows, moment_text
from dataplatform.layers.silver.staged import prepare
from dataplatform.layers.silver.staging import columns_in, columns_of, usual
from dataplatform.metadata.source import Entity
from dataplatform.records.columnar import grouped
from dataplatform.records.kinds import LISTS, NULL, join, kind_of
from dataplatform.records.record import ITEM, flatten, item_fields, key_hash
from dataplatform.records.refs import EntityRef
from hypothesis import given
from hypothesis import strategies as st

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1.0, -0.0, 1e22, Decimal("1.10"), Decimal("2"), Decimal("1E+30")]),
    st.sampled_from(["", "a", "tab\there", "back\\slash", "line\nend", "2026-01-31", "2026-01-31T10:00:00Z"]),
)  # fmt: skip
names = st.sampled_from(["a", "b", "c", "a__b", "a=s", "d e"])
values = st.recursive(
    scalars, lambda inner: st.one_of(st.dictionaries(names, inner, max_size=3), st.lists(inner, max_size=2))
)
records = st.lists(st.dictionaries(names, values, max_size=5), min_size=1, max_size=6)
wholes = st.frozensets(st.sampled_from(["a", "b", "a__b", "c__a"]), max_size=2)


@pytest.mark.parametrize(
    "record",
    [
        {"a": {"b": 1}, "a__b": 2},
        {"a__b": 2, "a": {"b": 1}},
        {"a": {"b": [1]}, "a__b": [2]},
        {"a__b": [2], "a": {"b": [1]}},
        {"a": {"b": [1]}, "a__b": 2},
        {"a": {"b": {"c": 1}, "b__c": 2}, "a__b__c": 3},
        {"a": {}, "b": {"c": {}}, "b__c": None},
    ],
)
def test_two_values_for_one_path_in_groups_too(record: dict[str, Any]) -> None:
    plain = {"a": 1, "b": 2}
    assert told_by_groups([record, plain, record, {}], frozenset()) == [
        flatten(r) for r in (record, plain, record, {})
    ]


@given(records, wholes)
def test_groups_are_what_flatten_makes(found: list[dict[str, Any]], whole: frozenset[str]) -> None:
    assert told_by_groups(found, whole) == [flatten(r, whole) for r in found]


def told_by_groups(found: list[dict[str, Any]], whole: frozenset[str]) -> list[Any]:
    result: dict[int, Any] = {}
    for group in grouped(found, whole):
        for at, place in enumerate(group.places):
            taken = [{p: c[at] for p, c in part.items()} for part in (group.scalars, group.lists)]
            result[place] = tuple(taken)
    return [result[place] for place in range(len(found))]


def kinds_of(found: list[Any], whole: frozenset[str], prefix: str, into: dict[str, KnownPath]) -> None:
    for record in found:
        plain, lists = flatten(record, whole if not prefix else frozenset())
        for path, value in plain.items():
            old = into.get(prefix + path, KnownPath(NULL, "b"))
            into[prefix + path] = KnownPath(join(old.kind, kind_of(value, False)), "b")
        for path, items in lists.items():
            old = into.get(prefix + path, KnownPath(NULL, "b"))
            into[prefix + path] = KnownPath(join(old.kind, LISTS), "b")
            kinds_of([item_fields(i) for i in items], whole, prefix + path + ITEM, into)


def row_by_row(plan: Plan, found: list[dict[str, Any]], keys: list[bytes]) -> dict[str, list[str]]:
    lines: dict[str, list[str]] = {table.name: [] for table in plan.root.tables()}
    for record, key in zip(found, keys, strict=True):
        plain, lists = flatten(record, plan.whole)
        children: Rows = {}
        child_rows(plan.root, key, lists, plan.whole, children)
        for name, rows in prepare(plan, Row(key, plain), children, 0).fields.items():
            lines[name].extend("\t".join(row) for row in rows)
    return lines


@given(records, wholes, st.booleans(), st.booleans())
def test_lines_are_those_of_row_by_row(
    found: list[dict[str, Any]], whole: frozenset[str], keyed: bool, timed: bool
) -> None:
    """Without what is the same in all rows: SCD1's hash where there is none, the time where records say none."""
    columns = {path: {"type": "jsonb"} for path in whole} | {"d e": {"scd": 1}}
    children = {"b": {"key": ["a"]}} if keyed else {}
    entity = Entity.model_validate({"key": ["id"], "columns": columns, "children": children})
    known: dict[str, KnownPath] = {}
    kinds_of(found, whole, "", known)
    plan = make_plan(EntityRef("s", "t"), entity, known)
    keys = [key_hash([n]) or b"" for n in range(len(found))]
    try:
        expected = row_by_row(plan, found, keys)
    except BadValue:
        return
    plan = replace(plan, timed=timed)
    made = copy_lines(plan, Block(found, keys, [moment_text(0)] * len(found) if timed else []))
    assert told(made) == told(without_usual(plan, expected))


def without_usual(plan: Plan, lines: dict[str, list[str]]) -> dict[str, list[str]]:
    usually, columns = usual(0), columns_of(plan, plan)
    result: dict[str, list[str]] = {}
    for table in plan.root.tables():
        all_ = columns_in(table)
        rows = [dict(zip(all_, line.split("\t"), strict=True)) for line in lines[table.name]]
        gone = set(all_) - set(columns[table.name])
        assert all(row[column] == usually[column] for row in rows for column in gone)
        result[table.name] = ["\t".join(row[column] for column in columns[table.name]) for row in rows]
    return result


def told(lines: dict[str, list[str]]) -> dict[str, list[str]]:
    """1e+16, 1E+16 and 10000000000000000 are one number to Postgres; no text here looks like one."""
    return {name: sorted(NUMBER.sub(plainly, line) for line in found) for name, found in lines.items()}


NUMBER = re.compile(r"(?<=\t)-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?=\t|$)")


def plainly(found: re.Match[str]) -> str:
    return f"{Decimal(found[0]):f}"


def test_text_without_times_is_of_no_use_where_rows_need_them() -> None:
    entity = Entity.model_validate({"key": ["id"]})
    plan = make_plan(EntityRef("s", "t"), entity, {"id": KnownPath("int", "")})
    timed = make_plan(EntityRef("s", "t"), entity.model_copy(update={"effective_at": "at"}), plan.known)
    assert (plan.timed, timed.timed) == (False, True)
    assert [a.holds(b) for a in (plan, timed) for b in (plan, timed)] == [True, True, False, True]
