"""Stars as they are built: names that stay, a calendar that grows, private columns by policy, what waits."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from conftest import MakeWorld, World, execute
from dataplatform.auto_dw.build import builds, export, plans, totals
from dataplatform.auto_dw.said import outcome
from dataplatform.auto_dw.styles.common import MARK, digest_of
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.bootstrap import reread
from dataplatform.metadata import load_catalog
from dataplatform.pipeline import refresh_gold

CLUB = """
create schema club;
create table club.members (email text primary key, full_name text, phone text, birth_date date, zip_code text,
    salary numeric, password text, town text, invited_by text references club.members);
insert into club.members select 'p' || g || '@example' || g % 3 || '.org', (array['Anna', 'Peter', 'Maria', 'John'])[1 + g % 4]
    || ' Smith', '+31 20 555 ' || lpad(g::text, 4, '0'), date '1960-03-04' + g * 37, lpad((1000 + g)::text, 4, '0') || 'AB',
    1234 + g * 111, md5('pw ' || g), 'town ' || g % 7, case when g > 20 then 'p' || g % 20 + 1 || '@example' || (g % 20 + 1) % 3 || '.org' end
    from generate_series(1, 200) g;
create table club.states (state_id int primary key, state_name text);
insert into club.states values (1, 'open'), (2, 'paid'), (3, 'gone');
create table club.orders (order_id int primary key, member_email text references club.members, state_id int
    references club.states, ordered_at timestamptz, paid_on date, amount numeric);
insert into club.orders select g, 'p' || 1 + g % 200 || '@example' || (1 + g % 200) % 3 || '.org', 1 + g % 3,
    timestamptz '2024-02-01' + g * interval '9 hours', case g % 50 when 0 then date '9999-12-31' when 1 then null
    else date '2024-03-01' + g / 3 end, g * 1.5 from generate_series(1, 600) g;
"""


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    found = make_world()
    execute(found, CLUB)
    return found


def club(world: World) -> Workspace:
    return Workspace.of(world.platform, "club")


def root(world: World) -> Path:
    return world.platform.catalog.root


def say(world: World, **said: Any) -> None:
    roles = {"members": "dimension", "orders": "fact", "states": "lookup"}
    tables = {name: {"role": role} | said.get("tables", {}).get(name, {}) for name, role in roles.items()}
    schema = {**said, "tables": tables | {n: t for n, t in said.get("tables", {}).items() if n not in roles}}
    (root(world) / "auto_dw.yaml").write_text(yaml.safe_dump({"schemas": {"club": schema}}))


def everything_in_gold(world: World) -> str:
    """Every row of every relation of gold as text, and the models' files."""
    names = [
        n
        for (n,) in world.rows("select table_name from information_schema.tables where table_schema = 'gold'")
    ]
    rows = [str(row) for n in names for row in world.rows(f'select row_to_json(t)::text from gold."{n}" t')]
    return "\n".join([*rows, *(p.read_text() for p in (root(world) / "gold").rglob("*.sql"))])


def columns(world: World, model: str) -> dict[str, str]:
    return world.pairs(
        "select column_name, data_type from information_schema.columns where table_schema = 'gold' "
        f"and table_name = '{model}' order by ordinal_position"
    )


# private columns


@pytest.mark.parametrize("style", ["kimball", "data_vault"])
def test_left_out_by_default_and_a_private_key_is_hashed(world: World, style: str) -> None:
    say(world, style=style)
    done = builds.go(club(world))
    assert done["changes"]
    assert all(row["same"] for row in done["reconciliation"])
    text = everything_in_gold(world)
    for clear in ("@example", "Smith", "555 0", md5(world, 7), "1960-0", "1961-0"):
        assert clear not in text, clear
    found = {(c.table, c.column): c for c in plans.plan(club(world)).private}
    assert found["members", "email"].becomes == "hash"
    assert "identifies rows" in found["members", "email"].why
    assert found["members", "full_name"].becomes == "drop"
    assert "mask keeps the initial" in str(found["members", "full_name"])
    if style == "kimball":
        assert found["orders", "member_email"].becomes == "hash"
        assert world.rows(
            "select count(*), count(distinct member_sk) from gold.fact_order where member_sk <> -1"
        ) == [(600, 200)]
        assert world.rows(
            "select count(*) from gold.dim_member m join gold.dim_member i on i.member_sk = m.invited_by_member_sk "
            "where i.member_sk <> -1"
        ) == [(180,)]


def md5(world: World, number: int) -> str:
    return str(world.rows(f"select md5('pw {number}')")[0][0])


