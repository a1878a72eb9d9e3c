"""Metadata: what is wrong is said with file, line, path, value and what would be legal."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dataplatform.errors import MetadataError
from dataplatform.metadata import Problem, load_catalog, read_catalog
from dataplatform.metadata.base import check_share, parse_duration
from dataplatform.metadata.catalog import source_schema
from dataplatform.metadata.cursor import later, step_back
from dataplatform.metadata.paths import MISSING, dig, records_in
from dataplatform.metadata.source import Source, check_type
from dataplatform.metadata.yaml_file import YamlError, parse
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

GOOD = """\
source: s
connector:
  type: rest
  base_url: https://api.example.com
  auth: {type: bearer, token: {secret: a/b}}
triggers:
  - {type: cron, cron: "15 * * * *"}
entities:
  things:
    request: {path: /things}
    key: id
    columns:
      name: {scd: 1}
"""


def problems(folder: Path, text: str, name: str = "sources/s.yaml") -> list[Problem]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    catalog, found = read_catalog(folder)
    assert bool(found) != bool(catalog.sources or catalog.models)
    assert all(p.file == str(path) for p in found)
    return found


def test_a_good_source_is_read_as_it_was_meant(tmp_path: Path) -> None:
    assert problems(tmp_path, GOOD) == []
    source = load_catalog(tmp_path).source("s")
    entity = source.entities["things"]
    assert (entity.key, entity.load, entity.columns["name"].scd, entity.max_delete) == (
        ("id",),
        "full",
        1,
        0.5,
    )
    assert source.triggers[0].type == "cron"
    with pytest.raises(ValidationError, match="frozen"):
        source.source = "t"  # type: ignore[misc]  # the point of the test


@pytest.mark.parametrize(
    ("old", "new", "line", "path", "value", "message", "legal"),
    [
        # unknown fields: at every depth, with what is legal there
        ("columns:", "colums:", 12, "entities.things.colums", "", "unknown field; did you mean `columns`?", "description, model, key"),
        ("{scd: 1}", "{scs: 1}", 13, "entities.things.columns.name.scs", "1", "did you mean `scd`?", "scd, type, format"),
        ("path: /things", "path: /things, parms: 1", 10, "entities.things.request.parms", "1", "did you mean `params`?",
         "path, method, params, headers, body, records"),
        ("token: {secret: a/b}", "token: x, tokn: y", 5, "connector.auth.tokn", '"y"', "did you mean `token`?", "type, token"),
        ("base_url: https", "xyz: 1\n  base_url: https", 4, "connector.xyz", "1", "unknown field", "type, base_url, auth"),
        # kinds
        ("type: rest", "type: ftp", 3, "connector", '"ftp"', "unknown type", "files, rest, sql, python"),
        ("  type: rest\n", "", 2, "connector", "", "`type` is required", "files, rest, sql, python"),
        ("type: bearer", "type: oauth", 5, "connector.auth", "", "unknown type", "none, bearer, api_key, basic"),
        # values
        ("scd: 1", "scd: 3", 13, "entities.things.columns.name.scd", "3", "Input should be 1 or 2", ""),
        ("scd: 1", "type: strng", 13, "entities.things.columns.name.type", '"strng"', "'strng' is not a type; legal: text, boolean", ""),
        ("scd: 1", "format: '%d'", 13, "entities.things.columns.name", "", "`format` needs `type: date`", ""),
        ("key: id", "key: []", 11, "entities.things.key", "", "name the fields that identify a record", ""),
        ("key: id", "key: [a, a]", 11, "entities.things.key", "", "distinct and not empty", ""),
        ("key: id", "key: id\n    load: some", 12, "entities.things.load", '"some"', "'full' or 'delta'", ""),
        ("key: id", "key: id\n    cursor: {field: x}", 9, "entities.things", "", "a cursor needs `load: delta`", ""),
        ("key: id", "key: id\n    max_delete: 200%", 12, "entities.things.max_delete", '"200%"', "less than or equal to 1", ""),
        ("key: id", "key: id\n    max_delete: x%", 12, "entities.things.max_delete", '"x%"', "'x%' is not a share; write 50% or 0.5", ""),
        ("    key: id\n", "", 9, "entities.things.key", "", "this field is required", ""),
        ("  things:", "  'Things; drop':", 9, "entities.Things; drop", '"Things; drop"', "pattern", ""),
        ("15 * * * *", "soon", 7, "triggers.0.cron", '"soon"', "'soon' is no cron expression: ", ""),
        ('"15 * * * *"', '"99 * * * *"', 7, "triggers.0.cron", '"99 * * * *"', "its five fields are minute, hour", ""),
        ('"15 * * * *"', '"15 * * * *", timezone: Mars', 7, "triggers.0.timezone", '"Mars"', "no IANA time zone", ""),
        ('{type: cron, cron: "15 * * * *"}', "{type: interval, every: 5 minutes}", 7, "triggers.0.every", '"5 minutes"',
         "'5 minutes' is not a duration; write 30s", ""),
        # what belongs to another kind of connector
        ("    request: {path: /things}\n", "", 9, "entities.things.request", "", "this field is required", ""),
        ("    key: id", "    key: id\n    file: x", 12, "entities.things.file", '"x"', "unknown field", "description, model, key"),
        ("    key: id", "    key: id\n    table: x", 12, "entities.things.table", '"x"', "unknown field", "description, model, key"),
        ("    key: id", "    key: id\n    format: csv", 12, "entities.things.format", '"csv"', "unknown field", "description, model, key"),
        # what is no YAML, or says something twice
        ("source: s\n", "source: s\nsource: s\n", 2, "", "", "the key 'source' is there twice", ""),
        ("source: s\n", "source: [\n", 3, "", "", "not YAML", ""),
        ("  things:\n", "  things:\n    1.5: x\n", 10, "", "", "a key must be a word, not 1.5", ""),
        ("source: s\n", "source: other\n", 1, "source", "other", "the source and its file must have the same name", "s"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_is(
    tmp_path: Path, old: str, new: str, line: int, path: str, value: str, message: str, legal: str
) -> None:
    assert old in GOOD
    [found] = problems(tmp_path, GOOD.replace(old, new, 1))
    assert message in found.message
    assert (found.line, found.path, found.value) == (line or 1, path, value)
    assert found.legal.startswith(legal) if legal else found.legal == ""
    said = str(found)
    assert said.startswith(f"{tmp_path}/sources/s.yaml:{found.line}: ")
    assert all(part in said for part in (path, message, value, legal))


@pytest.mark.parametrize(
    ("connector", "entity", "path"),
    [
        ("{type: python, module: x}", "{table: x, key: [a]}", "entities.e.table"),
        ("{type: files, path: x}", "{file: x, key: [a], load: delta, cursor: {field: a}}", "entities.e.cursor"),
        ("{type: files, path: x}", "{file: x, key: [a], query: q}", "entities.e.query"),
        ("{type: sql, url: x}", "{table: x, key: [a], load: delta, cursor: {field: a, param: p}}", "entities.e.cursor.param"),
    ],
)  # fmt: skip
def test_what_belongs_to_another_kind_is_an_error(
    tmp_path: Path, connector: str, entity: str, path: str
) -> None:
    [found] = problems(tmp_path, f"source: s\nconnector: {connector}\nentities:\n  e: {entity}\n")
    assert (found.path, found.line, found.message[:13]) == (path, 4, "unknown field")
    assert found.legal


@pytest.mark.parametrize("given_", ["", ", table: t, query: q"])
def test_a_database_is_read_by_table_or_by_query(tmp_path: Path, given_: str) -> None:
    text = f"source: s\nconnector: {{type: sql, url: x}}\nentities:\n  e: {{key: [a]{given_}}}\n"
    [found] = problems(tmp_path, text)
    assert "either `table` or `query`" in found.message


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words"])
def test_what_is_no_mapping_is_said(tmp_path: Path, text: str) -> None:
    [found] = problems(tmp_path, text)
    assert "valid dictionary" in found.message
    assert found.line == 1


def test_a_file_that_is_no_text_or_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "a.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "sources" / "b.yaml").mkdir()
    found = {Path(p.file).name: p.message for p in read_catalog(tmp_path)[1]}
    assert found == {
        "a.yaml": "not UTF-8 text: invalid start byte",
        "b.yaml": "cannot be read: Is a directory",
    }


def test_what_may_hold_a_password_is_not_shown(tmp_path: Path) -> None:
    wrong = GOOD.replace(
        "base_url: https://api.example.com", "base_url: https://a.example\n  timeout: ftp://me:hunter2@host"
    )
    [found] = problems(tmp_path, wrong)
    assert found.value == "(hidden)"


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    [found] = problems(tmp_path, GOOD.replace("{scd: 1}", "{scd: " + "x" * 200 + "}"))
    assert found.value == '"' + "x" * 76 + "…"


def test_all_problems_of_all_files_are_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "gold").mkdir()
    (tmp_path / "sources" / "a.yaml").write_text(
        "source: a\nconnector: {type: files, path: x}\nentities: {e: {fil: x}}\n"
    )
    (tmp_path / "sources" / "s.yaml").write_text(GOOD)
    (tmp_path / "gold" / "m.sql").write_text("/*\nmaterialized: tabel\n*/\nselect 1")
    catalog, found = read_catalog(tmp_path)
    assert sorted(catalog.sources) == ["s"]
    assert [(Path(p.file).name, p.line, p.path) for p in found] == [
        ("a.yaml", 3, "entities.e.key"), ("a.yaml", 3, "entities.e.file"), ("a.yaml", 3, "entities.e.fil"),
        ("m.sql", 2, "materialized"),
    ]  # fmt: skip


def test_a_wrong_file_is_out_and_the_others_are_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for folder in ("sources", "gold"):
        (tmp_path / folder).mkdir()
    for name, text in {"s": GOOD, "t": "source: t\nentities: [\n", "u": "source: v\n"}.items():
        (tmp_path / "sources" / f"{name}.yaml").write_text(text)
    (tmp_path / "gold" / "m.sql").write_text("/* materialized: tabel */ select 1")
    catalog = load_catalog(tmp_path)
    assert (sorted(catalog.sources), catalog.broken_sources) == (["s"], {"t", "u"})
    with pytest.raises(MetadataError, match=r"t\.yaml:3: not YAML"):
        catalog.source("t")
    with pytest.raises(MetadataError, match=r"m\.sql:1: materialized: .*legal|view"):
        catalog.check_model("m")
    catalog.check_model("n")  # what is not there at all is the builder's to say
    said = [r.getMessage() for r in caplog.records]
    assert sum("t.yaml:3: not YAML" in line for line in said) == 1
    load_catalog(tmp_path)
    assert len(caplog.records) == len(said), "said twice"
    (tmp_path / "sources" / "t.yaml").write_text(GOOD.replace("source: s", "source: t"))
    load_catalog(tmp_path)
    (tmp_path / "sources" / "t.yaml").write_text("source: t\nentities: [\n")
    assert load_catalog(tmp_path).broken_sources == {"t", "u"}
    assert len(caplog.records) == len(said) + 1, "what breaks again is said again"


def test_no_metadata_folder_is_a_problem_and_an_empty_one_is_not(tmp_path: Path) -> None:
    [found] = read_catalog(tmp_path / "nowhere")[1]
    assert found.message == "the metadata folder does not exist"
    with pytest.raises(MetadataError, match="the metadata folder does not exist"):
        load_catalog(tmp_path / "nowhere")
    assert read_catalog(tmp_path)[1] == []


@pytest.mark.parametrize(
    ("asked", "hint"),
    [("thinsg", "did you mean things? known sources: other, things"), ("x", "known sources: other, things")],
)
def test_a_source_that_is_not_there(tmp_path: Path, asked: str, hint: str) -> None:
    for name in ("things", "other"):
        assert problems(tmp_path, GOOD.replace("source: s", f"source: {name}"), f"sources/{name}.yaml") == []
    with pytest.raises(MetadataError, match=f"no source named '{asked}'") as caught:
        load_catalog(tmp_path).source(asked)
    assert caught.value.remedy == hint


def test_columns_are_called_by_their_alias(tmp_path: Path) -> None:
    text = "source: s\nconnector: {type: sql, url: x, schema: a, db_schem: b}\nentities: {e: {table: t, key: [id]}}\n"
    [found] = problems(tmp_path, text)
    assert found.legal == "type, url, schema, page_size, tables, snapshot"


# gold


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        (
            "/*\ndescription: x\nmaterialised: view\n*/\nselect 1",
            3,
            "materialised",
            "did you mean `materialized`?",
        ),
        ("/* materialized: incremental */ select 1", 1, "", "an incremental model needs a unique_key"),
        ("/* deleted: x */ select 1", 1, "", "`deleted` is for incremental models"),
        ("\n\n/*\na: 1\na: 2\n*/ select 1", 5, "", "the key 'a' is there twice"),
    ],
)
def test_a_wrong_header_of_a_model(tmp_path: Path, text: str, line: int, path: str, message: str) -> None:
    [found] = problems(tmp_path, text, "gold/m.sql")
    assert message in found.message
    assert (found.line, found.path) == (line, path)


def test_a_model_and_where_its_sql_begins(tmp_path: Path) -> None:
    text = "/*\nunique_key: id\nmaterialized: incremental\ncolumns: {a: what, b: {description: it is}, c: {}}\n*/\nselect 1"
    assert problems(tmp_path, text, "gold/deep/m.sql") == []
    model = load_catalog(tmp_path).models["m"]
    assert (model.header.unique_key, model.sql, model.first_line) == (("id",), "\nselect 1", 5)
    assert model.described() == {"a": "what", "b": "it is"}
    assert [p.message for p in problems_of_two(tmp_path, text)] == [
        f"the model m is also in {tmp_path}/gold/deep/m.sql"
    ]


def problems_of_two(folder: Path, text: str) -> list[Problem]:
    (folder / "gold" / "m.sql").write_text(text)
    return read_catalog(folder)[1]


def test_a_model_is_named_like_a_table(tmp_path: Path) -> None:
    [found] = problems(tmp_path, "select 1", "gold/My Model.sql")
    assert "lower-case letters" in found.message


# parts


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("15m", 900),
        ("1h", 3600),
        ("7d", 604800),
        ("2w", 1209600),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("0s", 0),
    ],
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1", "h", "1.5h", "-1h", "1h x", "5 minutes"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write 30s, 15m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("value", "share"), [("50%", 0.5), (" 12.5 % ", 0.125), ("0%", 0.0), (0.3, 0.3), ("0.3", "0.3")]
)
def test_shares(value: Any, share: Any) -> None:
    assert check_share(value) == share


@pytest.mark.parametrize(
    ("written", "type_"),
    [
        ("text", "text"), ("INT", "integer"), (" varchar ", "text"), ("decimal", "numeric"), ("decimal(5,2)", "numeric(5,2)"),
        ("numeric(5, 2)", "numeric(5, 2)"), ("timestamp with time zone", "timestamptz"), ("datetime", "timestamptz"), ("json", "jsonb"),
    ],
)  # fmt: skip
def test_types_and_their_other_names(written: str, type_: str) -> None:
    assert check_type(written) == type_


@pytest.mark.parametrize("written", ["", "txt", "numeric(", "numeric(5,2,1)", "text; drop", "varchar(5)"])
def test_what_is_no_type(written: str) -> None:
    with pytest.raises(ValueError, match=r"is not a type; legal: text, boolean, .*numeric\(p,s\)"):
        check_type(written)


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "NO", "y", "n"])
def test_words_are_words(word: str) -> None:
    assert parse(f"a: {word}").data == {"a": word}
    assert parse("a: [true, False]").data == {"a": [True, False]}


def test_lines_of_paths() -> None:
    document = parse("a:\n  - b: 1\n    c:\n      d: 2\n", first_line=10)
    assert [document.line(path) for path in ((), ("a",), ("a", 0), ("a", 0, "c"), ("a", 0, "c", "d"))] == [
        10,
        10,
        11,
        12,
        13,
    ]
    assert document.line(("a", 0, "nothing", "here")) == 11
    with pytest.raises(YamlError) as caught:
        parse("a: 1\nb: {\n", first_line=5)
    assert caught.value.line >= 6


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b", 1), ("a__b", 1), ("x.y", 7), ("l.1", 4), ("l.-1", 4), ("l.5", MISSING), ("a.c", MISSING), ("a.b.c", MISSING), ("n", None),
    ],
)  # fmt: skip
def test_dig(path: str, value: Any) -> None:
    assert dig({"a": {"b": 1}, "x.y": 7, "l": [3, 4], "n": None}, path) is value


@pytest.mark.parametrize(
    ("document", "path", "found"),
    [
        ([{"a": 1}], None, [{"a": 1}]),
        ({"items": [{"a": 1}], "total": 1}, None, [{"a": 1}]),
        ({"items": [], "total": 0}, None, []),
        ({"tags": ["x"], "id": 1}, None, [{"tags": ["x"], "id": 1}]),  # a list of words is a field, not the records
        ({"a": [{"b": 1}], "c": [{"d": 1}]}, None, [{"a": [{"b": 1}], "c": [{"d": 1}]}]),
        ({"d": {"items": [1]}}, "d.items", [1]),
        ({"d": None}, "d", []),
        ({"d": {"id": 1}}, "d", [{"id": 1}]),
    ],
)  # fmt: skip
def test_the_records_of_a_response(document: Any, path: str | None, found: list[Any]) -> None:
    assert records_in(document, path) == found


def test_no_records_at_the_path_says_what_is_there() -> None:
    with pytest.raises(ValueError, match=r"nothing at `x`; the document has \['a', 'b'\]"):
        records_in({"b": 1, "a": 2}, "x")


@pytest.mark.parametrize(
    ("left", "right", "greater"),
    [
        (None, 1, 1), (1, 2, 2), (2, 1, 2), (9, "10", "10"), ("9", "10", "10"), ("2026-01-31T10:00:00+01:00", "2026-01-31T09:30:00Z", "2026-01-31T09:30:00Z"),
        ("2026-01-31", "2026-01-31T00:00:01", "2026-01-31T00:00:01"), ("b", "a", "b"), (5, None, 5), (5, True, 5), (5, [9], 5), (5, "2026-01-01", "2026-01-01"),
        (5, "zzz", 5), ("zzz", 5, 5), ("2026-01-31", "zzz", "2026-01-31"), ("zzz", "2026-01-31", "2026-01-31"), ("7", "zzz", "7"), (None, "zzz", "zzz"),
        (5, float("inf"), 5), (5, float("nan"), 5), (float("nan"), 5, 5), (None, float("-inf"), None), (5, "inf", 5), (5, "nan", 5), (5, "1e999", 5),
        (5, 10**400, 10**400), ("20260131", "20260199", "20260199"),
        ("507f1f77bcf86cd799439011", "507111770001234799439011", "507f1f77bcf86cd799439011"), ("50711177000123479943901a", "507111770001234799439011", "50711177000123479943901a"),
    ],
)  # fmt: skip
def test_the_later_cursor(left: Any, right: Any, greater: Any) -> None:
    assert later(left, right) == greater


cursors = (
    st.integers(-5, 5)
    | st.floats(-5, 5)
    | st.sampled_from(
        [
            "a",
            "b",
            "zzz",
            "nan",
            float("nan"),
            float("inf"),
            "7",
            "2026-01-31",
            "2026-01-31T10:00:00Z",
            "2026-01-31T10:00:00+01:00",
        ]
    )
)


def highest(values: list[Any]) -> Any:
    high: Any = None
    for value in values:
        high = later(high, value)
    return high


@given(st.permutations([5, "6", "2026-01-31", "2026-02-01T00:00:00Z", "x", "y"]), st.lists(cursors))
def test_a_cursor_only_grows(values: list[Any], more: list[Any]) -> None:
    assert highest([*more, *values, *more]) == "2026-02-01T00:00:00Z"


@given(
    st.permutations([5, "6", "x", "zzz", float("nan")]),
    st.lists(st.sampled_from(["a", "zzzz", float("inf"), 4])),
)
def test_a_number_is_no_less_than_any_text(values: list[Any], more: list[Any]) -> None:
    assert highest([*more, *values, *more]) == "6"


@given(st.lists(cursors, max_size=6).flatmap(lambda v: st.tuples(st.just(v), st.permutations(v))))
def test_a_cursor_does_not_depend_on_the_order(lists: tuple[list[Any], list[Any]]) -> None:
    assert highest(lists[0]) == highest(lists[1])


@pytest.mark.parametrize(
    ("cursor", "back"),
    [
        (None, None), (100, 40), (100.5, 40.5), ("2026-01-31T10:00:00Z", "2026-01-31T09:59:00Z"),
        ("2026-01-31T10:00:00+01:00", "2026-01-31T09:59:00+01:00"), ("abc", "abc"),
        (1767571200, 1767571140), (1767571200000, 1767571140000), (1767571200000000, 1767571140000000),
        ("1767571200", "1767571140"), ("1767571200000", "1767571140000"), ("20260131", "2026-01-30T23:59:00"),
        (113_000_000_000_000_000, 112_999_999_999_999_940),
    ],
)  # fmt: skip
def test_a_cursor_steps_back(cursor: Any, back: Any) -> None:
    assert step_back(cursor, timedelta(minutes=1)) == back
    assert step_back(cursor, timedelta(0)) == cursor


def test_the_schema_is_for_editors() -> None:
    schema = source_schema()
    kinds = [schema["$defs"][one["$ref"].rpartition("/")[2]] for one in schema["oneOf"]]
    assert [kind["title"] for kind in kinds] == [
        "FilesSource", "RestSource", "SqlSource", "PythonSource", "SingerSource", "DltSource", "AirbyteSource", "PushSource",
        "MqttSource", "ImapSource", "DavSource", "FintsSource",
    ]  # fmt: skip
    assert all(set(kind["properties"]) == set(Source.model_fields) for kind in kinds)
    assert all(kind["additionalProperties"] is False for kind in kinds)
    assert set(schema["$defs"]["RestConnector"]["properties"]["auth"]["discriminator"]["mapping"]) == {
        "none", "bearer", "api_key", "basic", "http_basic", "oauth2_client_credentials", "oauth2", "session_token", "jwt",
        "bunq", "custom",
    }  # fmt: skip
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize(
    "header",
    [
        "/* description: x\nmaterialized: table\nunique_key: [a] */",
        "/* description: x\n   materialized: table\n   unique_key: [a] */",
        "/*\ndescription: x\nmaterialized: table\nunique_key: [a]\n*/",
    ],
)
def test_a_header_may_begin_behind_its_comment(header: str, tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "gold").mkdir()
    (tmp_path / "gold" / "m.sql").write_text(f"{header}\nselect 1 as a\n")
    catalog = load_catalog(tmp_path)
    model = catalog.models["m"]
    assert (model.header.description, model.header.materialized, model.header.unique_key) == (
        "x",
        "table",
        ("a",),
    )
