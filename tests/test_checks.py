"""Quality checks of metadata: records to quarantine, batches refused or noted, results everywhere."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from conftest import Databases, MakeWorld, World
from dataplatform.metadata.check import Check
from dataplatform.metadata.pattern import compiled, pattern
from dataplatform.quality import records, tables
from dataplatform.reading.status import status
from dataplatform.records.refs import EntityRef
from dataplatform.runs.recover import reprocess
from psycopg import sql


@pytest.fixture
def make(make_world: MakeWorld, files: str) -> Any:
    def world(checks: str, more: str = "") -> World:
        return make_world(
            s=files + f"  t: {{file: t.jsonl, key: [id], max_delete: 1.0, checks: [{checks}]}}\n{more}"
        )

    return world


def load(world: World, *records: dict[str, Any], entity: str = "t") -> Any:
    world.write(f"{entity}.jsonl", "\n".join(map(json.dumps, records)) + "\n")
    return world.run("s", entity)


def ids(world: World) -> list[int]:
    with world.platform.engine.connect() as conn:
        return list(conn.execute(sa.text("select id from silver_current.s__t order by id")).scalars())


@pytest.mark.parametrize(
    ("check", "bad", "why"),
    [
        ("{not_null: [v]}", {}, "v must not be null, and is None"),
        ("{not_null: v}", {"v": None}, "v must not be null"),
        ("{range: {v: {min: 1, max: 5}}}", {"v": 5.5}, "v must be at least 1 and at most 5, and is 5.5"),
        ("{range: {v: {min: 1}}}", {"v": "x"}, "v must be at least 1, and is 'x'"),
        ("{range: {v: {min: '2026-01-01'}}}", {"v": "2025-12-31"}, "at least 2026-01-01"),
        ("{pattern: {v: '^[A-Z]{2}$'}}", {"v": "nl"}, "v must match"),
        ("{values: {v: [1, 2, true]}}", {"v": 3}, "v must be one of 1, 2, True"),
        ("{pattern: {a.b: x}}", {"a": {"b": "y"}}, "a.b must match 'x'"),
    ],
)  # fmt: skip
def test_a_bad_record_goes_to_quarantine(make: Any, check: str, bad: dict[str, Any], why: str) -> None:
    good = {"not_null": "z", "range": 3, "pattern": "NL", "values": 2}
    value: Any = "2026-06-01" if "2026" in check else good[check.split(":")[0].strip("{")]
    world = make(check)
    result = load(world, {"id": 1, "v": value, "a": {"b": "x"}}, {"id": 2} | bad)
    assert result.entities["t"].counts.quarantined == 1
    assert ids(world) == [1]
    assert why in world.quarantine()[0].reason


def test_what_was_right_before_stays_while_the_bad_one_waits(make: Any) -> None:
    world = make("{range: {v: {max: 9}}}")
    load(world, {"id": 1, "v": 1}, {"id": 2, "v": 2})
    counts = load(world, {"id": 1, "v": 99}, {"id": 2, "v": 3}).entities["t"].counts
    assert (counts.inserted, counts.quarantined) == (1, 1)
    with world.platform.engine.connect() as conn:
        rows = conn.execute(sa.text("select id, v from silver_current.s__t order by id")).all()
    assert [tuple(r) for r in rows] == [(1, 1), (2, 3)]


def test_a_changed_check_is_applied_to_all_and_retry_lets_records_in(
    make_world: MakeWorld, files: str
) -> None:
    entity = "  t: {file: t.jsonl, key: [id], max_delete: 1.0, checks: [%s]}\n"
    world = make_world(s=files + entity % "{range: {v: {max: 9}}}")
    load(world, {"id": 1, "v": 10}, {"id": 2, "v": 2})
    assert ids(world) == [2]
    world = make_world(s=files + entity % "{range: {v: {max: 99}}}")
    reprocess(world.platform, EntityRef("s", "t"), [world.quarantine()[0].batch_id])
    assert ids(world) == [1, 2]
    assert world.quarantine() == []


def test_a_check_of_a_column_that_never_was_is_a_clear_error(make: Any) -> None:
    result = load(make("{not_null: [nope]}"), {"id": 1})
    assert "names the column nope" in result.failed["t"]


BATCH = [
    ("{unique: [v]}", [{"id": 1, "v": 1}, {"id": 2, "v": 1}], "(v) repeats 1 times"),
    ("{row_count: {min: 3}}", [{"id": 1}], "1 rows, not 3…"),
    ("{null_share: {v: 20%}}", [{"id": 1, "v": 1}, {"id": 2}], "v is null in 50.0% of the rows"),
    ("{freshness: {v: 2d}}", [{"id": 1, "v": "2020-01-01T00:00:00Z"}], "the newest v is 2020-01-01"),
]


@pytest.mark.parametrize(("check", "records", "why"), BATCH)
def test_a_failed_check_refuses_the_batch_of_this_entity_only(
    make: Any, check: str, records: list[dict[str, Any]], why: str
) -> None:
    world = make(check, "  o: {file: t.jsonl, key: [id], max_delete: 1.0}\n")
    world.write("t.jsonl", "\n".join(map(json.dumps, records)) + "\n")
    result = world.run("s")
    assert why in result.failed["t"]
    assert not result.entities["o"].error
    assert [c["status"] for c in result.checks] == ["failed"]
    shown = status(world.platform).as_json()["sources"]["s"]["entities"]["t"]
    assert why in shown["checks"][0]["found"]
    assert shown["silver_rows"] == 0


@pytest.mark.parametrize(("check", "records", "why"), BATCH)
def test_a_warning_lets_it_pass(make: Any, check: str, records: list[dict[str, Any]], why: str) -> None:
    result = load(make(check[:-1] + ", severity: warn}"), *records)
    assert not result.failed
    assert [(c["status"], why in c["found"]) for c in result.checks] == [("warned", True)]


def test_the_number_of_rows_is_compared_with_the_last_batches(make: Any) -> None:
    world = make("{row_count: {change: 50%}}")
    for _ in range(3):
        assert not load(world, *({"id": n} for n in range(10))).failed
    assert "more than 50% away from the usual 10" in load(world, {"id": 1}).failed["t"]
    assert len(ids(world)) == 10


def test_a_reference_to_another_entity(make: Any) -> None:
    world = make("{reference: {o_id: o.id}}", "  o: {file: o.jsonl, key: [id], max_delete: 1.0}\n")
    load(world, {"id": 7}, entity="o")
    assert not load(world, {"id": 1, "o_id": 7}, {"id": 2}).failed
    assert "o_id has 1 values that o.id lacks" in load(world, {"id": 1, "o_id": 8}).failed["t"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("31.01.2026", "2026-01-31"), ("2026/01/31", "2026-01-31"), ("31 Jan 2026", "2026-01-31"),
        ("January 31, 2026", "2026-01-31"), ("31-Jan-2026", "2026-01-31"), ("20260131", "2026-01-31"),
    ],
)  # fmt: skip
def test_dates_in_the_common_formats(make_world: MakeWorld, files: str, text: str, shown: str) -> None:
    world = make_world(
        s=files + "  t: {file: t.jsonl, key: [id], columns: {d: {type: date}, t: {type: timestamptz}}}\n"
    )
    load(world, {"id": 1, "d": text, "t": text})
    with world.platform.engine.connect() as conn:
        row = conn.execute(sa.text("select d, t at time zone 'UTC' from silver.s__t")).one()
    assert (row[0].isoformat(), row[1].isoformat()) == (shown, f"{shown}T00:00:00")


def test_a_date_that_could_be_two_needs_its_format(make_world: MakeWorld, files: str) -> None:
    column = "  t: {file: t.jsonl, key: [id], max_delete: 1.0, columns: {d: {type: date%s}}}\n"
    world = make_world(s=files + column % "")
    assert load(world, {"id": 1, "d": "01/02/2026"}).entities["t"].counts.quarantined == 1
    world = make_world(s=files + column % ", format: '%d/%m/%Y'")
    load(world, {"id": 1, "d": "01/02/2026"})
    with world.platform.engine.connect() as conn:
        assert conn.execute(sa.text("select d::text from silver.s__t")).scalar_one() == "2026-02-01"


def test_a_mail_header_is_a_time(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  t: {file: t.jsonl, key: [id], columns: {t: {type: timestamptz}}}\n")
    load(world, {"id": 1, "t": "Sat, 31 Jan 2026 10:00:00 +0100"})
    with world.platform.engine.connect() as conn:
        shown = conn.execute(sa.text("select t at time zone 'UTC' from silver.s__t")).scalar_one()
    assert shown.isoformat() == "2026-01-31T09:00:00"


ALIKE = [
    ("^[A-Z]{2}$", ["NL", "nl", "NLD", "NL\n", "\nNL", ""]),
    ("b$", ["ab", "ab\n", "b\nc"]),
    ("a.c", ["abc", "a\nc", "ac", "aéc", "a\rc"]),
    ("^.*$", ["", "a", "a\nb"]),
    ("[^a]", ["a", "b", "\n", "aa"]),
    (r"\bred\b", ["red", "a red car", "redder", "éred", "red_", "red."]),
    (r"\Bed", ["red", "ed", "éed", " ed"]),
    (r"\B", ["", "a", "ab", " "]),
    (r"^\w+$", ["abc_1", "josé", "", "a b", "²", "٣"]),
    (r"^\d+$", ["12", "٣", "1.2", "²", "1\n"]),
    (r"^\s+$", [" ", "\t\n\r\f\v", "\u00a0", "\u2003", "\u0085", "x"]),
    (r"^\W\D\S$", ["-- ", "---", "a--", "é1é", "ééé"]),
    (r"[\d\-x]", ["1", "-", "x", "y", "\\"]),
    (r"^[\W]$", ["a", "-", "é"]),
    (r"^[^\s\d]+$", ["ab", "a b", "a1", "\u00a0"]),
    (r"[]\\[^]", ["]", "\\", "[", "^", "a"]),
    (r"^[^]a-c-e]$", ["]", "b", "-", "e", "d"]),
    (r"^[ -~]*$", ["ascii only", "é", "\t", ""]),
    (r"^[\x00-\x7f]*$", ["ascii\n", "é", ""]),
    (r"^[À-ÿA-Za-z]+$", ["Émile", "Łódź", "x1"]),
    ("^a{,2}$", ["", "aa", "aaa"]),
    ("^a{2,}b{1}$", ["aab", "ab", "aaaab"]),
    ("^{x}{1,$", ["{x}{1,", "x"]),
    ("^(ab|a)(c|bcd)(d*)$", ["abcd", "abcdd", "ac", "abd"]),
    ("^(a|)b||c$", ["b", "ab", "x", ""]),
    ("^a+?b*?$", ["aab", "a", "b"]),
    ("^(?:(?=a)\\w|-)+$", ["aa", "a-", "b", "ab"]),
    (r"^(?!.*\.\.)[^@\s]+@[^@\s]+$", ["a@b", "a..b@c", "a@b@c", "a b@c"]),
    ("(?i)^straße k$", ["STRAße K", "straSSe k", "STRAẞE K", "straße \u212a"]),
    ("(?i)^[a-f]+[^x]$", ["ABCy", "abX", "Ag", "é!"]),
    (r"\x41\u00e9\t\.", ["Aé\t.", "Aé\tx"]),
    (r"\$\^\*\+\?\(\)\{\}\|\/\#\ ", ["$^*+?(){}|/# ", "$^*+"]),
    ("^😀{2}$", ["😀😀", "😀"]),
    ('^it\'s "5%" of \\\\$', ['it\'s "5%" of \\', "x"]),
]


@pytest.mark.parametrize(("text", "values"), ALIKE)
def test_a_pattern_means_the_same_for_records_and_tables(
    databases: Databases, text: str, values: list[str]
) -> None:
    check = Check(pattern={"v": text})
    screen = records.screening([check], {"v": "v"}, "s.t")
    assert screen is not None
    refused = set(screen({"v": values}, len(values)))
    by_table = set()
    with psycopg.connect(databases.postgres) as conn:
        for place, value in enumerate(values):
            relation = sql.SQL("(values ({}::text))").format(sql.Literal(value))
            subject = tables.Subject(
                sql.SQL("(select * from {} x(v))").format(relation), "s", datetime.now(UTC)
            )
            if tables.run(conn, subject, [check])[0].status == "failed":
                by_table.add(place)
    assert {values[n] for n in refused} == {values[n] for n in by_table}
    assert refused != set(range(len(values))), "a table of cases with a value that passes"


ATOMS = [
    "a",
    "b",
    "é",
    ".",
    "$",
    "^",
    r"\b",
    r"\B",
    r"\d",
    r"\w",
    r"\W",
    r"\s",
    r"\n",
    "[ab]",
    "[^a]",
    r"[\w-]",
    "[]a]",
    "{",
    "-",
    "1",
]
TIMES = ["", "*", "+", "?", "{2}", "{,2}", "{1,}", "*?", "+?", "??"]


def some_pattern(chance: random.Random, depth: int) -> str:
    kind = chance.random()
    if depth == 0 or kind < 0.4:
        return chance.choice(ATOMS)
    inner = some_pattern(chance, depth - 1)
    if kind < 0.65:
        return inner + some_pattern(chance, depth - 1)
    if kind < 0.8:
        return f"({inner}){chance.choice(TIMES)}"
    if kind < 0.9:
        return f"(?:{inner}|{some_pattern(chance, depth - 1)})"
    return f"{chance.choice(['(?=', '(?!'])}{inner})"


def test_patterns_by_chance_mean_the_same_to_python_and_postgres(databases: Databases) -> None:
    chance, differ = random.Random(7), []
    query = 'select v collate "C" ~ %s from unnest(%s::text[]) with ordinality x(v, o) order by o'
    with psycopg.connect(databases.postgres) as conn:
        for _ in range(400):
            text = chance.choice(["", "", "(?i)"]) + some_pattern(chance, 5)
            values = ["".join(chance.choices("abAB1é- \n_ß", k=chance.randrange(6))) for _ in range(20)]
            by_record = [compiled(text).search(v) is not None for v in values]
            by_table = [r[0] for r in conn.execute(query, (pattern(text).postgres, values))]
            differ += [(text, v) for v, a, b in zip(values, by_record, by_table, strict=True) if a != b]
    assert differ == []
