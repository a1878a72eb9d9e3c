"""Sources whose entities have the same names, beside each other in one schema: what one refers to is its own."""

from __future__ import annotations

from conftest import MakeWorld, execute
from dataplatform.auto_dw.judge import report
from dataplatform.auto_dw.said import outcome
from dataplatform.auto_dw.workspace import Workspace

SOURCES = {"webshop": 80, "market": 60, "club": 50}  # and how many customers each has
REFERENCES = {
    ("order_items", "order_id", "orders"), ("order_items", "product_id", "products"),
    ("orders", "customer_id", "customers"), ("products", "category_id", "categories"),
}  # fmt: skip
TABLES = """
create table several.{name}__customers as select g as id, 'Person ' || g as name, 'p' || g || '@{name}.example' as email
    from generate_series(1, {customers}) g;
create table several.{name}__categories as select * from
    (values (1, 'Books'), (2, 'Food'), (3, 'Toys'), (4, 'Tools'), (5, 'Other')) v(id, title);
create table several.{name}__products as select g as id, 'Thing ' || g as title, 1 + g * 7 % 5 as category_id,
    (g * 3.5)::numeric(10, 2) as price from generate_series(1, 40) g;
create table several.{name}__orders as select g as id, 1 + g * 7 % {customers} as customer_id,
    timestamptz '2026-01-01' + g * interval '3 hours' as ordered_at from generate_series(1, 300) g;
create table several.{name}__order_items as select g as id, 1 + g * 11 % 300 as order_id, 1 + g * 13 % 40 as product_id,
    1 + g % 6 as quantity, (g % 90) * 1.25 as amount from generate_series(1, 900) g;
"""


def test_each_source_refers_to_its_own(make_world: MakeWorld) -> None:
    world = make_world()
    tables = (TABLES.format(name=name, customers=number) for name, number in SOURCES.items())
    execute(world, "create schema several;" + "".join(tables))
    evaluation = outcome.judge_and_keep(Workspace.of(world.platform, "several")).evaluation
    found = report.as_json(evaluation)
    said = {(f["table"], *f["columns"], f["ref_table"]) for f in found["foreign_keys"]}
    assert said == {
        (f"{source}__{table}", column, f"{source}__{parent}")
        for source in SOURCES
        for table, column, parent in REFERENCES
    }
    assert not found["possible_foreign_keys"]
