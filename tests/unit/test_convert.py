"""What a column's type makes of a value, and what it refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from dataplatform.layers.silver.convert import INTEGERS, BadValue, converter, moment
from dataplatform.metadata.source import COLUMN_TYPES
from hypothesis import given
from hypothesis import strategies as st

UUID = "0e6a5c1e-7b1c-4d61-9b5b-0a2c8f5d1e33"


@pytest.mark.parametrize("type_", COLUMN_TYPES)
def test_every_type_of_the_metadata_has_a_converter(type_: str) -> None:
    assert callable(converter(type_))


@pytest.mark.parametrize(
    ("type_", "value", "text"),
    [
        ("text", "a", "a"), ("text", "", ""), ("text", "a\tb\nc\\d\r", "a\\tb\\nc\\\\d\\r"), ("text", 1, "1"),
        ("text", 1.5, "1.5"), ("text", True, "true"), ("text", False, "false"), ("text", Decimal("1.10"), "1.1"), ("text", 1.0, "1"), ("text", [2.0], "[2]"),
        ("text", {"b": 1, "a": "x\ty"}, '{"a":"x\\\\ty","b":1}'), ("text", [1, None], "[1,null]"),
        ("integer", 7, "7"), ("integer", "7", "7"), ("integer", " 7 ", "7"), ("integer", "007", "7"), ("integer", "0", "0"),
        ("integer", 7.0, "7"), ("integer", "7.0", "7"), ("integer", "7e2", "700"), ("integer", Decimal("7"), "7"),
        ("integer", -(2**31), str(-(2**31))), ("smallint", 32767, "32767"), ("bigint", 2**63 - 1, str(2**63 - 1)),
        ("bigint", str(2**63 - 1), str(2**63 - 1)),
        ("double precision", 0.1, "0.1"), ("double precision", 1, "1"), ("double precision", "1e3", "1000"),
        ("double precision", " 2 ", "2"), ("double precision", 3038.0, "3038"), ("double precision", "3038.0", "3038"), ("double precision", "NaN", "nan"), ("double precision", "-Infinity", "-inf"),
        ("double precision", Decimal("0.5"), "0.5"), ("real", 1.5, "1.5"), ("real", "inf", "inf"),
        ("numeric", "1.10", "1.1"), ("numeric", Decimal("1.10"), "1.1"), ("numeric", "3038.0", "3038"), ("numeric", 3038.0, "3038"), ("numeric", 2**70, str(2**70)),
        ("numeric", 0.1, "0.1"), ("numeric", "0", "0"), ("numeric", "NaN", "NaN"), ("numeric", "-Infinity", "-Infinity"), ("numeric(5,2)", "nan", "NaN"), ("inet", "192.168.0.1/32", "192.168.0.1"), ("inet", "10.0.0.1/8", "10.0.0.1/8"), ("inet", "::1", "::1"), ("inet", "2001:DB8::1", "2001:db8::1"), ("numeric", " 1e5 ", "100000"), ("real", 0.1, "0.1"),
        ("numeric(5,2)", "999.99", "999.99"), ("numeric(5,2)", -999.99, "-999.99"), ("numeric(3)", 999, "999"),
        ("boolean", "TRUE", "t"), ("boolean", "true", "t"), ("boolean", True, "t"), ("boolean", False, "f"), ("boolean", "Yes", "t"), ("boolean", " off ", "f"),
        ("boolean", 1, "t"), ("boolean", 0, "f"), ("boolean", "1", "t"),
        ("date", "2026-01-31", "2026-01-31"), ("date", " 2026-01-31 ", "2026-01-31"),
        ("date", "2026-01-31T00:00:00", "2026-01-31"), ("date", "31.01.2026", "2026-01-31"),
        ("date", "31 Jan 2026", "2026-01-31"), ("date", "January 31, 2026", "2026-01-31"), ("date", "20260131", "2026-01-31"),
        ("timestamptz", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"),
        ("timestamptz", "2026-01-31T10:00:00.5+01:00", "2026-01-31T09:00:00.500000Z"),
        ("timestamptz", "2026-01-31 10:00", "2026-01-31T10:00:00Z"), ("timestamptz", "2026-01-31", "2026-01-31T00:00:00Z"),
        ("timestamptz", 0, "1970-01-01T00:00:00Z"), ("timestamptz", 1_700_000_000, "2023-11-14T22:13:20Z"),
        ("timestamptz", 1_700_000_000_000, "2023-11-14T22:13:20Z"),
        ("timestamptz", "Sat, 31 Jan 2026 10:00:00 +0100", "2026-01-31T09:00:00Z"),
        ("timestamp", "2026-01-31T10:00:00+01:00", "2026-01-31T09:00:00"),
        ("timestamp", "2026-01-31T10:00:00", "2026-01-31T10:00:00"),
        ("time", "12:30", "12:30:00"), ("time", " 12:30:01.5 ", "12:30:01.500000"),
        ("uuid", UUID.upper(), UUID), ("uuid", UUID.replace("-", ""), UUID), ("uuid", "{" + UUID + "}", UUID),
        ("jsonb", {"b": [1, {}], "a": None}, '{"a":null,"b":[1,{}]}'), ("jsonb", {"a": 1.0}, '{"a":1}'), ("jsonb", "x", '"x"'), ("jsonb", 2**70, str(2**70)),
    ],
)  # fmt: skip
def test_a_value_as_copy_wants_it(type_: str, value: Any, text: str) -> None:
    assert converter(type_)(value) == text


@pytest.mark.parametrize(
    ("type_", "value", "why"),
    [
        ("integer", 2**31, "beyond -2147483648…2147483647"), ("integer", "2147483648", "beyond"),
        ("smallint", -32769, "beyond"), ("bigint", 2**63, "beyond"), ("bigint", "9" * 40, "no integer"),
        ("integer", 1.5, "no integer"), ("integer", "1.5", "no integer"), ("integer", True, "no integer"),
        ("integer", "", "no integer"), ("integer", "x", "no integer"), ("integer", [1], "no integer"),
        ("integer", "NaN", "no integer"), ("integer", "²", "no integer"),
        ("double precision", "x", "no number"), ("double precision", True, "no number"), ("double precision", {}, "no number"),
        ("double precision", "1e999", "beyond double precision"), ("double precision", 10**400, "no number"),
        ("double precision", "0.12345678901234567891", "more digits"), ("double precision", 2**53 + 1, "more digits"), ("real", 0.123456789, "more digits than real"), ("numeric(5,2)", 1.005, "more decimals"), ("timestamptz", "2026-01-31T10:00:00.1234567Z", "finer than microseconds"), ("time", "10:00:00.1234567", "finer"), ("time", "10:00+01:00", "a zone"), ("timestamptz", "0001-01-01T00:00:00+14:00", "beyond the years"), ("real", 1e39, "beyond real"), ("real", "-1e39", "beyond real"),
        ("numeric", "x", "no number"), ("numeric", True, "no number"), ("numeric(5,2)", "Infinity", "no finite number"), ("inet", "1.2.3", "no IP"), ("inet", 5, "no IP"),
        ("numeric", "1e130000", "beyond numeric"), ("numeric", "1e-16001", "beyond numeric"),
        ("numeric(5,2)", "1000", r"beyond numeric\(5,2\)"), ("numeric(5,2)", "-999.995", "more decimals"), ("numeric(3)", 1000, "beyond"),
        ("boolean", "maybe", "neither true nor false"), ("boolean", 2, "neither"), ("boolean", 1.0, "neither"),
        ("date", "2026-02-30", "no date"), ("date", "2026-01-31T10:00:00", "no date"), ("date", 20260131, "no date"),
        ("date", "1/2/2026", "no date"), ("date", "", "no date"),
        ("timestamptz", "soon", "no time"), ("timestamptz", True, "no time"), ("timestamptz", [], "no time"),
        ("timestamptz", 1e300, "no time"), ("timestamptz", "2026-02-30T10:00:00Z", "no time"),
        ("time", "25:00", "no time of day"), ("time", 12, "no time of day"),
        ("uuid", "x", "no UUID"), ("uuid", 1, "no UUID"),
    ],
)  # fmt: skip
def test_what_a_type_cannot_hold_is_refused_with_the_reason(type_: str, value: Any, why: str) -> None:
    with pytest.raises(BadValue, match=why):
        converter(type_)(value)


@pytest.mark.parametrize(
    ("type_", "format_", "value", "text"),
    [
        ("date", "%d/%m/%Y", "01/02/2026", "2026-02-01"),
        ("date", "%m/%d/%Y", "01/02/2026", "2026-01-02"),
        ("timestamptz", "%d/%m/%Y %H:%M", " 31/01/2026 10:00 ", "2026-01-31T10:00:00Z"),
        ("timestamptz", "%Y%m%d %H%M%z", "20260131 1000+0100", "2026-01-31T09:00:00Z"),
        ("timestamp", "%Y%m%d %H%M%z", "20260131 1000+0100", "2026-01-31T09:00:00"),
        (
            "timestamptz",
            "%d/%m/%Y",
            0,
            "1970-01-01T00:00:00Z",
        ),  # a number is no text to be read by a format
    ],
)
def test_a_format_says_how_a_time_is_written(type_: str, format_: str, value: Any, text: str) -> None:
    assert converter(type_, format_)(value) == text


def test_what_is_not_written_by_the_format_is_refused_even_if_it_is_a_date() -> None:
    with pytest.raises(BadValue, match="'2026-01-31' is not written as %d/%m/%Y"):
        converter("date", "%d/%m/%Y")("2026-01-31")


@pytest.mark.parametrize("type_", INTEGERS)
@given(st.integers(-(2**64), 2**64))
def test_integers_are_exact_or_refused(type_: str, number: int) -> None:
    low, high = INTEGERS[type_]
    for written in (number, str(number)):
        if low <= number <= high:
            assert converter(type_)(written) == str(number)
        else:
            with pytest.raises(BadValue):
                converter(type_)(written)


@given(st.floats(allow_nan=False))
def test_doubles_can_be_read_back(number: float) -> None:
    assert float(converter("double precision")(number)) == number


@given(
    st.decimals(allow_nan=False, allow_infinity=False)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
)
def test_numeric_loses_no_digit(number: Any) -> None:
    exact = Decimal(repr(number)) if isinstance(number, float) else Decimal(number)
    if exact and not -16_000 < exact.adjusted() < 130_000:
        return
    assert Decimal(converter("numeric")(number)) == exact


@given(st.text())
def test_text_is_one_field_of_one_line(text: str) -> None:
    made = converter("text")(text)
    assert not set(made) & {"\t", "\n", "\r"}


moments = st.datetimes(
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))])
)


@given(moments)
def test_moments_are_the_same_instant_however_they_are_written(at: datetime) -> None:
    assert moment(at.isoformat()) == at
    assert moment(at.isoformat(" ")) == at
    assert datetime.fromisoformat(converter("timestamptz")(at.isoformat())) == at
    if 1 < at.year < 9999:
        assert datetime.fromisoformat(converter("timestamp")(at.isoformat())) == at.astimezone(UTC).replace(
            tzinfo=None
        )


def test_a_moment_without_a_zone_is_utc() -> None:
    assert moment("2026-01-31T10:00:00") == datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert moment(Decimal("1.5")) == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
