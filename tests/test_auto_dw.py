"""auto_dw on a shop without a single constraint: evaluate, people's words, plan, go, undo, psql."""

from __future__ import annotations

import gzip
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from conftest import MakeWorld, World, execute
from dataplatform.auto_dw.build import builds, export, plans, sql_api, totals
from dataplatform.auto_dw.judge import report
from dataplatform.auto_dw.look import kept
from dataplatform.auto_dw.said import outcome, people
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.bootstrap import reread
from dataplatform.embedded import postgres
from dataplatform.errors import MetadataError
from dataplatform.metadata import load_catalog
from dataplatform.pipeline import refresh_gold

SHOP = """
create schema shop;
create table shop.customers as select g as customer_id, (array['Anna','Peter','John','Maria','Tom'])[1 + g % 5]
    || ' Smith' as full_name, 'p' || g || '@example.org' as email, (array['NL','DE','FR'])[1 + g % 3] as country_code,
    md5(g::text) as password from generate_series(1, 300) g;
create table shop.countries as select * from (values ('NL', 'Netherlands'), ('DE', 'Germany'), ('FR', 'France'),
    ('BE', 'Belgium')) v(country_code, country_name);
create table shop.products as select g as product_id, 'product ' || g as product_name, (g * 3.5)::numeric(10, 2)
    as list_price from generate_series(1, 80) g;
create table shop.employees as select g as employee_id, 'Jan de Boer ' || g as full_name,
    case when g > 3 then 1 + g % 3 end as reports_to, date '1980-01-01' + g as birth_date from generate_series(1, 40) g;
create table shop.orders as select g as order_id, 1 + (g * 7) % 300 as customer_id, 1 + g % 40 as employee_id,
    timestamptz '2025-01-01' + g * interval '3 hours' as ordered_at, (g % 50) * 1.25 as freight
    from generate_series(1, 1500) g;
create table shop.order_lines as select o as order_id, n as line_number, 1 + (o * n) % 80 as product_id,
    1 + (o + n) % 9 as quantity, ((o * n) % 100) * 0.5 as amount
    from generate_series(1, 1500) o, generate_series(1, 2) n;
create table shop.product_suppliers as select p as product_id, s as supplier_id
    from generate_series(1, 80) p, generate_series(1, 3) s where (p + s) % 2 = 0;
create table shop.suppliers as select g as supplier_id, 'supplier ' || g as company_name from generate_series(1, 12) g;
"""


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    found = make_world()
    execute(found, SHOP)
    return found


def root(world: World) -> Path:
    return world.platform.catalog.root


def shop(world: World) -> Workspace:
    return Workspace.of(world.platform, "shop")


def evaluated(world: World) -> dict[str, Any]:
    return report.as_json(outcome.judge_and_keep(shop(world)).evaluation)


def go(world: World) -> dict[str, Any]:
    return builds.go(shop(world))


def test_keys_references_and_roles_come_from_the_data(world: World) -> None:
    found = evaluated(world)
    keys = {n: t["primary_key"] for n, t in found["tables"].items()}
    assert keys == {
        "customers": ["customer_id"], "countries": ["country_code"], "products": ["product_id"],
        "employees": ["employee_id"], "orders": ["order_id"], "order_lines": ["order_id", "line_number"],
        "product_suppliers": ["product_id", "supplier_id"], "suppliers": ["supplier_id"],
    }  # fmt: skip
    references = {(f["table"], *f["columns"], f["ref_table"]) for f in found["foreign_keys"]}
    asked = {(f["table"], *f["columns"], f["ref_table"]) for f in found["possible_foreign_keys"]}
    boss = (
        "employees",
        "reports_to",
        "employees",
    )  # three values, all in a counter of forty: not to be sure of
    assert boss in references | asked
    assert references - {boss} == {
        ("orders", "customer_id", "customers"), ("orders", "employee_id", "employees"),
        ("order_lines", "order_id", "orders"), ("order_lines", "product_id", "products"),
        ("customers", "country_code", "countries"),
        ("product_suppliers", "product_id", "products"), ("product_suppliers", "supplier_id", "suppliers"),
    }  # fmt: skip
    roles = {n: t["role"] for n, t in found["tables"].items()}
    assert (roles["orders"], roles["order_lines"], roles["product_suppliers"]) == ("fact", "fact", "bridge")
    assert {roles[n] for n in ("customers", "products", "employees", "suppliers")} == {"dimension"}
    assert all(f["evidence"] and 0 <= f["confidence"] <= 1 for f in found["foreign_keys"])


