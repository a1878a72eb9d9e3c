"""Warehouses built from silver: history, point-in-time lookups, and models that follow the change."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform.auto_dw.build import builds, totals
from dataplatform.auto_dw.judge import report
from dataplatform.auto_dw.said import outcome
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.context import Platform
from dataplatform.metadata import load_catalog
from dataplatform.pipeline import refresh_gold
from dataplatform.runs.replay import replay


def root(world: World) -> Path:
    return world.folder / "metadata"


def make_platform(world: World) -> Platform:
    return replace(world.platform, catalog=load_catalog(root(world)))


SILVER = """
source: s
connector: {type: files, path: "{data}"}
entities:
  people: {file: people.jsonl, key: [person_id], effective_at: since, columns: {since: {type: timestamptz}}}
  sales: {file: sales.jsonl, key: [sale_id], columns: {sold_at: {type: timestamptz}}}
"""


def test_facts_find_the_version_of_their_time(make_world: MakeWorld) -> None:
    world = make_world(s=SILVER)

    def deliver(towns: list[str], day: int) -> None:
        rows = [
            {"person_id": n, "town": t, "since": f"2026-0{day}-01T00:00:00Z"} for n, t in enumerate(towns)
        ]
        world.write("people.jsonl", "\n".join(map(json.dumps, rows)))
        sales = [
            {
                "sale_id": n,
                "person_id": n % 12,
                "sold_at": f"2026-0{1 + n % 6}-15T00:00:00Z",
                "amount": n * 1.5,
            }
            for n in range(60)
        ]
        world.write("sales.jsonl", "\n".join(map(json.dumps, sales)))
        assert not world.run("s").failed

    deliver([f"old {n}" for n in range(12)], 2)
    deliver([f"new {n}" for n in range(12)], 4)
    builds.go(Workspace.of(world.platform))
    found = world.rows(
        "select extract(month from f.sold_at)::int, min(d.town), max(d.town), sum(f.amount) from gold.fact_s__sale f "
        "join gold.dim_s__person d using (s__person_sk) group by 1 order by 1"
    )
    assert [(m, a[:3], b[:3]) for m, a, b, _ in found] == [
        (1, "old", "old"),
        (2, "old", "old"),
        (3, "old", "old"),
        (4, "new", "new"),
        (5, "new", "new"),
        (6, "new", "new"),
    ]
    assert sum(total for *_, total in found) == 1.5 * sum(range(60))


SHOP = """
source: s
connector: {type: files, path: "{data}"}
entities:
  people: {file: people.jsonl, key: [person_id], effective_at: since, columns: {since: {type: timestamptz}}}
  products: {file: products.jsonl, key: [product_id]}
  sales: {file: sales.jsonl, key: [sale_id], columns: {sold_at: {type: timestamptz}}}
  lines: {file: lines.jsonl, key: [sale_id, line]}
