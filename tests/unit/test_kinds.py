"""Kinds: which one a value has, and that joining them does not depend on any order."""

from __future__ import annotations

import random
from decimal import Decimal
from functools import reduce
from typing import Any

import pytest
from dataplatform.records.kinds import (
    BIG,
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    HUGE,
    INT,
    JSON,
    LISTS,
    NULL,
    POSTGRES,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    decided,
    join,
    join_all,
    join_types,
    kind_of,
    kinds_of_values,
)  # fmt: skip
from hypothesis import given
from hypothesis import strategies as st

KINDS = [
    NULL, BOOLEAN, INT, BIG, HUGE, DOUBLE, DECIMAL, DATE, TIMESTAMP, TIMESTAMPTZ, TEXT, JSON, LISTS,
]  # fmt: skip
kinds = st.sampled_from(KINDS)


@pytest.mark.parametrize("left", KINDS)
def test_join_is_idempotent_and_null_adds_nothing(left: str) -> None:
    assert join(left, left) == left
    assert join(left, NULL) == join(NULL, left) == left


@pytest.mark.parametrize("left", KINDS)
@pytest.mark.parametrize("right", KINDS)
def test_join_is_commutative(left: str, right: str) -> None:
    assert join(left, right) == join(right, left)


@pytest.mark.parametrize("left", KINDS)
@pytest.mark.parametrize("right", KINDS)
def test_join_is_associative_and_never_narrows(left: str, right: str) -> None:
    for third in KINDS:
        assert join(join(left, right), third) == join(left, join(right, third)), third
    assert join(left, join(left, right)) == join(left, right)


@given(st.lists(kinds), st.randoms(use_true_random=False))
def test_the_kind_of_many_does_not_depend_on_their_order(found: list[str], dice: random.Random) -> None:
    mixed = found * 2
    dice.shuffle(mixed)
    assert join_all(mixed) == join_all(found) == reduce(join, found, NULL)


@pytest.mark.parametrize(
    ("left", "right", "joined"),
    [
        (INT, BIG, BIG), (INT, HUGE, HUGE), (BIG, HUGE, HUGE),
        (INT, DOUBLE, DOUBLE),  # every INT is exact as a double
        (BIG, DOUBLE, DECIMAL), (HUGE, DOUBLE, DECIMAL),  # and these are not
        (INT, DECIMAL, DECIMAL), (BIG, DECIMAL, DECIMAL), (HUGE, DECIMAL, DECIMAL), (DOUBLE, DECIMAL, DECIMAL),
        (DATE, TIMESTAMP, TIMESTAMP), (DATE, TIMESTAMPTZ, TIMESTAMPTZ), (TIMESTAMP, TIMESTAMPTZ, TIMESTAMPTZ),
        (BOOLEAN, INT, TEXT), (BOOLEAN, DATE, TEXT), (DATE, INT, TEXT), (DECIMAL, TIMESTAMP, TEXT),
        (TEXT, INT, TEXT), (TEXT, JSON, TEXT), (JSON, INT, TEXT),
        (LISTS, TEXT, TEXT), (LISTS, JSON, JSON), (LISTS, NULL, LISTS),
    ],
)  # fmt: skip
def test_the_narrowest_kind_that_holds_both(left: str, right: str, joined: str) -> None:
    assert join(left, right) == joined