def test_private_and_secret_columns_are_told_apart(world: World) -> None:
    columns = evaluated(world)["tables"]["customers"]["columns"]
    assert [n for n, c in columns.items() if c["sensitive"] and not c["secret"]] == ["full_name", "email"]
    assert [n for n, c in columns.items() if c["secret"]] == ["password"]
    assert evaluated(world)["tables"]["employees"]["columns"]["birth_date"]["sensitive"]


@pytest.mark.parametrize("style", ["kimball", "data_vault"])
def test_what_only_its_values_betray_stays_private_when_nothing_is_measured_anew(
    world: World, style: str
) -> None:
    """evaluate, plan and go each judge by the kept profile, which has no values."""
    execute(world, "create table shop.leads as select 'p' || g || '@example.org' as contact, g as lead_id, 'topic ' || g as topic "
                   "from generate_series(1, 60) g; create table shop.signups as select 'q' || g || '@example.org' as contact, "
                   "'signup' || g as note from generate_series(1, 60) g")  # fmt: skip
    (root(world) / "auto_dw.yaml").write_text(
        f"schemas: {{shop: {{style: {style}, tables: {{signups: {{role: dimension, primary_key: [contact]}}}}}}}}"
    )
    first, again = evaluated(world)["tables"], evaluated(world)["tables"]
    assert first == again
    assert again["leads"]["columns"]["contact"]["sensitive"]
    builds.go(shop(world), accept_amber=True)
    shown = " ".join(
        str(row) for name in load_catalog(root(world)).models
        if "lead" in name or "signup" in name
        for row in world.rows(f"select row_to_json(t)::text from gold.{name} t")
    )  # fmt: skip
    assert "topic 7" in shown
    assert "@example.org" not in shown


def test_a_comment_outranks_what_was_found(world: World) -> None:
    people.describe(shop(world), "suppliers", "lookup: who delivers; it's short")
    people.describe(shop(world), "products.list_price", "sensitive: what we pay, 100% private")
    tables = evaluated(world)["tables"]
    assert (tables["suppliers"]["role"], tables["suppliers"]["status"]) == ("lookup", "green")
    assert tables["suppliers"]["description"] == "lookup: who delivers; it's short"
    assert tables["products"]["columns"]["list_price"]["sensitive"]
    with pytest.raises(MetadataError, match="has no column nope"):
        people.describe(shop(world), "products.nope", "x")


def test_answers_are_kept_in_metadata(world: World) -> None:
    judged = outcome.judge_and_keep(shop(world))
    asked = people.Question("role", "countries", "", "?", "dimension", ("dimension", "lookup"))
    people.answer(shop(world), asked, "lookup")
    assert evaluated(world)["tables"]["countries"]["role"] == "lookup"
    with pytest.raises(MetadataError, match="no answer"):
        people.answer(shop(world), asked, "nonsense")
    assert all(q.text and q.draft is not None for q in people.questions(judged.profiles, judged.evaluation))


def test_only_what_changed_is_looked_at_again(world: World) -> None:
    world.platform.engine.dispose()  # a session tells of what it wrote when it ends, else some seconds later
    first = outcome.judge_and_keep(shop(world)).profiles
    execute(world, "create table shop.extra as select 1 as extra_id")
    second = kept.look(shop(world))
    assert set(second.tables) - set(first.tables) == {"extra"}
    assert second.tables["orders"].columns[0].sample == ()  # it comes from the cache, which holds no values
    assert second.tables["extra"].columns[0].sample == ("1",)