"""


def a_day_in_the_shop(day: int) -> dict[str, list[dict[str, Any]]]:
    """Towns and prices change, sales come, some are taken back, one is moved to another person."""
    sales = [
        {
            "sale_id": n,
            "person_id": (n + (day // 9 if n == 7 else 0)) % 20,
            "amount": n + day % 3,
            "sold_at": f"2026-01-{1 + n % 30:02}T12:00:00Z",
        }
        for n in range(40 + 3 * day)
        if n % 11 or day < 12
    ]
    return {
        "people": [
            {"person_id": n, "town": f"town {(n + day // 7) % 5}", "since": f"2026-01-{1 + day - day % 7:02}T00:00:00Z"}
            for n in range(20)
        ],
        "products": [
            {"product_id": n, "product_name": f"p{n}", "price": n + day // 10} for n in range(15 + day // 5)
        ],
        "sales": sales,
        "lines": [
            {"sale_id": s["sale_id"], "line": n, "product_id": (s["sale_id"] + n) % 15, "quantity": 1 + day % 2 + n}
            for s in sales for n in range(1 + s["sale_id"] % 3)
        ],
    }  # fmt: skip


def contents(world: World) -> dict[str, Any]:
    """All rows of all models but the calendar."""
    names = [m for m in load_catalog(root(world)).models if m != "dim_date"]
    return {
        m: Counter(r for (r,) in world.rows(f"select to_jsonb(t)::text from gold.{m} t"))
        for m in sorted(names)
    }


@pytest.mark.slow
@pytest.mark.parametrize("style", ["kimball", "data_vault"])
def test_thirty_days_of_change_and_still_the_same_totals(make_world: MakeWorld, style: str) -> None:
    world = make_world(s=SHOP)
    (root(world) / "auto_dw.yaml").write_text(f"schemas: {{silver: {{style: {style}}}}}")
    for day in range(30):
        for name, records in a_day_in_the_shop(day).items():
            world.write(f"{name}.jsonl", "\n".join(map(json.dumps, records)))
        assert not world.run("s").failed
        if day == 5:
            builds.go(Workspace.of(world.platform))
        elif day > 5:
            refresh_gold(make_platform(world))  # each model takes up what changed that day
    found = totals.health(Workspace.of(world.platform))
    assert found["differs"] == []
    assert len(found["reconciliation"]) >= 2
    advanced = contents(world)
    refresh_gold(make_platform(world), full=True)
    assert advanced == contents(world)
    kinds = {m.header.materialized for m in load_catalog(root(world)).models.values() if m.name != "dim_date"}
    assert "incremental" in kinds
    assert "table" not in kinds


def test_facts_see_the_version_of_their_day_after_thirty_days(make_world: MakeWorld) -> None:
    world = make_world(s=SHOP)
    for day in range(0, 30, 3):
        for name, records in a_day_in_the_shop(day).items():
            world.write(f"{name}.jsonl", "\n".join(map(json.dumps, records)))
        assert not world.run("s").failed
        if day == 0:
            builds.go(Workspace.of(world.platform))
    refresh_gold(make_platform(world))
    wrong = world.rows(
        "select count(*) from gold.fact_s__sale f join gold.dim_s__person d using (s__person_sk) "
        "join silver_current.s__sales s using (sale_id) where not exists ("
        "select from silver.s__people p where p.person_id = s.person_id and p.town = d.town and (p.dp_valid_from <= "
        "f.sold_at or p.dp_valid_from = (select min(dp_valid_from) from silver.s__people q where q.person_id = "
        "p.person_id)) and (p.dp_valid_to is null or f.sold_at < p.dp_valid_to))"
    )
    assert wrong == [(0,)]
    assert world.rows("select count(*) from gold.fact_s__sale where s__person_sk = -1") == [(0,)]


def test_a_replay_that_changes_history_reaches_incremental_models(make_world: MakeWorld) -> None:
    world = make_world(s=SHOP)
    for name, records in a_day_in_the_shop(0).items():
        world.write(f"{name}.jsonl", "\n".join(map(json.dumps, records)))
    assert not world.run("s").failed
    builds.go(Workspace.of(world.platform))
    assert not replay(world.platform, "s").failed
    refresh_gold(make_platform(world))
    advanced = contents(world)
    refresh_gold(make_platform(world), full=True)
    assert advanced == contents(world)


def test_the_vault_answers_for_any_moment(make_world: MakeWorld) -> None:
    world = make_world(s=SHOP)
    (root(world) / "auto_dw.yaml").write_text("schemas: {silver: {style: data_vault}}")
    for day in (0, 14):
        for name, records in a_day_in_the_shop(day).items():
            world.write(f"{name}.jsonl", "\n".join(map(json.dumps, records)))
        assert not world.run("s").failed
    builds.go(Workspace.of(world.platform))
    query = (
        "select town from gold.pit_s__person where person_id = 1 and valid_from <= '{0}' "
        "and (valid_to is null or '{0}' < valid_to)"
    )
    assert world.rows(query.format("2026-01-02T00:00:00Z")) == [("town 1",)]
    assert world.rows(query.format("2026-01-20T00:00:00Z")) == [("town 3",)]
    assert world.rows("select count(*) from gold.pit_s__person where is_current") == [(20,)]


NESTED = """
source: s
connector: {type: files, path: "{data}"}
entities:
  people: {file: people.jsonl, key: [person_id], columns: {town: {sensitive: true}}}
  products: {file: products.jsonl, key: [product_id]}
  sales:
    file: sales.jsonl
    key: [sale_id]
    columns: {sold_at: {type: timestamptz}}
    children: {lines: {key: [line]}}
