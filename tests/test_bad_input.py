"""Bad input: a clear error or quarantine, nothing lost, nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform.errors import DataplatformError, LoadError, MetadataError, ServerError, SettingsError
from dataplatform.layers.silver.evolve import CHILD_SYSTEM, MOST_COLUMNS, SYSTEM
from dataplatform.storage.packed import compressed_lines


@pytest.fixture
def world(make_world: MakeWorld, files: str) -> World:
    return make_world(
        s=files + "  j: {file: j.jsonl, key: [id], max_delete: 1.0, max_quarantine: 1.0}\n"
        "  c: {file: 'c*.csv', key: [id], max_delete: 1.0, max_quarantine: 1.0}\n"
    )


def load_json(world: World, *texts: str) -> Any:
    world.write("j.jsonl", "\n".join(texts) + "\n")
    result = world.run("s", "j")
    assert not result.failed, result.failed
    return result.entities["j"].counts


def reasons(world: World) -> str:
    return " | ".join(q.reason for q in world.quarantine())


GOOD = '{"id": 99, "v": "good"}'


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ('{"id": 1', "not JSON"),
        ("[1, 2]", "not an object but list"),
        ("nonsense", "not JSON"),
        ('{"v": 1}', "the key field `id` is missing"),
        ('{"id": null}', "the key field `id` is missing"),
        ('{"id": {"a": 1}}', "not a scalar"),
        ('{"id": 1, "v": NaN}', "NaN is not a JSON number"),
        ('{"id": 1, "v": -Infinity}', "-Infinity is not a JSON number"),
        ('{"id": 1, "v": "a\\u0000b"}', "NUL byte"),
        ('{"id": 1, "a\\u0000b": 1}', "NUL byte"),
        ('{"id": 1, "v": "\\ud800"}', "lone surrogate"),
        ('{"id": 1, "v": ' + "[" * 200 + "]" * 200 + "}", "nested more than"),
        ('{"id": 1, "v": "' + "x" * 16_000_000 + '"}', "too large"),
    ],
    ids=lambda v: v[:24] if isinstance(v, str) else "",
)
def test_a_bad_record_is_set_aside_and_the_others_are_loaded(world: World, bad: str, why: str) -> None:
    counts = load_json(world, bad, GOOD)
    assert (counts.read, counts.inserted, counts.quarantined) == (2, 1, 1)
    assert why in reasons(world)
    item = world.quarantine()[0]
    assert item.raw_file
    assert item.raw_line == 2
    assert item.record.startswith(bad[:50].encode("utf-8", "backslashreplace").decode()[:20])


def test_a_raw_nul_byte_and_invalid_utf8(world: World) -> None:
    world.write("j.jsonl", b'{"id": 1, "v": "a\x00"}\n{"id": 2, "v": "\xff"}\n' + GOOD.encode())
    counts = world.run("s", "j").entities["j"].counts
    assert (counts.inserted, counts.quarantined) == (1, 2)


def test_a_bad_record_with_a_known_key_deletes_nothing(world: World) -> None:
    load_json(world, '{"id": 1, "v": "x"}', GOOD)
    counts = load_json(world, '{"id": 1, "v": "a\\u0000b"}', GOOD)
    assert (counts.quarantined, counts.closed) == (1, 0)
    assert world.rows("select v from silver.s__j where id = 1 and dp_current") == [("x",)]


def test_numbers_keep_every_digit(world: World) -> None:
    big, fine = 2**64 + 1, "0.12345678901234567890123"
    counts = load_json(
        world, f'{{"id": 1, "n": {big}, "d": {fine}, "i": {2**63 - 1}}}',
        f'{{"id": 2, "n": -{10**40}, "d": 1.5, "i": 1}}',
    )  # fmt: skip
    assert counts.inserted == 2
    rows = world.rows("select n::text, d::text, i::text from silver.s__j order by id")
    assert rows == [(str(big), fine, str(2**63 - 1)), (str(-(10**40)), "1.5", "1")]
    assert load_json(
        world, f'{{"id": 1, "n": {big}, "d": {fine}, "i": {2**63 - 1}}}',
        f'{{"id": 2, "n": -{10**40}, "d": 1.5, "i": 1}} ',
    ).unchanged == 2  # fmt: skip


def test_duplicate_keys_in_a_batch(world: World) -> None:
    load_json(world, '{"id": 1, "v": "a"}', '{"id": 1, "v": "b"}', '{"id": 1, "v": "b"}')
    assert world.rows("select v, dp_current from silver.s__j") == [("b", True)]


NAMES = [
    "order", "SELECT", 'a"b', "x; drop table y --", "$dollar", "a.b", "with space", "Name", "NAME",
    "1st", "dp_id", "größe", "é", "", "a__b", "x" * 70, "x" * 71, "%s", "a'b", "ctid", "\\n",
]  # fmt: skip


def test_any_field_name_becomes_a_column(world: World) -> None:
    record = {"id": 1, **{name: f"v{n}" for n, name in enumerate(NAMES)}, "a": {"b": "nested"}}
    load_json(world, json.dumps(record))
    load_json(world, json.dumps({**record, "order": "changed"}))
    columns = world.rows(
        "select column_name from information_schema.columns where table_schema = 'silver' and "
        "table_name = 's__j' and column_name not like 'dp!_%' escape '!'"
    )
    with world.platform.engine.connect() as conn:
        rows = conn.exec_driver_sql("select * from silver_current.s__j").mappings().all()
    values = {v for v in rows[0].values() if isinstance(v, str)}
    assert {f"v{n}" for n, name in enumerate(NAMES) if name != "order"} | {"nested"} <= values
    assert all(len(c[0].encode()) <= 63 for c in columns)
    assert len(columns) == len(NAMES) + 2


def test_broken_csv_rows_are_set_aside(world: World) -> None:
    world.write("c.csv", 'id,name\n1,Ann\n2,Ben,extra\n3\n4,"never closed\n5,Eve\n6,"a ""b"""\n')
    counts = world.run("s", "c").entities["c"].counts
    assert (counts.read, counts.inserted, counts.quarantined) == (6, 3, 3)
    assert world.rows("select id, name from silver.s__c order by id") == [
        (1, "Ann"), (5, "Eve"), (6, 'a "b"'),
    ]  # fmt: skip
    records = {q.record for q in world.quarantine()}
    assert records == {"2,Ben,extra", "3", '4,"never closed'}