def test_every_kind_of_a_column_has_a_type() -> None:
    assert set(POSTGRES) == set(KINDS) - {LISTS}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, NULL), (True, BOOLEAN), (False, BOOLEAN), (0, INT), (1, INT),
        (2**53, INT), (2**53 + 1, BIG), (-(2**53), INT), (-(2**53) - 1, BIG),
        (2**63 - 1, BIG), (2**63, HUGE), (-(2**63), BIG), (-(2**63) - 1, HUGE),
        (1.0, DOUBLE), (1e300, DOUBLE), (Decimal("1.10"), DECIMAL), ({}, JSON), ([1], JSON),
        ("", TEXT), ("1", TEXT), ("true", TEXT), ("2026-01-31", DATE), ("2026-02-30", TEXT), ("0000-01-01", TEXT),
        ("2026-01-31T10:00:00", TIMESTAMP), ("2026-01-31 10:00", TIMESTAMP),
        ("2026-01-31T10:00:00Z", TIMESTAMPTZ), ("2026-01-31T10:00:00.123456+01:00", TIMESTAMPTZ),
        ("2026-01-31T25:00:00Z", TEXT), ("2026-01-31T10:00:00 Z", TEXT), ("٢٠٢٦-01-31", TEXT),
    ],
)  # fmt: skip
def test_kind_of_a_json_value(value: Any, kind: str) -> None:
    assert kind_of(value, textual=False) == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0", INT), ("-1", INT), ("-0", TEXT), ("007", TEXT), ("+1", TEXT), ("1 ", TEXT), ("1_000", TEXT), ("٣", TEXT),
        (str(2**53 + 1), BIG), (str(2**63), HUGE), ("9" * 500, TEXT),
        ("1.5", DOUBLE), (".5", DOUBLE), ("1e3", DOUBLE), ("-1.5E-3", DOUBLE), ("1.", TEXT), (".", TEXT), ("e5", TEXT),
        ("0.1234567890123456789", DECIMAL), ("1.00000000000000000", DOUBLE),
        ("true", BOOLEAN), ("FALSE", BOOLEAN), ("tRue", TEXT), ("yes", TEXT), ("", TEXT), ("-", TEXT), ("Infinity", TEXT),
        ("2026-01-31", DATE),
    ],
)  # fmt: skip
def test_kind_of_a_text_that_may_mean_a_number(text: str, kind: str) -> None:
    assert kind_of(text, textual=True) == kind


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(max_size=4),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.datetimes().map(lambda d: d.isoformat() + "Z"), st.dates().map(str),
    st.sampled_from(["2026-02-30T10:00:00Z", "2026-01-30T10:00:00Z", "2026-01-30T10:00:00", "true", "1", "1.5", str(2**64)]),
)  # fmt: skip


@given(st.lists(scalars), st.booleans())
def test_many_at_once_have_the_kind_of_one_by_one(values: list[Any], textual: bool) -> None:
    counts = kinds_of_values(values, textual)
    kinds_ = [kind_of(v, textual) for v in values]
    assert join_all(counts) == join_all(kinds_)
    assert sum(counts.values()) == sum(kind != NULL for kind in kinds_)


@pytest.mark.parametrize(
    ("counts", "kind"),
    [
        ({}, NULL), ({INT: 5}, INT), ({INT: 5, BIG: 1}, BIG), ({INT: 990, DOUBLE: 1}, DOUBLE), ({BIG: 990, DOUBLE: 1}, DECIMAL),
        ({INT: 19, TEXT: 1}, INT), ({INT: 18, TEXT: 1}, TEXT), ({INT: 18, TEXT: 2}, TEXT), ({INT: 198, TEXT: 2}, INT),
        ({INT: 197, TEXT: 2}, TEXT), ({DATE: 50, TIMESTAMP: 50, TEXT: 1}, TIMESTAMP), ({TEXT: 99, INT: 1}, TEXT),
        ({BOOLEAN: 30, TEXT: 1}, BOOLEAN), ({INT: 50, DATE: 50}, TEXT), ({DATE: 99, INT: 1}, DATE), ({JSON: 30}, JSON),
        ({JSON: 300, TEXT: 3}, JSON), ({TEXT: 5, JSON: 5}, TEXT), ({INT: 0, TEXT: 3}, TEXT),
    ],
)  # fmt: skip
def test_a_kind_fits_all_values_but_a_small_share(counts: dict[str, int], kind: str) -> None:
    assert decided(counts, 0.01) == kind


def test_without_misfits_every_value_counts() -> None:
    assert decided({INT: 10_000, TEXT: 1}, 0) == TEXT
    assert decided({INT: 100, TEXT: 5}, 0.05) == INT


@given(st.lists(st.sampled_from([None, "text", "smallint", "integer", "bigint", "numeric", "numeric(10,2)", "numeric(3,3)",
                                 "date", "timestamp", "timestamptz", "real", "double precision", "boolean", "jsonb"]),
                min_size=3, max_size=3))  # fmt: skip
def test_types_that_a_source_says_join_in_any_order(types: list[str | None]) -> None:
    one, two, three = types
    assert join_types(one, two) == join_types(two, one)
    assert join_types(one, one) == one
    assert join_types(join_types(one, two), three) == join_types(one, join_types(two, three))