@pytest.mark.parametrize("style", ["kimball", "data_vault"])
def test_a_hash_is_keyed_and_joins(world: World, style: str) -> None:
    say(world, style=style, sensitive="hash")
    builds.go(club(world))
    text = everything_in_gold(world)
    for clear in ("@example", "Smith", "555 0", md5(world, 7)):
        assert clear not in text, clear
    one = "p7@example1.org"
    unkeyed = world.rows(
        f"select encode(sha256('{one}'), 'hex'), md5('{one}'), md5(upper('{one}')), hashtextextended('{one}', 0)::text"
    )[0]
    for guess in unkeyed:
        assert guess not in text, "whoever knows an address can find it again"
    model = "dim_member" if style == "kimball" else "sat_member"
    assert world.rows(f"select count(distinct phone) from gold.{model}") == [(200,)]
    [(inner, key)] = world.rows("select encode(inner_pad, 'hex'), inner_pad from auto_dw.pseudonym_key")
    assert inner not in text
    secret = bytes(b ^ 0x36 for b in bytes(key)).rstrip(b"\0").ljust(32, b"\0")
    [(theirs,)] = world.rows(f"select auto_dw.pseudonym('{one}')")
    assert theirs == hmac.new(secret, one.encode(), hashlib.sha256).hexdigest()
    assert builds.go(club(world))["changes"] == 0
    assert world.rows("select count(*) from auto_dw.pseudonym_key") == [(1,)]


def test_nobody_but_the_owner_may_hash_or_read_the_key(world: World) -> None:
    say(world, sensitive="hash")
    builds.go(club(world))
    execute(world, "do $$ begin create role stranger; exception when duplicate_object then null; end $$;"
                   "grant usage on schema auto_dw, gold to stranger")  # fmt: skip
    for query in ("select * from auto_dw.pseudonym_key", "select auto_dw.pseudonym('a')"):
        with world.platform.engine.begin() as conn:
            conn.exec_driver_sql("set local role stranger")
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                conn.exec_driver_sql(query)
            conn.rollback()


def test_a_mask_leaves_what_its_kind_allows(world: World) -> None:
    say(world, sensitive="mask", tables={"members": {"columns": {"zip_code": {"private": "mask"}}}})
    execute(world, "update club.members set salary = 'NaN' where email like 'p5@%'")
    builds.go(club(world))
    text = everything_in_gold(world)
    for clear in ("@example", "Smith", "555 0", md5(world, 7), "1007AB"):
        assert clear not in text, clear
    rows = world.rows(
        "select full_name, phone, birth_date, zip_code, salary from gold.dim_member where town = 'town 0' and phone like '%07'"
    )
    assert ("J.", "***07", 1960, "10***", 2000) in rows
    assert "password" not in columns(world, "dim_member")
    assert len(world.rows("select email from gold.dim_member")[0][0] or "x" * 64) == 64


def test_each_column_has_its_own_policy_and_keep_is_said(world: World) -> None:
    say(
        world,
        private={"*mail*": "hash", "*phone*": "mask"},
        tables={"members": {"sensitive": "keep", "columns": {
            "full_name": {"private": "drop"}, "town": {"private": "hash"}, "password": {"private": "hash"},
        }}},
    )  # fmt: skip
    builds.go(club(world))
    found = columns(world, "dim_member")
    assert {"full_name", "password"}.isdisjoint(found)
    assert (found["birth_date"], found["salary"]) == ("date", "numeric")
    assert world.rows("select count(distinct town), min(length(town)) from gold.dim_member") == [(7, 64)]
    plan = plans.plan(club(world))
    said = {c["column"]: c for c in plan.as_json()["private"] if c["table"] == "members"}
    assert {n: said[n]["becomes"] for n in ("email", "full_name", "phone", "birth_date", "town", "password")} == {
        "email": "hash", "full_name": "drop", "phone": "mask", "birth_date": "keep", "town": "hash", "password": "drop",
    }  # fmt: skip
    assert "a secret is never shown" in said["password"]["why"]
    assert said["birth_date"]["impossible"] == ""
    assert "the last two digits" not in said["phone"]["impossible"]
    say(world, tables={"members": {"columns": {"password": {"private": "keep"}}}})
    builds.go(club(world))
    assert world.rows("select count(distinct password) from gold.dim_member") == [(200,)]


# the calendar


def test_the_calendar_is_as_long_as_the_dates_and_grows(world: World) -> None:
    say(world)
    builds.go(club(world))
    days = (
        "select min(date), max(date), count(*) filter (where date_key > 0), min(date_key) from gold.dim_date"
    )
    assert [str(v) for v in world.rows(days)[0]] == ["2024-01-01", "2024-12-31", "366", "-2"]
    assert world.rows("select count(*) from gold.fact_order where paid_on_key = -2") == [(12,)]
    assert world.rows("select count(*) from gold.fact_order where paid_on_key = -1") == [(12,)]
    assert unknown_days(world) == 0
    execute(
        world, "insert into club.orders values (9001, 'p1@example1.org', 1, '2026-05-01', '2027-12-31', 3)"
    )
    refresh_gold(reread(world.platform))
    assert [str(v) for v in world.rows(days)[0][:2]] == ["2024-01-01", "2028-12-31"], (
        "a year that is nearly over"
    )
    assert unknown_days(world) == 0
    assert totals.health(club(world))["healthy"]
    assert builds.go(club(world))["changes"] == 0


