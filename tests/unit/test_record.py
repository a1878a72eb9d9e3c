"""What a record is: flattened, keyed, hashed."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

import orjson
import pytest
from dataplatform.records.record import (
    canonical,
    content_id,
    dump,
    escape,
    flatten,
    item_fields,
    key_hash,
    key_hashes,
    key_part,
    plain,
    row_hash,
    within,
)  # fmt: skip
from hypothesis import given
from hypothesis import strategies as st

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5),
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
)  # fmt: skip
names = st.sampled_from(["a", "b", "c", "a__b", "b__c", "x y"])
values = st.recursive(
    scalars, lambda inner: st.one_of(st.dictionaries(names, inner, max_size=3), st.lists(inner, max_size=2))
)
records = st.dictionaries(names, values, max_size=5)


@pytest.mark.parametrize(
    ("record", "plain", "lists"),
    [
        ({}, {}, {}),
        ({"a": 1, "b": None}, {"a": 1, "b": None}, {}),
        ({"a": {"b": {"c": 1}, "d": 2}}, {"a__b__c": 1, "a__d": 2}, {}),
        ({"a": {}}, {"a": None}, {}),
        ({"a": {"b": {}}}, {"a__b": None}, {}),
        ({"a": []}, {}, {"a": []}),
        ({"a": [1, {"b": 2}]}, {}, {"a": [1, {"b": 2}]}),
        ({"a": {"b": [1]}, "c": 3}, {"c": 3}, {"a__b": [1]}),
        # two values for one path: the second gets a name of its own, and none is lost
        ({"a": {"b": 1}, "a__b": 2}, {"a__b": 1, "a__b_" + hashlib.blake2b(b"a__b#", digest_size=4).hexdigest(): 2}, {}),
    ],
)  # fmt: skip
def test_flatten(record: dict[str, Any], plain: dict[str, Any], lists: dict[str, Any]) -> None:
    assert flatten(record) == (plain, lists)


@pytest.mark.parametrize(
    ("whole", "plain", "lists"),
    [
        (set(), {"a__b": 1, "c__d": 2}, {"a__l": [1]}),
        ({"a"}, {"a": {"b": 1, "l": [1]}, "c__d": 2}, {}),
        ({"a__l"}, {"a__b": 1, "a__l": [1], "c__d": 2}, {}),
        ({"c"}, {"a__b": 1, "c": {"d": 2}}, {"a__l": [1]}),
    ],
)
def test_flatten_keeps_whole_what_it_is_told_to(
    whole: set[str], plain: dict[str, Any], lists: dict[str, Any]
) -> None:
    record = {"a": {"b": 1, "l": [1]}, "c": {"d": 2}}
    assert flatten(record, frozenset(whole)) == (plain, lists)


def leaves(value: Any) -> int:
    """Values of a record that are neither lists nor objects with something in them."""
    return sum(leaves(v) for v in value.values()) if isinstance(value, dict) and value else 1


@given(records)
def test_flatten_loses_no_value_and_changes_no_record(record: dict[str, Any]) -> None:
    before = repr(record)
    plain, lists = flatten(record)
    assert len(plain) + len(lists) == sum(map(leaves, record.values()))
    assert not any(isinstance(v, dict | list) for v in plain.values())
    assert all(isinstance(v, list) for v in lists.values())
    assert repr(record) == before


def test_items_of_lists_are_records() -> None:
    assert item_fields({"a": 1}) == {"a": 1}
    assert [item_fields(i) for i in (1, None, "x", [2])] == [{"value": i} for i in (1, None, "x", [2])]


def test_within_takes_the_prefix_off() -> None:
    assert within(["a[].b", "a[].c", "ab", "b"], "a[].") == {"b", "c"}


# keys


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (["a", "bc"], ["ab", "c"]),
        (["a"], ["a", ""]),
        (["", "a"], ["a", ""]),
        ([1], ["1"]),
        ([True], [1]),
        ([False], [0]),
        ([True], ["true"]),
        ([1.5], ["1.5"]),
        ([1, 2], [12]),
        ([1, 2], [2, 1]),
        (["s1"], [1]),
        (["1:sa"], ["a"]),
        ([2**53], [2**53 + 1]),
        ([0.1], [Decimal("0.1000000000000000055511151231257827")]),
        (["é"], ["e\u0301"]),
    ],
)
def test_keys_that_differ(left: list[Any], right: list[Any]) -> None:
    assert key_hash(left) != key_hash(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([1], [1.0]), ([1], [Decimal("1")]), ([1], [Decimal("1.00")]), ([100], [Decimal("1E+2")]),
        ([0], [-0.0]), ([1.5], [Decimal("1.50")]), ([2**70], [Decimal(2**70)]),
    ],
)  # fmt: skip
def test_keys_that_are_one_number(left: list[Any], right: list[Any]) -> None:
    assert key_hash(left) == key_hash(right)


@pytest.mark.parametrize("value", [None, {}, {"a": 1}, [], [1]])
def test_what_cannot_be_part_of_a_key(value: Any) -> None:
    assert key_part(value) is None
    assert key_hash(["a", value]) is None


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (True, b"b1"), (False, b"b0"), ("", b"s"), ("é", b"s\xc3\xa9"), (7, b"i7"), (-7, b"i-7"), (7.0, b"i7"),
        (1.5, b"n1.5"), (Decimal("1.50"), b"n1.5"), (Decimal("0.000000100"), b"n1E-7"), (1e-7, b"n1E-7"), ("\ud800", b"s\xed\xa0\x80"),
    ],
)  # fmt: skip
def test_a_part_says_its_type(value: Any, part: bytes) -> None:
    assert key_part(value) == part


@given(st.integers(-(10**28) + 1, 10**28 - 1), st.integers(-40, 5))
def test_of_a_number_of_28_digits_a_key_is_what_it_was(digits: int, exponent: int) -> None:
    number = Decimal(f"{digits}E{exponent}")
    whole = number == number.to_integral_value()
    before = b"i%d" % int(number) if whole else b"n" + str(number.normalize()).encode()
    assert key_part(number) == before


@given(st.integers(10**30, 10**60), st.integers(1, 9), st.integers(1, 90))
def test_long_numbers_that_differ_are_different_keys(digits: int, more: int, places: int) -> None:
    left, right = Decimal(f"{digits}1E-{places}"), Decimal(f"{digits + more}1E-{places}")
    assert key_part(left) != key_part(right)
    assert key_part(left) == key_part(Decimal(f"{digits}10E-{places + 1}"))


def test_the_hash_is_of_typed_parts_with_their_lengths() -> None:
    assert key_hash(["ab", 7]) == hashlib.blake2b(b"3:sab2:i7", digest_size=16).digest()
    assert key_hash([]) == hashlib.blake2b(digest_size=16).digest()
    assert key_hash(["a"], scope=b"list") != key_hash(["a"])


fields = st.lists(st.one_of(st.text(max_size=3), st.integers(-3, 3), st.booleans()), max_size=3)


@given(fields, fields)
def test_keys_are_the_same_only_where_their_typed_fields_are(left: list[Any], right: list[Any]) -> None:
    typed = [[(type(v), v) for v in key] for key in (left, right)]
    assert (key_hash(left) == key_hash(right)) == (typed[0] == typed[1])


@given(st.lists(st.tuples(st.text(max_size=3), st.integers()), min_size=1))
def test_many_keys_at_once(keys: list[tuple[str, int]]) -> None:
    assert key_hashes(list(zip(*keys, strict=True))) == [key_hash(key) for key in keys]


# contents


def test_content_does_not_depend_on_the_order_of_fields() -> None:
    assert content_id({"a": 1, "b": {"c": 2, "d": 3}}) == content_id({"b": {"d": 3, "c": 2}, "a": 1})
    assert content_id({"a": [1, 2]}) != content_id({"a": [2, 1]})
    assert len(content_id({})) == 16


def test_dump_keeps_every_digit() -> None:
    assert dump({"b": Decimal("1.10"), "a": 2**70}) == b'{"a":1180591620717411303424,"b":1.10}'
    assert dump([{"n": -(2**64)}, True, None, "é"]) == '[{"n":-18446744073709551616},true,null,"é"]'.encode()
    with pytest.raises(TypeError):
        dump({"a": object()})


@given(records)
def test_dump_is_json(record: dict[str, Any]) -> None:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, list):
            return [plain(v) for v in value]
        return float(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value

    assert plain(orjson.loads(dump(record))) == plain(record)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((1, 1.0, Decimal("1.00"), Decimal("1E0")), "1"), ((1.5, Decimal("1.50")), "1.5"), ((0, -0.0, Decimal("-0.00")), "0"),
        ((10**22, 1e22, Decimal("1E+22")), "1" + "0" * 22), ((0.1, Decimal("0.10")), "0.1"), ((1e-7,), "0.0000001"),
        ((2**53 + 1,), "9007199254740993"), ((Decimal("0.10000000000000000001"),), "0.10000000000000000001"),
        ((-12.5,), "-12.5"), ((100, 1e2), "100"), ((float("inf"), Decimal("Infinity")), None),
    ],
)  # fmt: skip
def test_a_number_has_one_way_to_be_written(numbers: tuple[Any, ...], text: str | None) -> None:
    written = {plain(number).lower()[:3] if text is None else plain(number) for number in numbers}
    assert written == {text or "inf"}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_written_plainly_is_the_same_number(number: float) -> None:
    assert float(plain(number)) == number
    assert plain(number) == plain(Decimal(repr(number)))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=30) | st.integers().map(Decimal))
def test_a_decimal_written_plainly_loses_no_digit(number: Decimal) -> None:
    assert Decimal(plain(number)) == number


def test_json_that_is_equal_is_written_the_same() -> None:
    left = {"a": [1.0, {"x": Decimal("2.50"), "y": None}], "b": "1.0"}
    right = {"b": "1.0", "a": [1, {"y": None, "x": 2.5}]}
    assert dump(canonical(left)) == dump(canonical(right)) == b'{"a":[1,{"x":2.5,"y":null}],"b":"1.0"}'


row = st.dictionaries(
    st.text("ab=\\\t", min_size=1, max_size=3), st.text("ab=\\\t\nsn", max_size=3), max_size=3
)


@given(row, row)
def test_no_text_in_a_row_can_pass_for_another_row(left: dict[str, str], right: dict[str, str]) -> None:
    as_fields = [{path: escape(text) for path, text in fields.items()} for fields in (left, right)]
    assert (row_hash(as_fields[0]) == row_hash(as_fields[1])) == (left == right)


@given(st.text("a\\\t\n\r", max_size=6))
def test_escaped_text_has_no_end_of_field_and_can_be_read_back(text: str) -> None:
    escaped = escape(text)
    assert not set(escaped) & {"\t", "\n", "\r"}
    assert escaped.encode().decode("unicode_escape") == text