def test_go_builds_what_plan_says_and_again_changes_nothing(world: World) -> None:
    plan = plans.plan(shop(world)).as_json()
    assert "fact_order_line" in plan["models"]["add"]
    assert "+select" in plan["diff"]
    assert not list((root(world) / "gold").rglob("*.sql"))
    done = go(world)
    assert set(done["models"]) == set(plan["models"]["add"])
    assert all(r["same"] for r in done["reconciliation"])
    assert go(world) == {**go(world), "changes": 0, "build": None}
    lines = world.rows(
        "select count(*), sum(quantity), count(distinct customer_sk) from gold.fact_order_line"
    )
    assert lines == world.rows("select count(*), sum(quantity), 300 from shop.order_lines")
    assert world.rows("select count(*) from gold.dim_customer where customer_sk = -1") == [(1,)]
    columns = world.rows(
        "select column_name from information_schema.columns where table_name = 'dim_customer'"
    )
    assert not {"password", "email", "full_name"} & {c for (c,) in columns}
    assert world.rows("select obj_description('gold.fact_order'::regclass) like 'Fact orders: one row for each order_id%%'"
                      .replace("%%", "%")) == [(True,)]  # fmt: skip


def everything(world: World) -> dict[str, Any]:
    """All that anybody could have written: tables and their rows, comments, files of the metadata folder."""
    tables = world.rows(
        "select n.nspname, c.relname, c.relkind::text, obj_description(c.oid, 'pg_class') from pg_class c "
        "join pg_namespace n on n.oid = c.relnamespace where n.nspname !~ '^(pg_|information_schema)' order by 1, 2"
    )
    texts = world.rows("select objoid, objsubid, description from pg_description order by 1, 2, 3")
    rows = {
        f"{schema}.{name}": world.rows(f'select count(*), sum(hashtext(t::text)) from "{schema}"."{name}" t')
        for schema, name, kind, _ in tables if kind in "rvm"
    }  # fmt: skip
    files = {p.as_posix(): p.read_bytes() for p in root(world).rglob("*") if p.is_file()}
    folders = sorted(p.as_posix() for p in root(world).rglob("*") if p.is_dir())
    schemas = world.rows("select nspname from pg_namespace order by 1")
    return {
        "tables": tables,
        "texts": texts,
        "rows": rows,
        "files": files,
        "folders": folders,
        "schemas": schemas,
    }


def written(world: World) -> list[tuple[Any, ...]]:
    """Rows that the database counts as written since it was made, per table, in transactions that went through or not."""
    with world.platform.engine.begin() as conn:
        conn.exec_driver_sql("select pg_stat_force_next_flush()")
    return world.rows("select relid, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables order by 1")


@pytest.mark.parametrize("style", ["kimball", "data_vault"])
def test_plan_writes_nothing_on_a_schema_never_evaluated(world: World, style: str) -> None:
    (root(world) / "auto_dw.yaml").write_text(f"schemas: {{shop: {{style: {style}}}}}")
    before, counted = everything(world), written(world)
    assert plans.plan(shop(world)).added
    assert totals.health(shop(world))["pending"]
    assert everything(world) == before
    assert written(world) == counted
    assert before["rows"]["auto_dw.profile"] == [(0, None)]
    evaluated(world)  # this one keeps what it saw, and both of the above would show it
    assert everything(world) != before
    assert written(world) != counted


def told_who_is_whose_boss(world: World) -> None:
    """A column of three values in a table of forty rows: that it refers back to the table is asked about."""
    asked = people.Question("reference", "employees", "reports_to", "?", "employees.employee_id", ("employees.employee_id",))  # fmt: skip
    people.answer(shop(world), asked, "y")


def test_gold_follows_the_source_and_undo_goes_back(world: World) -> None:
    told_who_is_whose_boss(world)
    go(world)
    execute(world, "update shop.order_lines set quantity = quantity + 1 where order_id = 1")
    assert not totals.health(shop(world))["healthy"]
    refresh_gold(reread(world.platform))
    assert totals.health(shop(world))["healthy"]
    execute(
        world,
        "create table shop.stores as select g as store_id, 'store ' || g as store_name from generate_series(1,9) g",
    )
    assert "dim_store" in builds.go(shop(world), accept_amber=True)["models"]
    people.omit(shop(world), ["stores", "product_*"])
    assert go(world)["changes"] == 2
    assert world.rows("select to_regclass('gold.dim_store') is null") == [(True,)]
    assert builds.undo(shop(world))["models"].keys() >= {"dim_store"}
    assert world.rows("select count(*) from gold.dim_store") == [(10,)]
    assert [b["status"] for b in builds.status(shop(world))["builds"]] == [
        "undone",
        "done",
        "done",
    ]


