"""Names of columns, tables and batches."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from dataplatform.names import (
    MAX_IDENTIFIER,
    NAME_PATTERN,
    batch_date,
    batch_time,
    child_table,
    column_names,
    digest,
    entity_table,
    new_batch_id,
    plain,
    qualified,
    quote,
    shortened,
)  # fmt: skip
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("a", '"a"'),
        ("", '""'),
        ('a"b', '"a""b"'),
        ('"; drop table x; --', '"""; drop table x; --"'),
        ("A b", '"A b"'),
    ],
)
def test_quote(name: str, quoted: str) -> None:
    assert quote(name) == quoted


@given(st.text())
def test_a_quoted_identifier_ends_where_it_should(name: str) -> None:
    inside = quote(name)[1:-1]
    assert inside.replace('""', "").count('"') == 0
    assert inside.replace('""', '"') == name


def test_tables() -> None:
    assert qualified("silver", 'a"b') == '"silver"."a""b"'
    assert entity_table("github", "issues") == "github__issues"
    assert child_table("github__issues", "Labels") == "github__issues__labels"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a", "a"), ("Name", "name"), (" a ", "a"), ("a.b", "a_b"), ("a-b c", "a_b_c"), ("größe", "größe"), ("1st", "_1st"),
        ("", "_"), ("  ", "_"), ("dp_id", "_dp_id"), ("DP_x", "_dp_x"), ("ctid", "_ctid"), ("XMIN", "_xmin"), ("a__b", "a__b"),
        ("%s", "_s"), ('"', "_"),
    ],
)  # fmt: skip
def test_plain(path: str, name: str) -> None:
    assert plain(path) == name


@given(st.text())
def test_a_plain_name_stays_and_is_nobody_elses(path: str) -> None:
    name = plain(path)
    assert re.fullmatch(r"\w+", name)
    assert not name.startswith("dp_")
    assert not name[0].isdigit() or not name[0].isdecimal()
    assert plain(name) == name


@pytest.mark.parametrize("unit", ["x", "é", "€", "🙂"])
def test_names_are_cut_by_bytes_and_stay_two(unit: str) -> None:
    size = len(unit.encode())
    fits = unit * (MAX_IDENTIFIER // size)
    assert shortened(fits) == fits
    long = unit * 64
    assert len(shortened(long).encode()) <= MAX_IDENTIFIER
    assert shortened(long) == shortened(long)
    assert shortened(long) != shortened(long + "y")
    assert shortened(long).endswith("_" + digest(long))


@given(st.lists(st.text("aAbB.- _1", max_size=4), max_size=12))
def test_every_path_gets_a_column_of_its_own(paths: list[str]) -> None:
    names = column_names(paths)
    assert set(names) == set(paths)
    assert len(set(names.values())) == len(names)
    assert names == column_names(reversed(paths))


@given(st.lists(st.text("aAb._", max_size=3), max_size=8), st.lists(st.text("aAb._", max_size=3), max_size=8))
def test_names_given_earlier_stay(first: list[str], later: list[str]) -> None:
    taken = column_names(first)
    names = column_names(first + later, taken)
    assert {path: names[path] for path in taken} == taken
    assert len(set(names.values())) == len(names)


def test_who_is_plain_already_keeps_the_name() -> None:
    assert column_names(["Name", "name", "NAME"]) == {
        "name": "name", "NAME": f"name_{digest('NAME')}", "Name": f"name_{digest('Name')}",
    }  # fmt: skip
    assert column_names(["name"], {"Name": "name"})["name"] == f"name_{digest('name')}"


def test_batches_sort_by_time_and_say_it() -> None:
    at = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
    first, second = new_batch_id(at), new_batch_id(at + timedelta(microseconds=1))
    assert re.fullmatch(r"20260131T120000123456Z-[0-9a-f]{4}", first)
    assert first < second
    assert batch_time(first) == at
    assert batch_date(first) == "2026-01-31"
    elsewhere = at.astimezone(timezone(timedelta(hours=14)))
    assert batch_time(new_batch_id(elsewhere)) == at


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))
def test_a_batchs_time_is_read_back(at: datetime) -> None:
    assert batch_time(new_batch_id(at)) == at


@pytest.mark.parametrize("name", ["a", "a1", "a_b", "github_issues2"])
def test_legal_names(name: str) -> None:
    assert re.fullmatch(NAME_PATTERN, name)


@pytest.mark.parametrize("name", ["", "A", "1a", "_a", "a_", "a__b", "a-b", "a b", "é", 'a";'])
def test_illegal_names(name: str) -> None:
    assert not re.fullmatch(NAME_PATTERN, name)
