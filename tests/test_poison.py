"""Poison: whatever one record holds, its neighbours are loaded, and it is in silver as it was or in quarantine.

Three tables of our own, modelled on what public suites of JSON parsers and of naughty strings try: JSON that is legal,
JSON that is not (or that no database holds), and strings.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from decimal import Decimal
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform.layers.bronze import parse as parsing

# legal values, each the value of a field of its own

NUMBERS = [
    "0", "-0", "-0.0", "0.0", "1", "-1", "123", "-987654321", "1.5", "-1.25", "0.1", "0.5e1", "1e0", "1E1", "1e+2", "1E+02",
    "1e-2", "1E-02", "20e1", "123.456e78", "0e1", "0e+1", "0E-7", "1e22", "1e23", "5e-324", "1.7976931348623157e308",
    "2.2250738585072011e-308", "1e308", "-1e308", "1e309", "1e400", "-1e400", "1E-400", "1.5e-350",
    "9007199254740992", "9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808",
    "9223372036854775808", "18446744073709551615", "18446744073709551616", "-123123123123123123123123123123",
    "0.1000000000000000055511151231257827021181583404541015625", "3.141592653589793238462643383279502884197",
    "100000000000000000000000000000000000000000000000001", "0." + "0" * 60 + "1", "-0." + "3" * 200, "7" * 3999, "1e3999",
    "1e-3000", "1." + "9" * 3000, "123456789.123456789", "0.30000000000000004", "1.0", "10.00", "-5E-7",
]  # fmt: skip
STRUCTURES = [
    "true", "false", "null", '""', '"a"', "[]", "{}", "[[]]", "[{}]", '{"a":{}}', "[null]", "[1,null,2]", "[[1],[2,[3]]]",
    '{"":0}', '{"":{"":{"":1}}}', '{"a":[]}', '{"a":null}', '{"$number":"12"}', '{"$number":"x"}', '{"$number":[1]}',
    '{"$number":{"$number":"1"}}', '{"$number":18446744073709551616}', '{"$oid":"5f"}', '{"$date":1}', '{"$ref":"c","$id":1}', '[{"\\u0024ref":{"$ref":"c","$id":2},"\\u0024id":1}]',
    '{"$set":{"a":1}}', '{"a.b":1,"a":{"b":2}}', '{".":1,"..":2}', '{"_id":1,"id":2}', '{"__proto__":{"x":1}}', '{"dp_id":1}',
    '{"\\u00e9":1,"e\\u0301":2}', '{"\\ufb01":1,"fi":2}', '{"A":1,"a":2}', '{"a\\\\b":1,"a\\"b":2,"a/b":3}', '{"a\\nb":1,"a\\tb":2}',
    '{" ":1,"  ":2}', '{"\\u0020":1}', '{"1":1,"01":2}', '{"' + "k" * 900 + '":1}', '{"a":' * 40 + "1" + "}" * 40, "[" * 80 + "]" * 80,
    '[1e400,{"n":0.10000000000000000000000000000001}]', '{"n":123456789012345678901234567890,"d":{"$number":"7"}}',
    "[" + ",".join(["0"] * 2000) + "]", '{ "a" :\t[ 1 ,\t2 ] }', '["a","b",[true,false,null,{"c":-1.5e-9}]]',
    '{"constructor":1,"toString":2,"hasOwnProperty":3}', '[[[[[["deep"]]]]]]', '{"a":{"b":{"c":[{"d":[[]]}]}}}',
]  # fmt: skip
STRINGS_AS_WRITTEN = [
    r'"\u0061"', r'"\"\\\/\b\f\n\r\t"', r'"\u0001\u001f\u007f\u0080\u009f"', r'"\u00e9\u00E9"', r'"\ud83d\ude42"', r'"\uD834\uDD1E"',
    r'"\ud83d\ude39\ud83d\udc8d"', r'"\uDBFF\uDFFE"', r'"\uDBFF\uDFFF"', r'"\uD800\uDC00"', r'"\ufdd0\ufffe\uffff"', r'"\ufeff"', r'"\u2028\u2029"', r'"\u200b\u2060\u2064"',
    r'"\\u0000"', r'"\\uD800"', r'"\\\\u0000"', r'"\/"', r'"\u0022\u005C"', r'"\\N"', r'"\\."', r'"a\\tb"', '"\u2028\u2029"', '"\x7f"', '"é🙂\U0010fffd"',
    '"$number"', '"1e400"', '"NaN"', '"00000000000000000000"', '"e0000"', '"12345678901234567890123e456"', '"a[].b"', '"  padded  "', r'"x\u0020y"',
]  # fmt: skip
LEGAL = [*NUMBERS, *STRUCTURES, *STRINGS_AS_WRITTEN]

# what is no value: legal JSON that neither store holds, or no JSON at all

UNHELD = [
    r'"\u0000"', r'"a\u0000b"', r'{"a\u0000":1}', r'[["\u0000"]]',
    r'"\uDFAA"', r'"\uD800"', r'"\uD800\uD800\n"', r'"\ud800abc"', r'"\uDd1e\uD834"', r'"\uD800\u0041"', r'{"\uDFAA":0}', r'{"a":{"\uD800":[1]}}', r'[{"x":"\udc00"}]',
    "[" * 95 + "]" * 95, '{"a":' * 95 + "1" + "}" * 95, "[" * 300 + "]" * 300, "[" * 900 + "]" * 900,
    "8" * 4001, "1e4000", "-1E5000", "1e-4000", "1e999999999", "-1e-999999999", "1e99999999999999999999999", "0." + "1" * 4100,
    "[" + "1" * 4500 + "]", '{"' + "k" * 1001 + '":1}', '{"' + "é" * 501 + '":1}', '{"' + "a" * 400 + '":{"' + "b" * 400 + '":{"' + "c" * 400 + '":1}}}',
    r'{"a[].b":1}', r'{"x":[{"\u005b].":1}]}', "NaN", "-NaN", "Infinity", "-Infinity", "[NaN]", '{"a":Infinity}',
]  # fmt: skip
BROKEN = [  # no JSON, but where it ends is to be seen
    "01", "-01", "1.", ".5", "-.5", "+1", "1e", "1e+", "1E-", "-", "0x1F", "0b1", "1_000", "1 000", "2.e3", "1.5.2", "0e", "0.e1", "-foo", "١", "１",
    "tru", "True", "nul", "None", "FALSE", "undefined", "NULL", "nan", "inf", "-inf", "'a'", "a", "*", "&", "#",
    r'"\x41"', r'"\a"', r'"\u12"', r'"\uD83D\u"', r'"\u{1F642}"', r'"\U0001F642"', '"tab\there"', '"\x01"',
    "[1 2]", "[1:2]", "[a]", "[+]", '{"a" 1}', "{a:1}", "{'a':1}", '{1:1}', '{"a":}', '{"a"}', '{"a":1,,"b":2}', '{,"a":1}', '{"a":1,}', '{null:1}',
    "[,1]", "[1,]", "[1,,2]", "[,]", '["a":1]', "[1]//x", "/*x*/1", '{"a":/*x*/1}', '"a" "b"', "{}{}", "[][]", "1 2", "<html>", "\ufeff1", "\u00a01", "\u20601",
]  # fmt: skip
TORN = [  # as a line it ends with it; in a document nobody knows where
    '"', '"a', r'"\"', "[", "{", "[1", '["a', '{"a', '{"a":', '{"a":1', "[[1]", "]", "}", "[1}", '{"a":1]', "[1]]", "{}}", '"a\\',
]  # fmt: skip
BYTES = [  # not UTF-8
    b'"\xff"', b'"\xe9"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\xed\xbe\xaa"', b'"\xf4\x90\x80\x80"', b'"\xe2\x82"', b'"\xf8\x88\x80\x80\x80"',
    b'{"\xff":1}', b"\xff", b"\x00", b'"\x00"', b"1\x00", b'"\xfc\x80\x80\x80\x80\x80"',
]  # fmt: skip
LINES = [  # whole lines that are no record
    b"1", b"null", b"[]", b'"x"', b"true", b"-", b"x", b"\xff\xfe{\x00}\x00", b"\x00{\x00}", b"\xef\xbb\xbf{}", b"\xe2\x81\xa0", b"{", b"}", b"[", b"\x0c{}", b"{}",
    b'{"id":null}', b'{"id":[1]}', b'{"id":{}}', b'{"id":"\\ud800"}', b'{"id":"\\u0000"}', b'{"id":1e999999999}', b'{"id":NaN}', b'{"Id":1}', b'{"id ":1}', b"{'id':1}",
]  # fmt: skip

NAUGHTY = [
    "", " ", "undefined", "null", "NULL", "nil", "None", "true", "False", "hasOwnProperty", "\\", "\\\\", "\\N", "\\.", "\\n", "'", '"', "''", '""', "'\"'", "`",
    "0", "1", "1.00", "$1.00", "1/2", "1E2", "1E+02", "-1", "-1.00", "-0", "+0.0", "0,00", "0..0", ".", "0.0.0", ".0.", "1/0", "0xffffffff", "NaN", "Infinity", "-Infinity", "INF", "1#QNAN",
    "1,000.00", "1 000.00", "1'000,00", "01000", "08", "9" * 96, "123456789012345678901234567890123456789", "1e400", "1E-400",
    ",./;'[]\\-=", '<>?:"{}|_+', "!@#$%^&*()`~", "\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f", "\x7f\x80\x81\x84\x9f", "\t\u000b\u000c\u0085\u1680\u2002\u2003\u2009\u202f\u205f\u3000",
    "\u00ad\u0600\u061c\u06dd\u200b\u200c\u200d\u200e\u202a\u2060\u2066\ufeff\ufff9", "\ufeff", "\ufffe", "\uffff", "Ω≈ç√∫˜µ≤≥÷", "åß∂ƒ©˙∆˚¬…æ", "œ∑´®†¥¨ˆøπ“‘", "ЁЂЃЄЅІЇ", "٠١٢٣٤٥٦٧٨٩", "⁰⁴⁵₀₁₂",
    "ด้้้้้็็็็็้้้้้", "田中さんにあげて下さい", "社會科學院語學研究所", "𠜎𠜱𠝹𠱓𠱸", "Ⱥ", "İstanbul ı", "ﬁ ﬀ", "表ポあA鷗", "(｡◕ ∀ ◕｡)", "❤️ 💔 💌", "👨‍👩‍👧‍👦", "🇺🇸🇷🇺", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "１２３", "١٢٣",
    "هَٰذَا نَصٌّ", "בְּרֵאשִׁית", "\u202etest\u202c", "\u2066test\u2067", "Z̮̞̠͙͔ͅḀ̗̞͈̻̗Ḷ͙͎̯̹̞͓G̻O̭̗̮", "e\u0301 é", "<script>alert(1)</script>", "&lt;&amp;&#39;", "<?xml?><!ENTITY x>", "javascript:alert(1)",
    "1;DROP TABLE users", "1'; DROP TABLE users-- 1", "' OR 1=1 -- 1", "%", "_", "%s%s%n", "%d", "{0}", "{{7*7}}", "${HOME}", "$(touch /tmp/x)", "`ls`", "--help", "../../../etc/passwd", "C:\\con\\nul", "CON", "AUX",
    "=1+1", "@SUM(1)", "+1-1", "-2+3", "|calc", "a\nb", "a\r\nb", "a\rb", "a\tb", "line\u2028sep\u2029", "trailing ", " leading", "\n", "a,b", "a;b", 'say ""hi""', "#not a comment",
    "2026-01-31", "31.12.2025", "2026-13-45", "00:00", "x" * 10_000, "é" * 5_000, "If you're reading this\u2026",
]  # fmt: skip


def exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def rows_of(world: World, table: str) -> dict[int, dict[str, Any]]:
    """Rows by id; each value as exact as the database has it."""
    found = world.rows(f"select id, to_jsonb(t)::text from silver_current.{table} t")
    return {int(id_): exact(text) for id_, text in found}


def test_the_tables_are_long_enough() -> None:
    assert len(LEGAL) + len(UNHELD) + len(BROKEN) + len(TORN) + len(BYTES) + len(LINES) >= 250
    assert len(NAUGHTY) >= 130
    for text in LEGAL:
        json.loads(text)
    for text in [*BROKEN, *TORN]:
        with pytest.raises(ValueError, match=r"."):
            json.loads(text)


@pytest.fixture
def world(make_world: MakeWorld, files: str) -> World:
    """Each legal value has a field of its own; of lists and objects it is a column of JSON."""
    whole = ", ".join(f"v{n}: {{type: jsonb}}" for n, text in enumerate(LEGAL) if text.lstrip()[0] in "[{")
    return make_world(
        s=files + f"  lines: {{file: j.jsonl, key: id, max_quarantine: 1.0, columns: {{{whole}}}}}\n"
        f"  array: {{file: j.json, key: id, max_quarantine: 1.0, columns: {{{whole}}}}}\n"
        "  c: {file: c.csv, key: id, max_quarantine: 1.0}\n  keys: {file: k.jsonl, key: id, max_quarantine: 1.0}\n"
    )


def legal_lines() -> list[bytes]:
    return [f'{{"id": {n}, "v{n}": {text}}}'.encode() for n, text in enumerate(LEGAL)]


def same(held: Any, value: Any) -> bool:
    """A double is the same number where Postgres writes other digits of it: 1e23 is 9.999999999999999e+22."""
    if held == value or not isinstance(value, Decimal) or not isinstance(held, int | Decimal):
        return bool(held == value)
    return Decimal(repr(float(value))) == value and float(held) == float(value)


def assert_legal_is_unchanged(world: World, table: str) -> None:
    rows = rows_of(world, table)
    wrong = {}
    for n, text in enumerate(LEGAL):
        value = exact(text)
        held = rows[n].get(f"v{n}", "no column") if n in rows else "no row"
        if not same(held, value):
            wrong[text[:60]] = str(held)[:60]
    assert not wrong


def said(world: World) -> str:
    return "\n".join(f"{q.record[:80]!r}: {q.reason}" for q in world.quarantine())


def test_json_lines(world: World, caplog: pytest.LogCaptureFixture) -> None:
    bad = [text.encode() for text in [*UNHELD, *BROKEN, *TORN]] + BYTES
    lines = legal_lines()
    for n, value in enumerate(bad):
        at = n * 7 % len(lines)  # between good neighbours
        lines.insert(at, b'{"id": %d, "bad": %b}' % (10_000 + n, value))
    lines += LINES
    world.write("j.jsonl", b"\n".join(lines))
    result = world.run("s", "lines")
    assert not result.failed, result.failed
    counts = result.entities["lines"].counts
    assert counts.read == len(lines) == counts.inserted + counts.quarantined
    assert counts.inserted == len(LEGAL), said(world)
    assert_legal_is_unchanged(world, "s__lines")
    assert "a defect of dataplatform" not in said(world)
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


def test_an_array(world: World) -> None:
    bad = [text.encode() for text in [*UNHELD, *BROKEN]] + BYTES
    items = legal_lines()
    for n, value in enumerate(bad):
        items.insert(n * 7 % len(items), b'{"id": %d, "bad": %b}' % (10_000 + n, value))
    world.write("j.json", b"[" + b",\n ".join(items) + b"]\n")
    result = world.run("s", "array")
    assert not result.failed, result.failed
    counts = result.entities["array"].counts
    assert counts.read == len(items) == counts.inserted + counts.quarantined
    assert counts.inserted == len(LEGAL), said(world)
    assert_legal_is_unchanged(world, "s__array")


def test_an_array_that_is_json_with_what_no_database_holds(world: World) -> None:
    """Read as one document: no item of it is broken, some cannot be kept."""
    items = legal_lines()
    bad = [text for text in UNHELD if "-NaN" not in text]
    for n, text in enumerate(bad):
        items.insert(n * 5 % len(items), f'{{"id": {10_000 + n}, "bad": {text}}}'.encode())
    world.write("j.json", b"[" + b",".join(items) + b"]")
    result = world.run("s", "array")
    assert not result.failed, result.failed
    counts = result.entities["array"].counts
    assert (counts.inserted, counts.quarantined) == (len(LEGAL), len(bad)), said(world)
    assert_legal_is_unchanged(world, "s__array")
    assert "a defect of dataplatform" not in said(world)


@pytest.mark.parametrize("text", TORN)
def test_an_array_with_an_item_whose_end_nobody_knows_says_where(world: World, text: str) -> None:
    world.write("j.json", f'[{{"id": 1}},\n {{"id": 2, "v": {text}}}, {{"id": 3}}]')
    result = world.run("s", "array")
    if result.failed:
        assert "not JSON" in result.failed["array"]
    else:
        counts = result.entities["array"].counts
        assert counts.inserted + counts.quarantined == counts.read
        assert counts.quarantined == 1


def test_strings(world: World) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "v", "last"])
    writer.writerows([n, value, "x"] for n, value in enumerate(NAUGHTY))
    world.write(
        "c.csv", text.getvalue().encode() + b"9001,\xff,x\n9002,a\x00b,x\n9003,\xed\xa0\x80,x\n9004,good,x\n"
    )
    ascii_, raw = (
        [json.dumps({"id": n, "v": v}, ensure_ascii=how) for n, v in enumerate(NAUGHTY)]
        for how in (True, False)
    )
    world.write("j.jsonl", "\n".join(ascii_))
    world.write("k.jsonl", "\n".join(raw))
    result = world.run("s", "c", "lines", "keys")
    assert not result.failed, result.failed
    counts = result.entities["c"].counts
    assert (counts.inserted, counts.quarantined) == (len(NAUGHTY) + 1, 3), said(world)
    for table in ("s__c", "s__lines", "s__keys"):
        rows = rows_of(world, table)
        empty = None if table == "s__c" else ""
        wrong = {v[:40]: rows[n]["v"] for n, v in enumerate(NAUGHTY) if rows[n]["v"] != (v or empty)}
        assert not wrong, table


KEYS = [
    "", " ", "_", "__", "a__", "__a", "a__b", ".", "..", "a.b", "$", "$a", "$number", "_id", "doc", "key", "[]", "[x].", "a[]", "é", "e\u0301", "ﬁ", "fi", "A", "a", "À", "\u00df", "ß",
    "\n", "\t", "\\", '"', "'", "%", "%s", "{0}", ";", "--", "\x01", "\x7f", "\u2028", "\ufeff", "🙂", "\U0010ffff", "x" * 63, "x" * 64, "x" * 900, "é" * 450, "0", "1e5", "null", "dp_key", "select", "oid", "ctid",
]  # fmt: skip


@pytest.mark.parametrize("shape", ["top", "object", "list"])
def test_names_of_fields(world: World, shape: str) -> None:
    made = {
        "top": lambda key, value: {key: value},
        "object": lambda key, value: {"o": {key: value}},
        "list": lambda key, value: {"l": [{key: value}]},
    }[shape]
    world.write(
        "k.jsonl", "\n".join(json.dumps({"id": n, **made(k, f"value {n}")}) for n, k in enumerate(KEYS))
    )
    result = world.run("s", "keys")
    assert not result.failed, result.failed
    assert result.entities["keys"].counts.inserted == len(KEYS), said(world)
    if shape == "list":
        found = world.rows("select to_jsonb(t)::text from silver_current.s__keys__l t")
        assert sorted(v for [text] in found for v in values(text)) == sorted(
            f"value {n}" for n in range(len(KEYS))
        )
    else:
        rows = rows_of(world, "s__keys")
        wrong = {
            k: rows[n]
            for n, k in enumerate(KEYS)
            if values(json.dumps(rows[n], default=str)) != [f"value {n}"]
        }
        assert not wrong


def values(text: str) -> list[str]:
    return [v for v in json.loads(text).values() if isinstance(v, str) and v.startswith("value ")]


def test_a_document_that_grows_in_mongodb(world: World) -> None:
    """Numbers take more room there than in JSON."""
    large = '{"id": 1, "v": [' + ",".join(["1"] * 2_500_000) + "]}"
    world.write("k.jsonl", large + '\n{"id": 2}\n')
    world.write("j.json", f'[{large}, {{"id": 2}}]')
    result = world.run("s", "keys", "array")
    assert not result.failed, result.failed
    for entity in ("keys", "array"):
        counts = result.entities[entity].counts
        assert (counts.inserted, counts.quarantined) == (1, 1)
    assert "too large" in said(world)


def test_a_defect_of_ours_is_told_and_stops_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(value: dict[str, Any], *rest: Any) -> str:
        if value.get("v") == "boom":
            raise ZeroDivisionError("that \ud800")
        return ""

    monkeypatch.setattr(parsing, "_unfit", fails)
    monkeypatch.setattr(parsing, "_plain", lambda lines, rule: 1 / 0)
    world.write("j.jsonl", '{"id": 1}\n{"id": 2, "v": "boom"}\n{"id": 3, "v": "boom"}\n{"id": 4}\n')
    result = world.run("s", "lines")
    assert not result.failed, result.failed
    counts = result.entities["lines"].counts
    assert (counts.inserted, counts.quarantined) == (2, 2)
    assert "a defect of dataplatform: ZeroDivisionError" in said(world)
    told = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert len(told) == 1
    assert told[0].exc_info
