"""auto_dw on a schema whose tables are joined by codes: few names help, some codes are unknown, one table is hourly."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import MakeWorld
from dataplatform.auto_dw.judge import report
from dataplatform.auto_dw.said import outcome
from dataplatform.auto_dw.workspace import Workspace

SEA = """
create schema sea;
create table sea.ports as select chr(65 + g % 26) || chr(65 + g / 26 % 26) || chr(65 + g * 7 % 26) as locode,
    'harbour of ' || g as title, 40 + g * 0.01 as lat, g * 0.1 as lng from generate_series(1, 600) g;
create table sea.carriers as select 'Line ' || g as name, chr(64 + g) || chr(90 - g) as carrier from generate_series(1, 16) g;
create table sea.vessels as select 'V' || g * 7919 % 100000 as callsign, 'type ' || g % 9 as model, g * 31 % 97 + 20 as cabins
    from generate_series(1, 400) g;
create table sea.voyages as select chr(65 + g % 16) || chr(89 - g % 16) as carrier, 100 + g % 400 as number,
    timestamptz '2025-01-01' + g / 3 * interval '1 hour' as departure_hour,
    (select locode from sea.ports offset g % 3 limit 1) as origin,
    (select locode from sea.ports offset g * 11 % 90 limit 1) as destination,
    'V' || (1 + g % 470) * 7919 % 100000 as callsign, g * 13 % 700 - 60 as delay_at_quay, g * 17 % 1900 as miles
    from generate_series(1, 6000) g;
create table sea.tides as select p.locode as origin, h as departure_hour, (abs(hashint4(extract(epoch from h)::int)) % 900 / 100.0)::numeric(4, 2) as level_reached,
    (abs(hashint4(extract(epoch from h)::int + 7)) % 300 / 10.0)::numeric(4, 1) as wind from (select locode from sea.ports limit 3) p,
    generate_series(timestamptz '2025-01-01', '2025-03-26', '1 hour') h;
create table sea.makers as select g as maker_id, 'maker ' || g as title from generate_series(1, 40) g;
create table sea.parts as select g as part_id, 'part ' || g as title from generate_series(1, 60) g;
create table sea.part_makers as select p as part_id, m as maker_id, (p * m % 89)::int as lead_units
    from generate_series(1, 60) p, generate_series(1, 40) m where (p * 3 + m * 5) % 17 = 0;
create table sea.repairs as select g as repair_id, part_id, maker_id, timestamptz '2025-02-01' + g * interval '1 hour' as repaired_at
    from (select *, row_number() over () g from sea.part_makers, generate_series(1, 9)) x;
create table sea.clients as select g as client_id, 1 + g % 3 as support_rep_id, 'client ' || g as title from generate_series(1, 50) g;
create table sea.employees as select g as employee_id, 'grade ' || g % 4 as grade from generate_series(1, 9) g;
"""


@pytest.fixture
def found(make_world: MakeWorld) -> dict[str, Any]:
    world = make_world()
    with world.platform.engine.begin() as conn:
        conn.exec_driver_sql(SEA.replace("%", "%%"))
    return report.as_json(outcome.judge(Workspace.of(world.platform, "sea")).evaluation)


def test_codes_join_tables_whose_names_say_nothing(found: dict[str, Any]) -> None:
    """What is not sure (a code of which a sixth is unknown, who supports a client) is at most asked about."""
    said = {(f["table"], *f["columns"], f["ref_table"]): f["confidence"] for f in found["foreign_keys"]}
    asked = {(f["table"], *f["columns"], f["ref_table"]) for f in found["possible_foreign_keys"]}
    assert ("clients", "support_rep_id", "employees") in asked | set(said)
    unsure = {("clients", "support_rep_id", "employees"), ("voyages", "callsign", "vessels")}
    assert set(said) - unsure == {
        ("voyages", "carrier", "carriers"), ("voyages", "origin", "ports"), ("voyages", "destination", "ports"),
        ("tides", "origin", "ports"),
        ("voyages", "origin", "departure_hour", "tides"),
        ("part_makers", "part_id", "parts"), ("part_makers", "maker_id", "makers"),
        ("repairs", "part_id", "parts"), ("repairs", "maker_id", "makers"),
        ("repairs", "part_id", "maker_id", "part_makers"),
    }  # fmt: skip


def test_what_others_refer_to_is_the_key(found: dict[str, Any]) -> None:
    keys = {name: found["tables"][name]["primary_key"] for name in ("tides", "ports", "vessels")}
    assert keys == {
        "tides": ["origin", "departure_hour"], "ports": ["locode"],
        "vessels": ["callsign"],
    }  # fmt: skip


def test_what_is_looked_at_again_and_again_is_a_fact(found: dict[str, Any]) -> None:
    roles = {name: table["role"] for name, table in found["tables"].items()}
    assert {name for name, role in roles.items() if role == "fact"} >= {"voyages", "repairs"}
    assert roles["tides"] == "fact" or found["tables"]["tides"]["status"] != "green"
    assert {roles[name] for name in ("ports", "vessels", "makers", "clients")} == {"dimension"}
    assert {roles[name] for name in ("carriers", "parts")} <= {
        "dimension",
        "lookup",
    }  # a code and what it is called


def test_whole_numbers_of_many_values_are_measures_and_coordinates_are_not(found: dict[str, Any]) -> None:
    columns = {
        (t, c): about["role"] for t, table in found["tables"].items() for c, about in table["columns"].items()
    }
    assert {
        columns["voyages", "delay_at_quay"],
        columns["voyages", "miles"],
        columns["vessels", "cabins"],
    } == {"measure"}
    assert {columns["ports", "lat"], columns["ports", "lng"]} == {"attribute"}