def test_a_table_whose_role_is_not_sure_waits_for_a_person(world: World) -> None:
    told_who_is_whose_boss(world)
    go(world)
    execute(
        world,
        "create table shop.bands as select g as band_id, 'band ' || g as band_name from generate_series(1,9) g",
    )
    assert report.status(evaluated(world)["tables"]["bands"]["confidence"]) == "amber"
    plan = plans.plan(shop(world))
    assert "bands" in plan.waiting
    assert plan.waiting["bands"].startswith(("dimension, 0.", "lookup, 0."))
    assert plan.as_json()["waiting"] == plan.waiting
    assert not plan.after
    done = go(world)
    assert (done["changes"], "bands" in done["waiting"]) == (0, True)
    assert "gold/auto_dw/shop/dim_band.sql" in plans.plan(shop(world), accept_amber=True).added
    asked = people.Question("role", "bands", "", "?", "dimension", ("dimension",))
    people.answer(shop(world), asked, "y")
    assert "dim_band" in go(world)["models"]
    (root(world) / "auto_dw.yaml").unlink()  # what is built is not taken away because nobody says it any more
    told_who_is_whose_boss(world)
    assert go(world)["changes"] == 0


def test_undo_takes_back_the_last_build_of_its_schema_and_nothing_else(world: World) -> None:
    execute(world, "create schema club; create table club.members as select * from shop.customers; "
                   "create table club.visits as select * from shop.orders; alter table club.members add primary key (customer_id); "
                   "alter table club.visits add primary key (order_id), "
                   "add foreign key (customer_id) references club.members")  # fmt: skip
    club = Workspace.of(world.platform, "club")
    go(world)
    theirs = builds.go(club, accept_amber=True)["models"]
    assert any(name.startswith("fact_") for name in theirs)

    def there(schema: str) -> dict[str, Any]:
        files = {p.name: p.read_text() for p in (root(world) / "gold/auto_dw" / schema).glob("*.sql")}
        return {
            n: (t, world.rows(f"select count(*) from gold.{n.removesuffix('.sql')}"))
            for n, t in files.items()
        }

    before, calendar = there("club"), world.rows("select count(*) from gold.dim_date")
    assert builds.undo(shop(world))["schema"] == "shop"
    assert there("shop") == {}
    assert there("club") == before, "another schema's star is gone"
    assert world.rows("select count(*) from gold.dim_date") == calendar, "its calendar is gone"
    with pytest.raises(MetadataError, match="no build of shop"):
        builds.undo(shop(world))
    builds.undo(club)
    assert there("club") == {}
    assert not (root(world) / "gold/auto_dw/dim_date.sql").exists(), "nobody uses the calendar any more"


def test_plan_says_which_private_columns_stay_out_and_what_that_costs(world: World) -> None:
    found = {(c.table, c.column): c for c in plans.plan(shop(world)).private}
    assert {("customers", "email"), ("customers", "password"), ("customers", "full_name")} <= set(found)
    email = found["customers", "email"]
    assert email.why
    assert email.impossible == "customers by email, how many of them there are, and joins by it"
    assert "nobody can ask for customers by email" in str(email)
    assert plans.plan(shop(world)).as_json()["private"]
    (root(world) / "auto_dw.yaml").write_text("schemas: {shop: {sensitive: hash}}")
    hashed = {(c.table, c.column): c.becomes for c in plans.plan(shop(world)).private}
    assert hashed["customers", "email"] == "hash"
    assert hashed["customers", "password"] == "drop", "a secret stays out whatever the policy"


def test_a_model_that_a_person_changed_is_kept(world: World) -> None:
    go(world)
    path = root(world) / "gold/auto_dw/shop/dim_product.sql"
    path.write_text(path.read_text().replace("list_price", "list_price  "))
    execute(
        world, "alter table shop.products add column weight numeric; update shop.products set weight = 2.5"
    )
    before = path.read_text()
    plan = plans.plan(shop(world))
    assert plan.kept == ("gold/auto_dw/shop/dim_product.sql",)
    go(world)
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("policy", "like"),
    [
        ("hash", "________________________________________________________________"),
        ("mask", "p***@example.org"),
    ],
)
def test_private_columns_as_the_policy_says(world: World, policy: str, like: str) -> None:
    (root(world) / "auto_dw.yaml").write_text(yaml.safe_dump({"schemas": {"shop": {"sensitive": policy}}}))
    go(world)
    wrong = world.rows(f"select count(*) from gold.dim_customer where email not like '{like}'")
    assert wrong == [(0,)]


