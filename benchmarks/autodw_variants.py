"""The public schemas once more, as they are met elsewhere: what there is of each is learned from, none is scored.

Columns in the alphabet's order, as JSON and so silver often has them; young installations, in which much is empty; and
several programs in one schema, or several sources in silver, whose tables have the same names behind a module's or a
source's own: `shop_customer` beside `club_customer`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from autodw_cases import LEVELS, Case
from dataplatform.auto_dw.look.profiles import NO_SKETCH, ColumnProfile, SchemaProfile, Sketch, TableProfile
from dataplatform.auto_dw.look.spoken import spelled

SORTED, EMPTIED, BESIDE = "sorted", "emptied", "beside"
COUNTS = {EMPTIED: 0.25, BESIDE: 0.2}  # how much of what a schema counts these do
EMPTY_TABLES, EMPTY_COLUMNS = 0.25, 0.15  # shares
TWINS, MOST = 40, 140  # tables of a schema that stands beside itself, and of two beside each other
MODULES = """core shop crm app hr stock club school portal media admin market desk library office
    field"""


def variants(found: Sequence[Case]) -> list[Case]:
    """The cases; those of plain names in the alphabet's order, for keys; and all with much of them empty."""
    by_alphabet = [_by_alphabet(case) for case in found if case.level == "plain"]
    return [*found, *by_alphabet, *(emptied(case) for case in found)]


def _by_alphabet(case: Case) -> Case:
    """That a key stands first must not tell it."""
    tables, values = {}, {}
    for name, table in case.schema.tables.items():
        order = sorted(range(len(table.columns)), key=lambda n, t=table: t.columns[n].name.lower())
        columns = tuple(replace(table.columns[n], position=place) for place, n in enumerate(order))
        tables[name] = replace(table, columns=columns)
        values[name] = case.values[name][:, order]
    return Case(case.name, SORTED, replace(case.schema, tables=tables), values, case.truth)


def emptied(case: Case) -> Case:
    """A quarter of the tables without rows, some columns without values; keys keep theirs, or there would be none."""
    random = np.random.default_rng(_seed(case.name, case.level))
    tables, values = {}, {}
    for name, table in case.schema.tables.items():
        key = case.truth["tables"][name]["primary_key"]
        whole = random.random() < EMPTY_TABLES
        tables[name], values[name] = (
            _table_emptied(table, case.values[name])
            if whole
            else _columns_emptied(table, case.values[name], key, random)
        )
    return Case(case.name, EMPTIED, replace(case.schema, tables=tables), values, case.truth)


def _table_emptied(table: TableProfile, values: Sketch) -> tuple[TableProfile, Sketch]:
    return replace(table, rows=0, columns=tuple(_blank(c, 0) for c in table.columns)), values[:0]


def _columns_emptied(
    table: TableProfile, values: Sketch, key: Sequence[str], random: np.random.Generator
) -> tuple[TableProfile, Sketch]:
    gone = [c.name not in key and random.random() < EMPTY_COLUMNS for c in table.columns]
    columns = tuple(_blank(c, table.rows) if go else c for c, go in zip(table.columns, gone, strict=True))
    return replace(table, columns=columns), np.where(np.array(gone, bool), 0, values)


def _blank(column: ColumnProfile, rows: int) -> ColumnProfile:
    """The column with nothing but nulls, as a profile shows it."""
    return replace(
        column,
        rows=rows,
        nulls=rows,
        distinct=0,
        low=None,
        high=None,
        average_length=0.0,
        max_length=0,
        integral=False,
        sketch=NO_SKETCH,
        whole=True,
        sample=(),
        shapes={},
        labels=(),
    )


def beside(found: Sequence[Case], part: Sequence[int]) -> Iterator[tuple[Case, int]]:
    """Two schemas in one, and small ones beside themselves, with the part in which both are: none is parted."""
    for level in LEVELS:
        for number in sorted(set(part)):
            own = [c for c, n in zip(found, part, strict=True) if n == number and c.level == level]
            own.sort(key=lambda c: _seed(c.name))
            for left, right in pairwise(own):
                if left.group != right.group and len(left.schema.tables) + len(right.schema.tables) <= MOST:
                    yield _joined(left, right), number
            for case in own:
                if len(case.schema.tables) <= TWINS:
                    yield _joined(case, case), number


def _joined(left: Case, right: Case) -> Case:
    """Both in one schema, the tables of each behind a module's name."""
    random = np.random.default_rng(_seed(left.name, right.name, left.level))
    one, other = (
        _prefixed(c, str(m))
        for c, m in zip((left, right), random.choice(MODULES.split(), 2, False), strict=True)
    )
    name = f"{left.name}+{right.name}"
    truth = {
        "tables": {**one.truth["tables"], **other.truth["tables"]},
        "foreign_keys": [*one.truth["foreign_keys"], *other.truth["foreign_keys"]],
    }
    schema = spelled(SchemaProfile(name, {**one.schema.tables, **other.schema.tables}))
    return Case(name, BESIDE, schema, {**one.values, **other.values}, truth)


def _prefixed(case: Case, module: str) -> Case:
    names = {name: f"{module}_{name}" for name in case.schema.tables}
    tables = {names[n]: replace(t, name=names[n]) for n, t in case.schema.tables.items()}
    truth: Mapping[str, Any] = {
        "tables": {names[n]: about for n, about in case.truth["tables"].items()},
        "foreign_keys": [
            {**f, "table": names[f["table"]], "ref_table": names[f["ref_table"]]}
            for f in case.truth["foreign_keys"]
        ],
    }
    values = {names[n]: rows for n, rows in case.values.items()}
    return Case(case.name, case.level, replace(case.schema, tables=tables), values, truth)


def _seed(*names: str) -> int:
    return int.from_bytes(hashlib.sha256(".".join(names).encode()).digest()[:8], "big")