def unknown_days(world: World) -> int:
    [(n,)] = world.rows(
        "select count(*) from gold.fact_order f where not exists (select from gold.dim_date d where d.date_key = f.paid_on_key) "
        "or not exists (select from gold.dim_date d where d.date_key = f.ordered_at_key)"
    )
    return int(n)


def test_the_calendar_is_everybodys_and_undo_takes_the_years_along(world: World) -> None:
    execute(world, "create schema old; create table old.things (thing_id int primary key, name text); "
                   "insert into old.things select g, 'thing ' || g from generate_series(1, 50) g; "
                   "create table old.sales (sale_id int primary key, thing_id int references old.things, sold_on date, amount numeric);"
                   "insert into old.sales select g, 1 + g % 50, date '1998-01-01' + g, g * 2.5 from generate_series(1, 300) g")  # fmt: skip
    old = Workspace.of(world.platform, "old")
    say(world)
    builds.go(club(world))
    builds.go(old, accept_amber=True)
    first = "select min(year), max(year) from gold.dim_date"
    assert world.rows(first) == [(1998, 2024)]
    assert plans.plan(club(world)).after == {}
    assert totals.health(club(world))["healthy"]
    builds.undo(old)
    assert world.rows(first) == [(2024, 2024)]
    assert totals.health(club(world))["healthy"]
    builds.undo(club(world))
    assert world.rows("select to_regclass('gold.dim_date') is null") == [(True,)]


def test_days_that_are_spelled_in_numbers(world: World) -> None:
    """As banks' exports and phones' databases have them; what is no day is out of range, and no build fails for it."""
    execute(world, "create table club.loans (loan_id int primary key, member_email text references club.members, loan_date int, "
                   "created_at bigint, amount numeric);"
                   "insert into club.loans select g, 'p1@example1.org', 930101 + g % 28 + 100 * (g % 12), "
                   "(1700000000 + g * 100000)::bigint * 1000, g from generate_series(1, 400) g")  # fmt: skip
    say(world, tables={"loans": {"role": "fact"}})
    builds.go(club(world))
    assert world.rows(
        "select min(d.date)::text, max(d.date)::text, count(*) from gold.fact_loan f join gold.dim_date d on d.date_key = f.loan_date_key"
    ) == [("1993-01-01", "1993-12-28", 400)]
    assert world.rows(
        "select min(d.date)::text, count(*) from gold.fact_loan f join gold.dim_date d on d.date_key = f.created_at_key"
    ) == [("2023-11-16", 400)]
    execute(world, "update club.loans set loan_date = 990 where loan_id = 1; update club.loans set loan_date = -5 where loan_id = 2;"
                   "update club.loans set created_at = 9e18::bigint where loan_id = 3")  # fmt: skip
    refresh_gold(reread(world.platform))
    assert world.rows(
        "select count(*) from gold.fact_loan where loan_date_key = -2 or created_at_key = -2"
    ) == [(3,)]
    assert totals.health(club(world))["healthy"], "one wrong number takes no days away"
    assert "created_at" not in plans.plan(club(world)).as_json()["tables"]["fact_loan"]["measures"]


# names, folded lists, keys


def test_models_have_one_key_for_each_thing_and_names_instead_of_numbers(world: World) -> None:
    say(world)
    done = builds.go(club(world))
    assert set(done["models"]) == {"dim_date", "dim_member", "fact_order"}
    found = list(columns(world, "fact_order"))
    assert "state_name" in found
    assert {"state_id", "state_sk", "member_email"}.isdisjoint(found)
    assert world.rows("select state_name, count(*) from gold.fact_order group by 1 order by 1") == [
        ("gone", 200), ("open", 200), ("paid", 200)
    ]  # fmt: skip
    assert plans.plan(club(world)).skipped["states"] == "its names are in fact_order"
    execute(world, "update club.states set state_name = 'done' where state_id = 3")
    refresh_gold(reread(world.platform))
    assert world.rows("select count(*) from gold.fact_order where state_name = 'done'") == [(200,)]
    models = load_catalog(root(world)).models
    joins = {(m, c, p) for m, c, p, _ in export.joins(models)}
    assert {("fact_order", "member_sk", "dim_member"), ("fact_order", "paid_on_key", "dim_date")} <= joins


