"""From raw lines to records: every line is a record or says why it is none, and no digit gets lost."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import bson
import pytest
from dataplatform.layers.bronze.parse import (
    MAX_DEPTH,
    Record,
    Rule,
    accept,
    items_of,
    key_of,
    parse,
    parse_block,
)  # fmt: skip
from dataplatform.layers.bronze.profile import Profile, noted
from dataplatform.layers.bronze.quarantine import Bad
from dataplatform.layers.bronze.texts import MAX_BYTES, NUMBER, from_bson, to_bson
from dataplatform.records.record import content_id, dump, key_hash
from hypothesis import given
from hypothesis import strategies as st

RULE = Rule(("id",), frozenset(), textual=False)
CSV = Rule(("id",), frozenset({"", "NULL"}), textual=True)


def record(line: str | bytes, rule: Rule = RULE) -> Record:
    found = parse(line.encode() if isinstance(line, str) else line, rule)
    assert isinstance(found, Record), found
    return found


@pytest.mark.parametrize(
    ("line", "doc", "exotic"),
    [
        ('{"id": 1}', {"id": 1}, False),
        (' {"id":1,"v":{"a":[1,2]}} ', {"id": 1, "v": {"a": [1, 2]}}, False),
        (f'{{"id": 1, "n": {2**63 - 1}}}', {"id": 1, "n": 2**63 - 1}, False),
        (f'{{"id": 1, "n": {2**63}}}', {"id": 1, "n": 2**63}, True),
        (f'{{"id": 1, "n": -{10**40}}}', {"id": 1, "n": -(10**40)}, True),
        ('{"id": 1, "n": 0.12345678901234567890123}', {"id": 1, "n": Decimal("0.12345678901234567890123")}, True),
        ('{"id": 1, "n": 0.1000000000000000}', {"id": 1, "n": 0.1}, False),
        ('{"id": 1, "n": 1e400}', {"id": 1, "n": Decimal("1E+400")}, True),
        ('{"id": 1, "n": 1e22}', {"id": 1, "n": 1e22}, False),
        ('{"id": "12345678901234567890", "n": 1}', {"id": "12345678901234567890", "n": 1}, False),
        ('{"id": 1, "v": "\\u00e9\\ud83d\\ude42"}', {"id": 1, "v": "é🙂"}, False),
    ],
)  # fmt: skip
def test_a_record_is_what_its_line_says(line: str, doc: dict[str, Any], exotic: bool) -> None:
    found = record(line)
    assert found == Record(key_hash([doc["id"]]) or b"", doc, exotic)
    assert [type(v) for v in found.doc.values()] == [type(v) for v in doc.values()]


@pytest.mark.parametrize(
    ("line", "why", "readable"),
    [
        (b"", "not JSON", False),
        (b"nonsense", "not JSON", False),
        (b'{"id": 1', "not JSON", False),
        (b'{"id": 1, "v": "a\x00"}', "not JSON", False),
        (b'{"id": 1, "v": "\xff"}', "not JSON", False),
        (b'{"id": 1, "v": NaN}', "NaN is not a JSON number", False),
        (b'{"id": 1, "v": -Infinity}', "-Infinity is not a JSON number", False),
        (b'{"id": 1, "v": ' + b"9" * 5000 + b"}", "a number of 5,000 digits", False),
        (b"[1, 2]", "not an object but list", True),
        (b'"x"', "not an object but str", True),
        (b"null", "not an object but NoneType", True),
        (b'{"v": 1}', "the key field `id` is missing, null or not a scalar", True),
        (b'{"id": null}', "the key field `id` is missing", True),
        (b'{"id": {"a": 1}}', "the key field `id` is missing", True),
        (b'{"id": [1]}', "the key field `id` is missing", True),
        (b'{"id": 1, "v": "a\\u0000b"}', "a NUL byte in a string", True),
        (b'{"id": 1, "a\\u0000b": 1}', "a NUL byte in a string", True),
        (b'{"id": 1, "v": {"w": ["\\ud800"]}}', "a lone surrogate in a string", True),
        (
            b'{"id": 1, "v": ' + b"[" * 200 + b"]" * 200 + b"}",
            f"nested more than {MAX_DEPTH} levels deep",
            True,
        ),
        (b'{"id": 1, "v": "' + b"x" * MAX_BYTES + b'"}', "too large", False),
    ],
    ids=lambda v: repr(v)[:30],
)
def test_why_a_line_is_no_record(line: bytes, why: str, readable: bool) -> None:
    found = parse(line, RULE)
    assert isinstance(found, Bad)
    assert why in found.reason
    assert (found.record, found.readable) == (line, readable)


def test_a_bad_record_whose_key_can_be_read_says_which_it_is() -> None:
    found = parse(b'{"id": 7, "v": "a\\u0000b"}', RULE)
    assert isinstance(found, Bad)
    assert found.key == key_hash([7])


@pytest.mark.parametrize("text", ["\\\\u0000", "\\\\ud800", "[[[{{{" * 40])
def test_what_only_looks_suspicious_is_a_record(text: str) -> None:
    assert record('{"id": 1, "v": "' + text + '"}').doc["v"] == json.loads(f'"{text}"')


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH])
def test_depth_is_measured_to_the_level(depth: int) -> None:
    """The record itself is the first level."""
    line = b'{"id": 1, "v": ' + b"[" * depth + b"]" * depth + b"}"
    assert isinstance(parse(line, RULE), Record if depth < MAX_DEPTH else Bad)


@pytest.mark.parametrize(
    ("doc", "key", "expected"),
    [
        ({"id": 1}, ("id",), [1]),
        ({"a": {"b": 2}}, ("a.b",), [2]),
        ({"a": {"b": 2}}, ("a__b",), [2]),
        ({"a.b": 3, "a": {"b": 2}}, ("a.b",), [3]),
        ({"a": 1, "b": "x"}, ("a", "b"), [1, "x"]),
        ({"a": [{"b": 5}]}, ("a.0.b",), [5]),
        ({"id": ""}, ("id",), [""]),
        ({"id": False}, ("id",), [False]),
    ],
)
def test_the_key(doc: dict[str, Any], key: tuple[str, ...], expected: list[Any]) -> None:
    assert key_of(doc, Rule(key, frozenset(), False)) == (key_hash(expected), "")


def test_the_first_field_that_is_missing_is_named() -> None:
    assert key_of({"a": 1}, Rule(("a", "b", "c"), frozenset(), False)) == (None, "b")


def test_texts_that_mean_null_become_null_at_every_level_but_not_within_lists() -> None:
    found = record('{"id": "1", "a": "", "b": {"c": "NULL", "d": "x"}, "l": [""], "n": "null"}', CSV)
    assert found.doc == {"id": "1", "a": None, "b": {"c": None, "d": "x"}, "l": [""], "n": "null"}
    bad = parse(b'{"id": "NULL"}', CSV)
    assert isinstance(bad, Bad)
    assert "`id`" in bad.reason


def test_how_records_are_read_is_part_of_what_identifies_them() -> None:
    rules = [
        RULE,
        CSV,
        Rule(("a", "b"), frozenset(), False),
        Rule(("a,b",), frozenset(), False),
        Rule(("id",), frozenset(), True),
        Rule(("id",), frozenset(), True, whole=frozenset({"a"})),
        Rule(("id",), frozenset(), True, whole=frozenset({"b"})),
    ]
    assert len({rule.identity() for rule in rules}) == len(rules)
    assert (
        Rule(("id",), frozenset({"a", "b"}), True).identity()
        == Rule(("id",), frozenset({"b", "a"}), True).identity()
    )


# many at once

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4) | st.sampled_from(["\0", "", "NULL"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2), max_leaves=6,
)  # fmt: skip
docs = st.fixed_dictionaries(
    {}, optional={"id": st.integers(0, 9) | st.text(max_size=2) | values, "v": values, "w": values}
)
lines = st.one_of(
    docs.map(json.dumps).map(str.encode),
    st.sampled_from([b"nonsense", b'{"id": NaN}', b'{"id": "\\ud800"}', b'{"id": 1e400}', b"[]", b'{"id": 1, "n": 0.10000000000000000001}']),
)  # fmt: skip


@given(st.lists(lines, min_size=1, max_size=4), st.sampled_from([RULE, CSV]))
def test_a_block_gives_what_its_lines_give_one_by_one(found: list[bytes], rule: Rule) -> None:
    alone = [parse(line, rule) for line in found]
    together = parse_block(found, rule)
    assert together == alone
    assert [type(item) for item in together] == [type(item) for item in alone]


@given(st.lists(lines, min_size=1, max_size=4))
def test_one_bad_line_does_not_touch_the_others(found: list[bytes]) -> None:
    assert parse_block([b"nonsense", *found], RULE)[1:] == [parse(line, RULE) for line in found]


# documents of many records


def test_the_records_of_a_document() -> None:
    found = list(
        items_of(
            b'{"data": {"items": [{"id": 1}, {"id": 2, "n": 0.10000000000000000001}, 3, {"x": 1}]}}',
            "data.items",
            RULE,
        )
    )
    assert found[0] == Record(key_hash([1]) or b"", {"id": 1}, True)
    assert found[1] == Record(key_hash([2]) or b"", {"id": 2, "n": Decimal("0.10000000000000000001")}, True)
    reasons = [item.reason for item in found[2:] if isinstance(item, Bad)]
    assert reasons == ["not an object but int", "the key field `id` is missing, null or not a scalar"]


def test_nan_in_one_record_spoils_no_other() -> None:
    first, second, third = items_of(b'[{"id": 1}, {"id": 2, "v": NaN}, {"id": 3}]', None, RULE)
    assert (first, third) == (record('{"id": 1}'), record('{"id": 3}'))
    assert isinstance(second, Bad)
    assert "NaN is not a JSON number" in second.reason
    assert b'"id": 2' in second.record


@pytest.mark.parametrize(
    ("document", "path", "why"),
    [
        (b"{", None, "not JSON"),
        (b'{"a": [{"id": 1}]}', "b", "nothing at `b`; the document has ['a']"),
        (b"7", None, "a document that is int holds no records"),
    ],
)
def test_a_document_that_has_none_says_why(document: bytes, path: str | None, why: str) -> None:
    [found] = items_of(document, path, RULE)
    assert isinstance(found, Bad)
    assert why in found.reason
    assert found.record == document


def test_a_record_within_a_document_that_is_too_large_is_bad_alone() -> None:
    large = json.dumps([{"id": 1}, {"id": 2, "v": "x" * MAX_BYTES}]).encode()
    first, second = items_of(large, None, RULE)
    assert first == record('{"id": 1}')
    assert isinstance(second, Bad)
    assert (second.key, second.readable) == (key_hash([2]), True)


# numbers that BSON has no type for


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (2**63, {NUMBER: str(2**63)}), (-(2**63), -(2**63)), (2**63 - 1, 2**63 - 1), (-(10**40), {NUMBER: "-1" + "0" * 40}),
        (Decimal("1.10"), {NUMBER: "1.10"}), (1.5, 1.5), (True, True), (None, None), ("x", "x"),
        ({"a": [Decimal("2.5"), {"b": 2**70}]}, {"a": [{NUMBER: "2.5"}, {"b": {NUMBER: str(2**70)}}]}),
    ],
)  # fmt: skip
def test_to_bson(value: Any, stored: Any) -> None:
    assert to_bson(value) == stored
    back = from_bson(stored)
    assert back == value
    assert type(back) is type(value)


numbers = st.recursive(
    st.integers(-(2**80), 2**80) | st.decimals(allow_nan=False, allow_infinity=False, places=4) | st.text(max_size=3) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "$n"]), inner, max_size=3),
)  # fmt: skip


@given(numbers)
def test_from_bson_is_the_inverse_of_to_bson(value: Any) -> None:
    assert dump(from_bson(to_bson(value))) == dump(value)


def test_a_parsed_value_is_accepted_as_its_line_is() -> None:
    line = b'{"id": 1, "v": "x"}'
    assert accept(json.loads(line), RULE, line, False) == parse(line, RULE)


# whatever comes, a record that parse gives can be stored, profiled and read back

keys = st.sampled_from(["id", "v", "", "$ref", "$id", "$number", "a.b", "[].", "é", "\ud800"]) | st.text(
    max_size=3
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | st.text(max_size=4)
    | st.sampled_from(["\0", "\ud800", "\udfaa", "x" * 2000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8,
)  # fmt: skip
texts = st.one_of(
    st.binary(max_size=30),
    anything.map(lambda value: json.dumps({"id": 1, "v": value}).encode()),
    anything.map(lambda value: json.dumps({"id": 1, "v": value}, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    anything.map(lambda value: json.dumps({"id": 1, "v": value}).encode("utf-16")),
    st.from_regex(rb'\{"id":[0-9.eE+-]{1,12},"v":[-+0-9.eE]{1,400}\}', fullmatch=True),
)  # fmt: skip


def assert_storable(item: Record | Bad) -> None:
    if isinstance(item, Bad):
        assert "a defect of dataplatform" not in item.reason
        item.reason.encode()
        return
    stored = bson.decode(bson.encode({"doc": to_bson(item.doc) if item.exotic else item.doc}))["doc"]
    back = from_bson(stored) if item.exotic else stored
    assert content_id(back) == content_id(item.doc)
    noted(Profile(frozenset(), False, [], {}), [item.doc], [True])


@given(st.lists(texts, min_size=1, max_size=4), st.sampled_from([RULE, CSV]))
def test_whatever_comes_is_a_record_that_can_be_stored_or_says_why_not(
    found: list[bytes], rule: Rule
) -> None:
    together = parse_block(found, rule)
    assert together == [parse(line, rule) for line in found]
    for item in together:
        assert_storable(item)


@given(st.lists(anything, max_size=3) | anything)
def test_so_are_the_items_of_any_document(document: Any) -> None:
    for ascii_ in (True, False):
        text = json.dumps(document, ensure_ascii=ascii_).encode("utf-8", "surrogatepass")
        for item in items_of(text, None, RULE):
            assert_storable(item)