def test_data_vault(world: World) -> None:
    (root(world) / "auto_dw.yaml").write_text("schemas: {shop: {style: data_vault}}")
    go(world)
    both = world.rows(
        "select (select count(*) from gold.hub_product), (select count(*) from gold.sat_product)"
    )
    assert both == [(80, 80)]
    orphans = world.rows(
        "select count(*) from gold.link_order l where not exists "
        "(select from gold.hub_customer h where h.customer_hk = l.customer_hk)"
    )
    assert orphans == [(0,)]
    assert go(world)["changes"] == 0


@pytest.fixture
def worker(world: World) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    stop = threading.Event()
    sql_api.install(world.platform.engine)
    thread = threading.Thread(
        target=sql_api.work, args=(world.platform.engine, partial(Workspace.of, world.platform), stop, 0.2)
    )
    with pytest.raises(sa.exc.DBAPIError, match="no worker of auto_dw listens"):
        world.rows("select * from auto_dw.status()")
    thread.start()

    def ask(query: str) -> list[tuple[Any, ...]]:
        with world.platform.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.exec_driver_sql("set auto_dw.schema = 'shop'")
            for _ in range(50):
                if conn.exec_driver_sql("select count(*) from pg_locks where locktype = 'advisory'").scalar():
                    break
                threading.Event().wait(0.1)
            return [tuple(r) for r in conn.exec_driver_sql(query)]

    yield ask
    stop.set()
    thread.join(10)


def test_the_same_from_psql(world: World, worker: Callable[[str], list[tuple[Any, ...]]]) -> None:
    assert worker("select role from auto_dw.evaluate('orders')") == [("fact",)]
    assert len(worker("select * from auto_dw.source_table()")) == 8
    assert ("customers", "email", True) in worker(
        'select "table", "column", sensitive from auto_dw.source_column()'
    )
    assert ("fact_order", "add") in worker("select model, change from auto_dw.plan()")
    assert ("fact_order", 1500) in worker("select model, rows from auto_dw.go()")
    assert worker("select build, model from auto_dw.go()") == [(None, None)]
    assert worker("select omitted from auto_dw.omit(array['countries'])") == [("countries",)]
    assert worker("select * from auto_dw.include(array['countries'])") == []
    assert worker("select schema, style, status from auto_dw.status()") == [("shop", "kimball", "done")]
    assert all(same for (same,) in worker("select same from auto_dw.health()"))
    with pytest.raises(sa.exc.DBAPIError, match=r"there is no table shop\.nope"):
        worker("select * from auto_dw.evaluate('nope')")


def test_a_platform_that_stays_up_sees_what_is_edited_meanwhile(world: World) -> None:
    source = (
        "source: late\nconnector: {type: sql, url: sqlite:///x.db}\nentities:\n  e: {table: t, key: [id]}\n"
    )
    (root(world) / "sources" / "late.yaml").write_text(source)
    assert "late" not in Workspace.of(world.platform).catalog.sources
    assert "late" in Workspace.of(reread(world.platform)).catalog.sources


def test_exports(world: World, tmp_path: Path) -> None:
    go(world)
    models = load_catalog(root(world)).models
    files = export.dbt(models, tmp_path / "dbt", "d")
    assert "models/fact_order.sql" in files
    text = (tmp_path / "dbt" / "models" / "fact_order.sql").read_text()
    assert "{{ ref('dim_customer') }}" in text
    assert "{{ source('shop', 'orders') }}" in text
    assert '"shop"."orders"' not in text
    assert "dim_customer ||--o{ fact_order : customer_sk" in export.mermaid(models)
    assert 'Ref: gold.fact_order."customer_sk" > gold.dim_customer."customer_sk"' in export.dbml(models)
    semantic = {m["name"]: m for m in yaml.safe_load(export.semantic(models))["semantic_models"]}
    assert {"name": "quantity", "agg": "sum"}.items() <= semantic["fact_order_line"]["measures"][0].items()


