"""FinTS, on a bank of the tests' own: connected by a typed TAN or by a phone, read without a person, refused in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform.connectors.fints import extract_together
from dataplatform.connectors.testing import check_extract_together
from dataplatform.records.refs import EntityRef
from dataplatform.requesting import request_of
from dataplatform.secrets.kept import Kept
from test_purge import program

pytest.importorskip("fints")
from fints_bank import IBANS, PRODUCT, FintsBank, open_bank, statement  # it needs the library

FIRST, SECOND = IBANS
ENTITIES = "entities: {accounts: {kind: accounts}, balances: {kind: balances}, bookings: {kind: bookings}}\n"


@pytest.fixture
def bank() -> Iterator[FintsBank]:
    with open_bank(FintsBank()) as made:
        made.bookings = [(_day(n), f"D{n},50", f"Brot {n}") for n in (9, 8, 7)]
        yield made


def _day(ago: int) -> str:
    import datetime as dt

    return f"{dt.date.today() - dt.timedelta(days=ago):%y%m%d}"


def source(bank: FintsBank, more: str = ", tan_mechanism: '942'", pin: str = "12345") -> str:
    return (
        f"source: giro\nconnector: {{type: fints, url: '{bank.url}', bank: '12345678', user: ann, pin: '{pin}', product_id: {PRODUCT}{more}}}\n"
        + ENTITIES
    )


def kept(world: World) -> dict[str, Any]:
    return Kept(world.folder / "home").get("fints/giro") or {}


@pytest.mark.slow
def test_a_typed_tan_then_runs_without_a_person(make_world: MakeWorld, bank: FintsBank) -> None:
    world = make_world(giro=source(bank))
    before = world.run("giro").failed
    assert set(before) == {"accounts", "balances", "bookings"}
    assert "dataplatform connect giro" in before["accounts"]
    assert bank.asked == [], "nobody is asked before"
    wrong = program(world, "connect", "giro", stdin="111111\n", code=1)
    assert "9941 TAN ungueltig" in wrong["error"]
    assert program(world, "connect", "giro", stdin=f"{bank.tan}\n") == {"status": "done", "source": "giro"}
    assert program(world, "check")["status"] == "done"
    done = program(world, "run", "giro")
    assert {n: e["inserted"] for n, e in done["entities"].items()} == {
        "accounts": 2,
        "balances": 2,
        "bookings": 3,
    }
    assert world.rows("select iban, product, currency from silver.giro__accounts order by 1") == [
        (FIRST, "Girokonto", "EUR"), (SECOND, "Girokonto", "EUR")
    ]  # fmt: skip
    assert world.rows(f"select balance, currency from silver.giro__balances where iban = '{FIRST}'") == [
        (Decimal("1223.57"), "EUR")
    ]
    assert world.rows("select amount, purpose, counterparty, iban from silver.giro__bookings order by booked_on") == [
        (Decimal(f"-{n}.50"), f"Brot {n}", "Bäcker", FIRST) for n in (9, 8, 7)
    ]  # fmt: skip
    bank.bookings.append((_day(1), "C100,00", "Lohn"))
    counts = world.run("giro").entities["bookings"].counts
    assert (counts.inserted, counts.read) == (1, 4), "some days again, and nothing twice"
    assert {*kept(world)} == {"blob"}
    told = json.dumps(world.rows("select payload::text from audit.outbox"))
    raw = "".join(p.read_text() for p in (world.folder / "home" / "raw").rglob("*.json"))
    assert "12345'" not in told + raw


def test_a_yes_on_a_phone(make_world: MakeWorld, bank: FintsBank) -> None:
    world = make_world(giro=source(bank, ""))
    bank.yes = 3
    said = program(world, "connect", "giro", stdin="946\n", json_=False)
    assert "which TAN mechanism? 942 mobile TAN, 946 push TAN" in said
    assert "Bitte in der App freigeben (to sign in); waiting" in said
    assert "giro is connected" in said
    assert bank.yes == 0, "asked until the person had said yes"
    assert world.run("giro", "bookings").entities["bookings"].counts.inserted == 3
    assert "has no TAN mechanism '9'" in program(world, "connect", "giro", stdin="9\n", code=1)["error"]


def test_a_bank_that_wants_a_person_again(make_world: MakeWorld, bank: FintsBank) -> None:
    world = make_world(giro=source(bank))
    program(world, "connect", "giro", stdin=f"{bank.tan}\n")
    assert not world.run("giro").failed
    bank.trusts.clear()  # the time that it let us in is over
    told = world.run("giro").failed["bookings"]
    assert "wants a TAN (to sign in)" in told
    assert "dataplatform connect giro" in told
    assert world.rows(
        "select count(*) > 0 from audit.outbox where event = 'dataplatform.source.expired'"
    ) == [(True,)]
    asked = len(bank.asked)
    assert "wants a TAN" in world.run("giro").failed["bookings"]
    assert len(bank.asked) == asked, "nobody's phone rings at each run"
    program(world, "connect", "giro", stdin=f"{bank.tan}\n")
    assert not world.run("giro").failed


def test_what_the_bank_refuses(make_world: MakeWorld, bank: FintsBank) -> None:
    world = make_world(giro=source(bank))
    program(world, "connect", "giro", stdin=f"{bank.tan}\n")
    bank.refuses = "HKKAZ"
    told = world.run("giro").failed["bookings"]
    assert "9130 Auftrag wegen Wartung abgelehnt" in told, "and it is not taken for 'no bookings'"
    bank.refuses = ""
    wrong = make_world(giro=source(bank, pin="54321"))
    for _ in range(3):
        assert "refuses user or PIN" in wrong.run("giro").failed["bookings"]
    assert bank.wrong_pins == 1, "a PIN that was refused is not tried again"
    assert "54321" not in str(wrong.run("giro").failed)
    other = make_world(giro=source(bank).replace(PRODUCT, "X" * 25))
    Kept(world.folder / "home").put("fints/giro", {})
    assert "9078 Produkt nicht registriert" in program(other, "connect", "giro", stdin="1\n", code=1)["error"]
    again = make_world(giro=source(bank))
    program(again, "connect", "giro", stdin=f"{bank.tan}\n")
    gone = make_world(giro=source(bank).replace(bank.url, "http://127.0.0.1:9/fints"))
    assert gone.run("giro").entities["bookings"].transient


def test_a_booking_by_fints_and_as_a_file_is_one(make_world: MakeWorld, bank: FintsBank) -> None:
    files = "source: f\nconnector: {type: files, path: '{data}'}\nentities: {b: {file: '*.sta', key: [id], load: delta}}\n"
    world = make_world(giro=source(bank), f=files)
    world.write("a.sta", statement(IBANS[FIRST], bank.bookings))
    program(world, "connect", "giro", stdin=f"{bank.tan}\n")
    assert not world.run("giro").failed
    assert not world.run("f").failed
    assert world.rows("select count(*), count(distinct id) from (select id from silver.giro__bookings union all select id from silver.f__b) x") == [(6, 3)]  # fmt: skip


def test_the_contract(make_world: MakeWorld, bank: FintsBank) -> None:
    world = make_world(giro=source(bank))
    program(world, "connect", "giro", stdin=f"{bank.tan}\n")
    requests = [
        request_of(world.platform, EntityRef("giro", n)) for n in ("accounts", "balances", "bookings")
    ]
    items = check_extract_together(extract_together, requests, secrets=["12345'"])
    assert {name for name, _ in items} == {"accounts", "balances", "bookings"}


@pytest.mark.parametrize(
    ("more", "entities", "why"),
    [
        (
            "url: 'http://bank.example/fints', bank: '12345678'",
            "kind: bookings",
            "PIN would go over the wire",
        ),
        ("url: 'https://b.example', bank: '1234'", "kind: bookings", "bank"),
        ("url: 'https://b.example', bank: '12345678'", "kind: bookings, load: full", "leave it out"),
        ("url: 'https://b.example', bank: '12345678'", "kind: accounts, key: [id]", "leave it out"),
    ],
)
def test_what_can_be_said_before(make_world: MakeWorld, more: str, entities: str, why: str) -> None:
    text = f"source: giro\nconnector: {{type: fints, {more}, user: a, pin: b, product_id: c}}\nentities: {{e: {{{entities}}}}}\n"
    assert any(why in f"{p.path} {p.message}" for p in make_world(giro=text).platform.catalog.problems)