def test_models_of_an_earlier_release_keep_their_names(world: World) -> None:
    """Its files said nothing of themselves, were in the plural, and had a calendar of 200 years."""
    say(world)
    builds.go(club(world))
    folder = root(world) / "gold/auto_dw/club"
    for name, old in (("dim_member", "dim_members"), ("fact_order", "fact_orders")):
        text = (folder / f"{name}.sql").read_text()
        (folder / f"{name}.sql").unlink()
        (folder / f"{old}.sql").write_text(without_last_lines(text))
    execute(world, "alter table gold.dim_member rename to dim_members; alter table gold.fact_order rename to fact_orders; "
                   "create table club.rooms (room_id int primary key, room_label text, size_of int); "
                   "insert into club.rooms select g, 'room ' || g, g from generate_series(1, 40) g")  # fmt: skip
    say(world, tables={"rooms": {"role": "dimension"}})
    done = builds.go(club(world))
    assert set(done["models"]) == {"dim_members", "dim_room", "fact_orders"}
    assert world.rows("select to_regclass('gold.dim_member') is null") == [(True,)]
    assert "members_sk" in columns(world, "fact_orders")
    assert builds.go(club(world))["changes"] == 0
    assert totals.health(club(world))["healthy"]


def without_last_lines(text: str) -> str:
    """As an earlier release wrote it: signed, and silent about itself."""
    body = re.sub(r"^-- auto_dw (knows|wrote).*\n", "", text, flags=re.MULTILINE)
    return f"{body}{MARK}{digest_of(body)}\n"


def test_a_bridge_may_have_days_and_is_built_before_the_calendar(world: World) -> None:
    execute(world, "create table club.acts (act_id int primary key, act_name text, cost int); "
                   "insert into club.acts select g, 'act ' || g, g from generate_series(1, 30) g; "
                   "create table club.bands (band_id int primary key, band_name text, size_of int); "
                   "insert into club.bands select g, 'band ' || g, g from generate_series(1, 30) g; "
                   "create table club.act_bands (act_id int references club.acts, band_id int references club.bands, "
                   "since date, primary key (act_id, band_id)); "
                   "insert into club.act_bands select a, b, date '2019-01-01' + a * b from generate_series(1, 30) a, "
                   "generate_series(1, 5) b")  # fmt: skip
    others = {"acts": {"role": "dimension"}, "bands": {"role": "dimension"}, "act_bands": {"role": "bridge"}}
    say(world, tables=others)
    assert builds.go(club(world))["changes"]
    assert list(columns(world, "bridge_act_band"))[:3] == ["act_sk", "band_sk", "since_key"]
    assert world.rows(
        "select count(*), min(year), max(year) from gold.bridge_act_band join gold.dim_date on date_key = since_key"
    ) == [(150, 2019, 2019)]
    assert totals.health(club(world))["healthy"]


# what waits


def test_a_reference_that_is_not_sure_is_no_join_and_says_what_an_answer_would_add(
    world: World,
) -> None:
    say(world, sensitive="keep")
    judged = doubtful(club(world))
    plan = plans.planned(club(world), judged)
    fact = next(d for d in plan.drafts if d.name == "fact_order")
    assert "member_sk" not in fact.columns
    assert "member_email" in fact.columns
    assert plan.waiting == {
        "orders.member_email": "refers to members.email, 0.60; an answer adds member_sk to fact_order"
    }
    taken = plans.planned(club(world), judged, accept_amber=True)
    assert "member_sk" in next(d for d in taken.drafts if d.name == "fact_order").columns
    assert taken.waiting == {}
    builds.go(club(world))
    assert plans.planned(club(world), judged).after == {}, "what is built stays built"


def doubtful(workspace: Workspace) -> Any:
    """The evaluation with a reference that nobody is sure of."""
    judged = outcome.judge(workspace)
    references = tuple(
        replace(r, confidence=0.6) if r.columns == ("member_email",) else r
        for r in judged.evaluation.references
    )
    return replace(judged, evaluation=replace(judged.evaluation, references=references))


def test_a_dimension_whose_key_is_not_sure_waits(world: World) -> None:
    say(world)
    judged = outcome.judge(club(world))
    members = replace(judged.evaluation.tables["members"], key_confidence=0.7)
    tables = {**judged.evaluation.tables, "members": members}
    plan = plans.planned(club(world), replace(judged, evaluation=replace(judged.evaluation, tables=tables)))
    assert plan.waiting == {
        "members": "key email, 0.70; an answer adds dim_member, and member_sk to fact_order"
    }
    assert "dim_member" not in {d.name for d in plan.drafts}
    assert json.dumps(plan.as_json()["waiting"])