def test_dbt_gets_macros_for_tables_and_nothing_else(make_world: MakeWorld, tmp_path: Path) -> None:
    """A name in a string or a comment is no table; a WITH query may be called like one."""
    sql = (
        'with orders as (select *, \'é shop.orders\' as told from "shop"."orders") -- of shop.orders\n'
        'select gold.base.n, o.told from orders o join gold.base on true join "Odd"."a b" x on x.n::int = 1'
    )
    world = make_world(gold={"base": "select 1 as n", "top": sql})
    export.dbt(world.platform.catalog.models, tmp_path / "dbt", "d")
    text = (tmp_path / "dbt" / "models" / "top.sql").read_text()
    assert text.splitlines()[1:] == [
        "with orders as (select *, 'é shop.orders' as told from {{ source('shop', 'orders') }}) -- of shop.orders",
        "select {{ ref('base') }}.n, o.told from orders o join {{ ref('base') }} on true "
        "join {{ source('Odd', 'a b') }} x on x.n::int = 1",
    ]


def test_tables_too_large_to_be_looked_at_whole(world: World) -> None:
    """Never analyzed, so that the catalog does not know how large they are."""
    execute(
        world,
        "create table shop.readers as select g as reader_id, md5(g::text) as card from generate_series(1, 300000) g; "
        "create table shop.loans as select g as loan_id, 1 + (g::bigint * 7919) % 300000 as reader_id, date '2020-01-01' + g % 900 "
        "as lent_on from generate_series(1, 400000) g; alter table shop.loans set (autovacuum_enabled = false); "
        "alter table shop.readers set (autovacuum_enabled = false)",
    )
    judged = outcome.judge(shop(world))
    assert not judged.profiles.tables["readers"].exact
    assert 150_000 < judged.profiles.tables["loans"].rows < 800_000
    [reference] = judged.evaluation.of_table("loans")
    assert (reference.columns, reference.ref_table, reference.ref_columns) == (
        ("reader_id",),
        "readers",
        ("reader_id",),
    )
    assert reference.confidence >= 0.8


NORTHWIND = Path(__file__).parents[2] / "shared" / "autodw" / "northwind" / "load.sql.gz"


@pytest.mark.skipif(not NORTHWIND.exists(), reason="the public schema is not here")
def test_the_script_of_the_demo_on_northwind(make_world: MakeWorld, databases: Any) -> None:
    """docs/auto_dw_demo.md, in the same order."""
    world = make_world()
    psql = postgres.programs() / "psql"
    text = gzip.decompress(NORTHWIND.read_bytes())
    subprocess.run(
        [psql, "-q", "-v", "ON_ERROR_STOP=1", databases.postgres],
        input=text,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    northwind = Workspace.of(world.platform, "northwind")

    def table(name: str) -> Any:
        return report.as_json(outcome.judge_and_keep(northwind).evaluation)["tables"][name]

    assert table("products")["columns"]["discontinued"]["status"] == "amber"
    people.describe(northwind, "products.discontinued", "whether it is sold no more")
    assert table("products")["columns"]["discontinued"]["status"] == "green"
    done = builds.go(northwind, accept_amber=True)
    assert {"fact_order", "fact_order_detail", "dim_customer", "dim_product", "dim_date"} <= set(
        done["models"]
    )
    assert all(r["same"] for r in done["reconciliation"])
    execute(world, "update northwind.order_details set quantity = quantity + 10 where order_id = 10248")
    refresh_gold(reread(world.platform))
    assert totals.health(northwind)["healthy"]
    execute(world, "create table northwind.promotions as select g as promotion_id, 'promotion ' || g as promotion_name "
                   "from generate_series(1, 12) g")  # fmt: skip
    assert list(builds.go(northwind, accept_amber=True)["models"]) == ["dim_promotion"]
    people.omit(northwind, ["us_states", "promotions"])
    assert builds.go(northwind)["changes"] == 2
    assert len(builds.status(northwind)["builds"]) == 3