def test_csv_that_is_not_in_the_encoding_that_was_said(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  c: {file: 'c*.csv', key: [id], encoding: utf-8}\n")
    world.write("c.csv", b"id,name\n1,Ann\n2,Z\xfcrich\n")
    counts = world.run("s", "c").entities["c"].counts
    assert (counts.inserted, counts.quarantined) == (1, 1)
    assert "not valid text" in reasons(world)


def test_an_empty_csv_and_one_with_a_header_only(world: World) -> None:
    world.write("c.csv", "")
    assert not world.run("s", "c").failed
    world.write("c.csv", "id,name\n")
    assert not world.run("s", "c").failed


def test_missing_files(world: World) -> None:
    error = world.run("s", "j").failed["j"]
    assert "no file matches" in error
    assert "correct `path`" in error


def test_a_broken_zip_and_a_broken_gz(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  z: {file: x.csv.zip, key: [id]}\n  g: {file: x.csv.gz, key: [id]}\n")
    world.write("x.csv.zip", b"PK\x03\x04 nothing")
    world.write("x.csv.gz", b"\x1f\x8b\x08 nothing")
    failed = world.run().failed
    assert "not whole" in failed["z"]
    assert "x.csv.gz" in failed["g"]
    assert world.rows("select count(*) from audit.load where layer = 'raw' and status = 'done'") == [(0,)]


def test_a_broken_json_document_names_line_and_column(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  d: {file: d.json, key: [id]}\n")
    world.write("d.json", '[{"id": 1},\n {"id": ]')
    assert "line 2, column" in world.run().failed["d"]
    world.write("d.json", '{"all": [{"id": 1},\n {"id": }]}')
    assert "line 2, column" in world.run().failed["d"]


def test_a_broken_item_of_a_json_array_is_set_aside(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  d: {file: d.json, key: [id], max_quarantine: 1.0}\n")
    world.write("d.json", '[{"id": 1},\n {"id": },\n nonsense, {"id": 2, "l": [{"x": 01}]}, {"id": 3}]')
    counts = world.run().entities["d"].counts
    assert (counts.read, counts.inserted, counts.quarantined) == (5, 2, 3)
    assert "line 2: not JSON" in reasons(world)
    assert {q.record for q in world.quarantine()} == {
        '{"id": }',
        "nonsense",
        '{"id": 2, "l": [{"x": 01}]}',
    }


def test_wrong_database_urls(make_world: MakeWorld, files: str, monkeypatch: Any, tmp_path: Path) -> None:
    from dataplatform.bootstrap import open_platform
    from dataplatform.layers.bronze import Bronze
    from dataplatform.settings import Settings

    (tmp_path / "sources").mkdir()
    cases: list[tuple[str, type[DataplatformError]]] = [
        ("postgresql://u:secret@127.0.0.1:1/x", ServerError),
        ("mysql://u:secret@127.0.0.1/x", SettingsError),
        ("not a url", SettingsError),
    ]
    for url, kind in cases:
        settings = Settings(
            home=tmp_path,
            metadata_path=tmp_path,
            postgres_url=url,
            mongo_url="mongodb://127.0.0.1:1/x",
        )
        with pytest.raises(kind) as caught, open_platform(settings):
            pass
        assert "secret" not in str(caught.value)
        assert caught.value.remedy
    with pytest.raises(SettingsError):
        Bronze.connect("http://u:secret@127.0.0.1")


def test_a_missing_source_says_what_there_is(world: World) -> None:
    with pytest.raises(MetadataError, match="known sources: s"):
        world.run("nope")


def test_a_time_beyond_what_there_is_sends_its_record_to_quarantine(
    make_world: MakeWorld, own_lines: str
) -> None:
    """In the first batch (column by column), in a later one, and in one that comes late (from bronze)."""
    world = make_world(
        s=own_lines
        + "  e: {key: [id], load: delta, effective_at: at, max_quarantine: 1.0, columns: {at: {type: text}}}\n"
    )
    good = '{"id": 1, "at": "2026-01-01T00:00:00Z", "n": %d}\n{"id": 2, "at": "2026-01-01T00:00:00+14:00", "n": %d}\n'
    bad = '{"id": %d, "at": "0001-01-01T00:00:00+14:00"}\n{"id": %d, "at": "9999-12-31T23:00:00-05:00"}\n'
    for n in (1, 2):
        world.write("e.jsonl", good % (n, n) + bad % (10 * n, 10 * n + 1))
        result = world.run()
        assert not result.failed, result.failed
        assert result.entities["e"].counts.quarantined == 2
    assert world.rows("select id, n from silver_current.s__e order by id") == [(1, 2), (2, 2)]
    late, later = ("20991231T000000000000Z-0000", "20991231T000001000000Z-0000")
    for batch_id, n in ((late, 3), (later, 4)):
        world.write("e.jsonl", good % (n, n) + bad % (10 * n, 10 * n + 1))
        for layer in ("raw", "bronze"):
            world.move(layer, "e", batch_id)
    assert [world.move("silver", "e", batch_id).quarantined for batch_id in (later, late)] == [2, 2]
    assert world.rows("select id, n from silver_current.s__e order by id") == [(1, 4), (2, 4)]
    assert len(world.quarantine()) == 8
    assert {q.reason for q in world.quarantine()} == {
        "effective_at (at): '0001-01-01T00:00:00+14:00' is beyond the years 1 to 9999 in UTC",
        "effective_at (at): '9999-12-31T23:00:00-05:00' is beyond the years 1 to 9999 in UTC",
    }


ILL = """
from dataplatform.connectors import page_of

def extract(request, since):
    ill = {"id": 2}
    ill["self"] = ill
    yield page_of([{"id": 1}, ill, {"id": 3}])
"""


def test_a_value_of_your_connector_that_json_cannot_hold_stops_no_other(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "ill.py").write_text(ILL)
    world = make_world(
        s="source: s\nconnector: {type: python, module: ill}\nentities:\n  e: {key: [id], load: delta, max_quarantine: 1.0}\n"
    )
    result = world.run()
    assert not result.failed, result.failed
    assert world.rows("select id from silver_current.s__e order by id") == [(1,), (3,)]
    (aside,) = world.quarantine()
    assert aside.reason.startswith("cannot be written as JSON: RecursionError")
    assert aside.record.startswith("{'id': 2, 'self': {...}}")


def wide(names: int, more: str = "") -> str:
    fields = ", ".join(f'"f{n}": {n}' for n in range(names))
    return f'{{"id": 1, "few": {{"a": 1}}, "stats": {{"by_day": {{{fields}}}, "n": 1}}{more}}}\n'


def test_more_fields_than_postgres_has_columns(make_world: MakeWorld, files: str) -> None:
    """Refused for good, with what to write; and loaded once that is written."""
    world = make_world(s=files + "  e: {file: e.jsonl, key: [id]}\n")
    world.write("e.jsonl", wide(1_700))
    with pytest.raises(
        LoadError, match=r"the table silver.s__e would have 1,703 columns; 1,58\d are possible"
    ) as told:
        world.move("silver", "e", world.run().batch_id)
    assert '"stats__by_day": {type: jsonb}' in told.value.remedy
    world = make_world(
        s=files + '  e: {file: e.jsonl, key: [id], columns: {"stats__by_day": {type: jsonb}}}\n'
    )
    result = world.run()
    assert not result.failed, result.failed
    assert world.rows("select stats__n::text, stats__by_day->>'f1699' from silver_current.s__e") == [
        ("1", "1699")
    ]


def test_as_many_fields_as_there_are_columns(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  e: {file: e.jsonl, key: [id]}\n")
    most = MOST_COLUMNS - len(SYSTEM | CHILD_SYSTEM)
    for n in (1, 2):
        fields = ", ".join(f'"f{n}": {n % 2 == 0}'.lower() for n in range(most - 2))
        world.write("e.jsonl", f'{{"id": 1, "n": {n}, {fields}}}\n')
        result = world.run()
        assert not result.failed, result.failed
    assert world.rows("select count(*) from silver.s__e") == [(2,)]


def test_a_row_too_wide_for_postgres_is_no_passing_error(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  e: {file: e.jsonl, key: [id]}\n")
    fields = ", ".join(f'"f{n}": {n + 10**15}' for n in range(1_500))
    world.write("e.jsonl", f'{{"id": 1, "stats": {{{fields}}}}}\n')
    with pytest.raises(LoadError, match="cannot hold it: row is too big"):
        world.move("silver", "e", world.run().batch_id)


MANY = "  m: {file: 'm*.jsonl', key: [id], max_delete: 1.0, max_quarantine: 1.0}\n"


def test_bad_lines_of_a_changed_batch_are_found_where_they_stand(make_world: MakeWorld, files: str) -> None:
    """Lines that no batch has held come a few from each of many pages and files, and are read together."""
    world = make_world(s=files.replace("type: files,", "type: files, page_size: 50,") + MANY)

    def written(of: str, changed: set[int]) -> None:
        for file in range(3):
            lines = [json.dumps({"id": file * 1000 + n, "v": "as ever"}) for n in range(400)]
            for n in changed:
                cut_off, whole = f'{{"id": "{of} {file} {n}"', f'{{"id": {file * 1000 + n}, "v": "{of}"}}'
                lines[n] = cut_off if n % 2 else whole
            # of a key that comes twice the last record counts, also among those of a page
            lines.insert(30, lines[25].replace("as ever", f"later, {of}"))
            lines.insert(10, lines[15].replace("as ever", f"early, {of}"))
            world.write(f"m{file}.jsonl", "\n".join(lines) + "\n")

    written("first", set())
    assert not world.run("s", "m").failed
    changed = {7, 20, 31, 58, 199, 200, 201, 399}
    written("then", changed)
    result = world.run("s", "m")
    assert not result.failed, result.failed
    assert result.entities["m"].counts.quarantined == 3 * sum(n % 2 for n in changed)
    for item in world.quarantine():
        assert item.raw_file
        assert item.raw_line
        with compressed_lines(world.platform.raw, item.raw_file) as blocks:
            lines = [line for block in blocks for line in block]
        assert lines[item.raw_line - 1].decode() == item.record
    rows = world.rows("select id, v from silver.s__m where dp_current and v <> 'as ever' order by id")
    later = {(file * 1000 + 25, "later, then") for file in range(3)}
    assert set(rows) == later | {(f * 1000 + n, "then") for f in range(3) for n in changed if n % 2 == 0}


TYPED_LATE = """
from dataplatform.connectors import Schema, page_of

def extract(request, since):
    '''Two records, and that `a` is one JSON value when the first has been said.'''
    yield page_of([{"id": 1, "a": {"b": 1}}])
    yield Schema({"id": None, "a": "jsonb"})
    yield page_of([{"id": 2, "a": {"c": 2}}])
"""


def test_what_a_source_says_of_types_is_of_what_follows(make_world: MakeWorld, tmp_path: Path) -> None:
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "late.py").write_text(TYPED_LATE)
    world = make_world(s="source: s\nconnector: {type: python, module: late}\nentities:\n  e: {key: [id]}\n")
    result = world.run("s", "e")
    assert not result.failed, result.failed
    (head,) = world.platform.bronze.db.batch_manifest.find({})
    assert set(head["paths"]) == {"id", "a__b", "a"}