"""


def nested_day(day: int) -> dict[str, list[dict[str, Any]]]:
    """The same shop, its lines nested in the sales."""
    shop = a_day_in_the_shop(day)
    lines = shop.pop("lines")
    for sale in shop["sales"]:
        own = [line for line in lines if line["sale_id"] == sale["sale_id"]]
        sale["lines"] = [{k: v for k, v in line.items() if k != "sale_id"} for line in own]
    return shop


@pytest.mark.parametrize("style", ["kimball", "data_vault"])
def test_nested_lists_belong_to_what_holds_them(make_world: MakeWorld, style: str) -> None:
    world = make_world(s=NESTED)
    (root(world) / "auto_dw.yaml").write_text(f"schemas: {{silver: {{style: {style}}}}}")
    for day in (3, 9, 16):
        for name, records in nested_day(day).items():
            world.write(f"{name}.jsonl", "\n".join(map(json.dumps, records)))
        assert not world.run("s").failed
        if day == 3:
            builds.go(Workspace.of(world.platform))
        else:
            refresh_gold(make_platform(world))
    found = report.as_json(outcome.judge(Workspace.of(world.platform)).evaluation)
    links = {(r["table"], *r["columns"], r["ref_table"], *r["ref_columns"]) for r in found["foreign_keys"]}
    assert ("s__sales__lines", "dp_parent_key", "s__sales", "dp_key") in links
    assert ("s__sales__lines", "product_id", "s__products", "product_id") in links
    assert found["tables"]["s__sales"]["primary_key"] == ["sale_id"]
    assert (
        found["tables"]["s__people"]["columns"]["town"]["sensitive"] is True
    )  # the source's metadata say so
    assert totals.health(Workspace.of(world.platform))["differs"] == []
    advanced = contents(world)
    refresh_gold(make_platform(world), full=True)
    assert advanced == contents(world)
    if style == "kimball":
        query = (
            "select count(*) from gold.fact_s__sale__line f join gold.dim_s__person d using (s__person_sk) "
            "join gold.dim_s__product p using (s__product_sk) where s__person_sk <> -1"
        )
    else:
        query = (
            "select count(*) from gold.link_s__sale__line join gold.hub_s__sale using (s__sale_hk) "
            "join gold.hub_s__product using (s__product_hk) where effective_to is null"
        )
    assert world.rows(query) == world.rows("select count(*) from silver_current.s__sales__lines")


PRIVATE = """
source: s
connector: {type: files, path: "{data}"}
entities:
  people: {file: people.jsonl, key: [email], columns: {email: {sensitive: true}}}
  sales: {file: sales.jsonl, key: [sale_id], columns: {sold_at: {type: timestamptz}, email: {sensitive: true}}}
"""


@pytest.mark.parametrize("style", ["kimball", "data_vault"])
def test_a_private_key_is_hashed_while_models_follow_the_change(make_world: MakeWorld, style: str) -> None:
    world = make_world(s=PRIVATE)

    def deliver(people: int, town: str) -> None:
        rows = [{"email": f"p{n}@example.org", "town": f"{town} {n}"} for n in range(people)]
        world.write("people.jsonl", "\n".join(map(json.dumps, rows)))
        sales = [
            {"sale_id": n, "email": f"p{n % people}@example.org", "sold_at": "2026-02-15T00:00:00Z", "amount": n * 1.5}
            for n in range(10 * people)
        ]  # fmt: skip
        world.write("sales.jsonl", "\n".join(map(json.dumps, sales)))
        assert not world.run("s").failed

    deliver(20, "old")
    (root(world) / "auto_dw.yaml").write_text(
        f"schemas: {{silver: {{style: {style}, tables: {{s__people: {{role: dimension}}, s__sales: {{role: fact}}}}}}}}"
    )
    silver = Workspace.of(world.platform)
    builds.go(silver)
    deliver(25, "new")
    refresh_gold(make_platform(world))
    assert totals.health(Workspace.of(make_platform(world)))["healthy"]
    models = load_catalog(root(world)).models
    shown = [str(row) for n in models for row in world.rows(f'select row_to_json(t)::text from gold."{n}" t')]
    assert "@example" not in "\n".join([*shown, *(m.sql for m in models.values())])
    if style == "kimball":
        joined = "gold.fact_s__sale f join gold.dim_s__person d using (s__person_sk)"
        assert world.rows(
            f"select count(*), count(distinct d.email) from {joined} where s__person_sk <> -1"
        ) == [(250, 25)]
