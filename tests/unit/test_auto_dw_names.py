"""Names in the conventions that people use, and what auto_dw takes them to mean."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from dataplatform.auto_dw.judge.evaluate import evaluate
from dataplatform.auto_dw.look.kinds import INTEGER, TEXT
from dataplatform.auto_dw.look.profiles import ColumnProfile, SchemaProfile, TableProfile
from dataplatform.auto_dw.look.sketches import ENOUGH, containment, first_look, index, telling
from dataplatform.auto_dw.look.spoken import spelled
from dataplatform.auto_dw.names.words import names_table, plurals, points_to, stem, table_words, words


def schema(tables: Mapping[str, str]) -> SchemaProfile:
    def table(name: str, columns: str) -> TableProfile:
        found = (ColumnProfile(c, n, "integer", INTEGER, 1) for n, c in enumerate(columns.split()))
        return TableProfile("s", name, 1, tuple(found))

    return spelled(SchemaProfile("s", {name: table(name, columns) for name, columns in tables.items()}))


@pytest.mark.parametrize(
    ("table", "column", "meant"),
    [
        ("orders", "o_custkey", "cust_key"),
        ("orders", "o_totalprice", "total_price"),
        ("order_lines", "ol_o_id", "o_id"),
        ("customers", "customerid", "customer_id"),
        ("customers", "shiptoorderid", "ship_to_order_id"),
        ("customers", "valid", "valid"),
        ("customers", "monkey", "monkey"),
        ("customers", "address", "address"),
    ],
)
def test_prefixes_are_left_out_and_words_parted(table: str, column: str, meant: str) -> None:
    found = schema({
        "orders": "o_id o_custkey o_totalprice",
        "order_lines": "ol_o_id ol_number ol_amount",
        "customers": "customerid shiptoorderid valid monkey address",
    })  # fmt: skip
    assert found.tables[table].by_name[column].called == meant


def test_a_prefix_that_is_another_tables_name_is_no_prefix() -> None:
    found = schema({"order_items": "order_id order_line order_quantity", "orders": "id placed"})
    assert found.tables["order_items"].by_name["order_id"].called == "order_id"


@pytest.mark.parametrize(
    ("column", "table"),
    [("ship_addr_sk", "customer_address"), ("cdemo_sk", "customer_demographics"), ("sold_date_sk", "date_dim"),
     ("custaddr_id", "customer_address"), ("shipToCustomerID", "Customers")],
)  # fmt: skip
def test_short_forms_name_their_table(column: str, table: str) -> None:
    assert names_table(stem(column), table_words(table)) >= 0.65


@pytest.mark.parametrize(("column", "table"), [("code", "company_departments"), ("score", "sales_cores"), ("cost", "city_ostriches")])  # fmt: skip
def test_words_of_their_own_are_no_short_forms(column: str, table: str) -> None:
    assert names_table(words(column), table_words(table)) < 0.65


def column(name: str, position: int, values: list[int]) -> ColumnProfile:
    distinct = len(set(values))
    return ColumnProfile(name, position, "integer", INTEGER, len(values), distinct=distinct, low="1", high=str(max(values)))  # fmt: skip


def test_a_composite_key_has_no_part_that_it_does_not_need() -> None:
    """order, line identifies a row; that a part and its supplier stand between them changes nothing."""
    orders = [n // 5 + 1 for n in range(5_000)]
    lines = [n % 5 + 1 for n in range(5_000)]
    parts = [n * n % 7 + 1 for n in range(5_000)]  # more than once in an order
    suppliers = [part % 3 + 1 for part in parts]
    told = [n * 37 % 4_999 for n in range(5_000)]
    data = {"order_id": orders, "part_id": parts, "supplier_id": suppliers, "line_number": lines}
    data |= {"quantity": [n % 50 for n in told], "price": told, "discount": [n % 11 for n in told]}
    tables = {"order_lines": TableProfile("s", "order_lines", 5_000, tuple(column(c, n, v) for n, (c, v) in enumerate(data.items())))}  # fmt: skip
    for name in ("orders", "parts", "suppliers"):
        tables[name] = TableProfile("s", name, 0, (ColumnProfile("id", 0, "integer", INTEGER, 0),))
    found = spelled(SchemaProfile("s", tables))
    judged = evaluate(found, lambda _, names: np.array([data[n] for n in names], np.int64).T)
    assert set(judged.tables["order_lines"].primary_key) == {"order_id", "line_number"}


def test_a_few_values_of_a_large_parents_cannot_be_told_from_sketches() -> None:
    large = ColumnProfile(
        "id", 0, "integer", INTEGER, 9_000, distinct=9_000, sketch=np.arange(100), whole=False
    )
    few = ColumnProfile("x_id", 0, "integer", INTEGER, 3, distinct=3, sketch=np.array([500, 600, 700]))
    same = ColumnProfile("y_id", 0, "text", TEXT, 3, distinct=3, sketch=np.array([5, 6, 7]))
    assert not telling(few, large)
    assert telling(same, large)
    assert containment(same, large) == 1.0


def test_a_first_look_at_all_parents_agrees_with_the_look_at_each() -> None:
    random = np.random.default_rng(7)

    def column(name: str, values: int, whole: bool) -> ColumnProfile:
        sketch = np.unique(random.integers(0, 500, values))
        return ColumnProfile(name, 0, "integer", INTEGER, 900, distinct=900, sketch=sketch, whole=whole)

    parents = [column(f"p{n}", n * 40, n % 2 == 0) for n in range(12)]
    for child in (column("few", 5, True), column("some", 60, True), column("cut", 60, False)):
        shares, asked = first_look(child, index(parents))
        assert list(shares) == pytest.approx([containment(child, parent) for parent in parents])
        enough = [n >= min(ENOUGH, child.distinct) for n in asked]
        assert [e for e, p in zip(enough, parents, strict=True) if len(p.sketch)] == [
            telling(child, p) for p in parents if len(p.sketch)
        ]


@pytest.mark.parametrize(
    ("column", "table", "other"),
    [("thing_1_id", "thing_1", "thing_2"), ("address2_id", "address2", "address3"), ("tag_7", "tags_7", "tags_77")],
)  # fmt: skip
def test_numbers_in_names_tell_tables_apart(column: str, table: str, other: str) -> None:
    assert points_to(column, table) >= 0.9
    assert points_to(column, other) <= 0.5


@pytest.mark.parametrize(
    ("name", "several"),
    [("units_on_order", ("units",)), ("minutesPlayed", ("minutes",)), ("reorder_level", ()), ("status", ()), ("series", ()),
     ("address", ()), ("gps", ())],
)  # fmt: skip
def test_plurals_say_of_how_many_things(name: str, several: tuple[str, ...]) -> None:
    assert plurals(name) == several
