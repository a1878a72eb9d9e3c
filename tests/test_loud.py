"""A load says what it did beside counting, and fails where too much was set aside."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import psycopg
import pymongo
import pytest
from conftest import Databases, MakeWorld, World
from dataplatform.errors import MetadataError
from dataplatform.layers.bronze import Bronze
from dataplatform.layers.silver.pending import plan_changes, rewrites
from dataplatform.reading.quarantine import Wanted, by_reason, dismiss, quarantine, quarantined, wanted
from dataplatform.reading.trace import trace
from dataplatform.runs.replay import replay


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.fixture
def world(make_world: MakeWorld, files: str) -> World:
    return make_world(s=files + "  e: {file: e.jsonl, key: [id], max_delete: 1.0}\n")


def load(world: World, *records: dict[str, Any], **flags: bool) -> Any:
    world.write("e.jsonl", lines(*records))
    return world.run(**flags)


def test_too_much_in_quarantine_fails_the_load(make_world: MakeWorld, own_lines: str) -> None:
    world = make_world(s=own_lines + "  e: {key: [id], load: delta, cursor: {field: at}}\n")
    good = [{"id": n, "at": n} for n in range(18)]
    first = load(world, *good, {"x": 1}, {"x": 2})
    assert first.status == "done with warnings"
    assert first.as_json()["warnings"]["e"] == [
        "2 of 20 records set aside; look: dataplatform quarantine list s e"
    ]
    assert world.rows("select status from audit.run") == [("done with warnings",)]
    again = load(world, *good, {"id": 99, "at": 99}, {"x": 1}, {"x": 2}, {"x": 3})
    assert "3 of 22 records were set aside, more than max_quarantine = 10%" in again.failed["e"]
    assert world.rows("select value from audit.cursor") == [(17,)], "the cursor has not moved"
    assert world.rows("select count(*) from silver.s__e") == [(18,)]
    assert world.quarantine(), "what was set aside can be looked at"


def test_one_record_never_stops_a_batch(world: World) -> None:
    assert load(world, {"id": 1}, {"x": 1}).status == "done with warnings"
    assert world.rows("select id from silver.s__e") == [(1,)]


def test_all_of_a_batch_in_quarantine_is_not_done(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  e: {file: e.jsonl, key: [no_such_field]}\n")
    result = load(world, *({"id": n} for n in range(403)))
    assert "403 of 403 records were set aside" in result.failed["e"]


def test_columns_that_come_go_and_widen_are_told(world: World) -> None:
    assert load(world, {"id": 1, "a": 1, "b": 1}, {"id": 2, "a": 1, "b": 2}).entities["e"].notes == []
    notes = load(world, {"id": 1, "a": "x", "c": "y"}, {"id": 2, "a": 1, "c": "y"}).entities["e"].notes
    assert notes == [
        "2 rows re-written: `a` is now text, it was bigint",
        "`c` came, as text",
        "`b` went: the batch does not have it; its last values stay",
    ]
    assert world.rows("select detail -> 'notes' from audit.load where layer = 'silver' order by batch_id")[
        1
    ] == (notes,)


def test_deletes_that_were_not_looked_for_are_told(world: World) -> None:
    load(world, {"id": 1}, {"id": 2})
    world.write("e.jsonl", lines({"id": 1}) + "not JSON\n")
    result = world.run()
    assert result.entities["e"].counts.closed == 0
    assert "deletes were not looked for: 1 record could not be read" in result.entities["e"].warnings[0]


def test_rows_that_fell_together_are_told(world: World) -> None:
    result = load(world, {"id": 1, "v": 1}, {"id": 1, "v": 2}, {"id": 2})
    assert result.entities["e"].counts.inserted == 2
    assert "3 records became 2 rows: 1 had the key of another" in result.entities["e"].warnings[0]
    assert result.status == "done with warnings"


def test_one_bad_value_does_not_turn_a_column_into_text(world: World) -> None:
    """From twenty values on a misfit waits; when more come, the column widens and they come in."""
    numbers = [{"id": n, "price": n} for n in range(30)]
    result = load(world, *numbers, {"id": 98, "price": "n/a"})
    assert world.rows("select pg_typeof(price)::text from silver.s__e limit 1") == [("bigint",)]
    assert "column price (bigint): 'n/a' is no integer" in result.entities["e"].warnings[0]
    result = load(world, *numbers, {"id": 98, "price": "n/a"}, {"id": 99, "price": "?"})
    assert world.rows("select count(*), min(pg_typeof(price)::text) from silver.s__e") == [(32, "text")]
    assert result.status == "done", result.as_json()
    assert world.quarantine() == [], "what came in waits no more"
    many = [{"id": n, "price": n} for n in range(300)]
    result = load(world, *many, {"id": 98, "price": "n/a"}, {"id": 99, "price": "?"})
    assert world.rows("select count(*), min(pg_typeof(price)::text) from silver.s__e where dp_current") == [
        (300, "bigint")
    ]
    assert len(world.quarantine()) == 2
    rows = world.rows("select id, price from silver.s__e order by id, dp_valid_from")
    assert not replay(world.platform, "s").failed
    assert world.rows("select id, price from silver.s__e order by id, dp_valid_from") == rows


def test_columns_stand_in_the_sources_order(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  c: {file: c.csv, key: [id]}\n  e: {file: e.jsonl, key: [id]}\n")
    world.write("c.csv", "note,id,amount\nx,1,2\n")
    world.write("e.jsonl", lines({"z": 1, "id": 1, "o": {"y": 1, "x": 2}, "a": 1}))
    world.run()
    query = (
        "select column_name from information_schema.columns where table_schema = 'silver' "
        "and table_name = '{}' order by ordinal_position"
    )
    columns = [row[0] for row in world.rows(query.format("s__c"))]
    assert columns[:4] == ["note", "id", "amount", "dp_id"]
    columns = [row[0] for row in world.rows(query.format("s__e"))]
    assert columns[:6] == ["z", "id", "o__y", "o__x", "a", "dp_id"]


def test_a_full_read_of_a_delta_entity_reconciles(make_world: MakeWorld, own_lines: str) -> None:
    world = make_world(s=own_lines + "  e: {key: [id], load: delta, cursor: {field: at}}\n")
    load(world, {"id": 1, "at": 1}, {"id": 2, "at": 1}, {"id": 3, "at": 1})
    assert load(world, {"id": 3, "at": 2}).entities["e"].counts.closed == 1
    assert load(world, {"id": 2, "at": 1}, {"id": 3, "at": 2}, full=True).entities["e"].counts.closed == 1
    assert world.rows("select id from silver.s__e where dp_deleted") == [(1,)]
    refused = load(world, {"id": 9, "at": 1}, full=True)
    assert "lacks 2 of 2 rows, more than max_delete" in refused.failed["e"]
    assert not replay(world.platform, "s").failed
    assert world.rows("select id from silver.s__e where dp_deleted") == [(1,)]


def test_a_delta_entity_is_reconciled_by_schedule(make_world: MakeWorld, own_lines: str) -> None:
    head = own_lines + "  e: {key: [id], load: delta, max_delete: 1.0, cursor: {field: at}"
    world = make_world(s=head + ", full_every: 1h}\n")
    load(world, {"id": 1, "at": 1}, {"id": 2, "at": 1})
    assert load(world, {"id": 3, "at": 2}).entities["e"].counts.closed == 0, "an hour has not passed"
    world = make_world(s=head + ", full_every: 1s}\n")
    time.sleep(1.1)
    assert load(world, {"id": 3, "at": 2}, {"id": 1, "at": 1}).entities["e"].counts.closed == 1
    modes = world.rows("select mode from audit.load where layer = 'silver' order by batch_id")
    assert modes == [("full",), ("delta",), ("full",)]


def test_a_record_without_a_cursor_is_read(make_world: MakeWorld, databases: Databases) -> None:
    with psycopg.connect(databases.postgres) as conn:
        conn.execute("create table public.t (id int primary key, at timestamptz)")
        conn.execute("insert into public.t values (1, '2026-01-01'), (2, null)")
    world = make_world(
        s=f"source: s\nconnector: {{type: sql, url: '{databases.postgres}'}}\n"
        "entities: {t: {table: public.t, key: [id], load: delta, cursor: {field: at}}}\n"
    )
    assert world.run().entities["t"].counts.inserted == 2
    with psycopg.connect(databases.postgres) as conn:
        conn.execute("insert into public.t values (3, null)")
    assert world.run().entities["t"].counts.inserted == 1


def test_quarantine_closes_what_is_settled(world: World) -> None:
    load(world, {"id": 1}, {"id": None, "v": 1})
    world.write("e.jsonl", lines({"id": 1}, {"id": 2}) + '{"id": 3, "v": NaN}\n')
    world.run()
    reasons = [q.reason for q in world.quarantine()]
    assert len(reasons) == 1, "what a full batch no longer holds waits no more"
    assert "NaN" in reasons[0]
    load(world, {"id": 1}, {"id": 2}, {"id": 3, "v": 1})
    assert world.quarantine() == []


def test_in_a_delta_load_a_key_that_arrives_closes_its_entry(make_world: MakeWorld, own_lines: str) -> None:
    head = own_lines + "  e: {key: [id], load: delta, max_quarantine: 1.0, columns: {n: {type: integer}}}\n"
    world = make_world(s=head)
    load(world, {"id": 1, "n": "x"}, {"id": 2, "n": "y"})
    assert len(world.quarantine()) == 2
    load(world, {"id": 1, "n": 5})
    assert [json.loads(q.record)["id"] for q in world.quarantine()] == [2]


def test_what_has_no_key_is_known_by_its_content(make_world: MakeWorld, files: str, own_lines: str) -> None:
    coffee, cake = {"day": "2026-01-01", "what": "coffee"}, {"day": "2026-01-01", "what": "cake"}
    world = make_world(s=files + "  e: {file: e.jsonl, key: row, max_delete: 1.0}\n")
    assert load(world, coffee, coffee, cake, coffee).entities["e"].counts.inserted == 4
    for (key,) in world.rows("select dp_key::text from silver.s__e"):
        [version] = trace(world.platform, "s.e", key).versions
        assert version.raw_line is not None
    with pytest.raises(MetadataError) as caught:
        trace(world.platform, "s.e", "coffee")
    assert "its records have no key: name one by its dp_key" in caught.value.remedy
    assert load(world, cake, coffee, coffee, coffee).entities["e"].counts.unchanged == 4
    counts = load(world, coffee, cake, cake).entities["e"].counts
    assert (counts.inserted, counts.closed) == (1, 2)
    count = "select what, count(*) from silver_current.s__e group by 1 order by 1"
    assert world.rows(count) == [("cake", 2), ("coffee", 1)]
    before = world.rows("select dp_key, dp_valid_from, dp_valid_to from silver.s__e order by 1, 2")
    assert not replay(world.platform, "s").failed
    assert world.rows("select dp_key, dp_valid_from, dp_valid_to from silver.s__e order by 1, 2") == before
    world = make_world(t=own_lines.replace("source: s", "source: t") + "  e: {key: row, load: delta}\n")
    world.write("e.jsonl", lines(coffee, coffee, cake))
    assert world.run("t").entities["e"].counts.inserted == 3
    world.write("e.jsonl", lines(coffee, coffee, coffee))
    assert world.run("t").entities["e"].counts.inserted == 1
    assert world.rows("select what, count(*) from silver_current.t__e group by 1 order by 1") == [
        ("cake", 1), ("coffee", 3),
    ]  # fmt: skip


def test_plan_foresees_what_the_next_run_makes_anew(make_world: MakeWorld, files: str) -> None:
    head = files + "  e: {file: e.jsonl, max_delete: 1.0, "
    world = make_world(s=head + "key: [id]}\n")
    load(world, {"id": 1, "k": 1, "v": "1"}, {"id": 2, "k": 2, "v": "2"})

    def foreseen(rest: str) -> list[str]:
        planned = make_world(s=head + rest).platform
        source = planned.catalog.source("s")
        return [*map(str, plan_changes(planned.engine, source)), *map(str, rewrites(planned.engine, source))]

    assert foreseen("key: [id]}\n") == []
    assert foreseen("key: [id], columns: {v: {scd: 1}}}\n") == [
        "s.e: column v: `scd` was 2 and now is 1; the next run makes its 2 rows anew"
    ]
    assert foreseen("key: [id], columns: {v: {type: integer}}}\n") == [
        "narrow s__e.v text → integer",
        "s.e: column v: `type` was not said and now is integer; the next run makes its 2 rows anew",
    ]
    assert foreseen("key: [id, k], effective_at: k}\n") == [
        "s.e: `key` was id and now is id, k; the next run makes its 2 rows anew",
        "s.e: `effective_at` was not said and now is k; the next run makes its 2 rows anew",
    ]
    notes = load(
        make_world(s=head + "key: [id], columns: {v: {type: integer}}}\n"),
        {"id": 1, "k": 1, "v": "1"},
        force=True,
    )
    assert "2 rows re-written: `v` is now integer, it was text" in notes.entities["e"].notes


def test_quarantine_is_listed_by_reason_and_can_be_dismissed(world: World) -> None:
    bad = [{"v": n} for n in range(2)]
    load(world, *({"id": n} for n in range(40)), *bad, {"id": [1]})
    waiting = quarantine(world.platform)
    [group] = by_reason(waiting)
    assert (group.entity, group.count) == ("s.e", 3)
    only = wanted(world.platform, Wanted("s", id=waiting[0].id))
    assert dismiss(world.platform, only) == 1
    assert len(quarantine(world.platform)) == 2
    assert quarantined(world.platform, waiting[0].id).status == "dismissed"
    with pytest.raises(MetadataError, match="nothing that waits"):
        wanted(world.platform, Wanted("s", reason="no such reason"))
    assert dismiss(world.platform, wanted(world.platform, Wanted(reason="KEY FIELD"))) == 2
    load(world, *({"id": n} for n in range(41)), *bad, {"id": [1]})
    assert quarantine(world.platform) == [], "what was dismissed does not wait again with the next batch"


def test_a_corrected_encoding_reaches_silver_and_replay_corrects_history(
    make_world: MakeWorld, files: str
) -> None:
    head = files + "  c: {file: c.csv, key: [id]"
    world = make_world(s=head + ", encoding: cp437}\n")
    world.write("c.csv", "id;name\n1;Zoë\n2;Café\n".encode("cp1252"))
    world.run()
    world.write("c.csv", "id;name\n1;Zoë\n2;Café\n3;Ünal\n".encode("cp1252"))
    world.run()
    assert ("Zoë",) not in world.rows("select name from silver.s__c")
    world = make_world(s=head + "}\n")
    world.run()
    names = [("Zoë",), ("Café",), ("Ünal",)]
    assert world.rows("select name from silver_current.s__c order by id") == names, (
        "run reads again by itself"
    )
    assert not replay(world.platform, "s").failed
    assert world.rows("select name from silver.s__c order by id, dp_valid_from") == names, (
        "as if it had never been"
    )
    assert world.rows("select count(distinct dp_valid_from) from silver.s__c") == [(2,)]
    assert world.run().entities["c"].counts.unchanged == 3
    kept = list((world.folder / "home" / "raw" / "s" / "originals").iterdir())
    assert len(kept) == 2, "once for each content"


def test_a_corrected_delimiter_or_null_value_takes_effect(make_world: MakeWorld, files: str) -> None:
    head = files + "  c: {file: c.csv, key: [id]"
    world = make_world(s=head + ", delimiter: '|'}\n")
    world.write("c.csv", "id,n\n1,-\n2,5\n")
    assert world.run().failed, "the key's field is not there"
    world = make_world(s=head + "}\n")
    assert world.run().entities["c"].counts.inserted == 2
    world = make_world(s=head + ", null_values: ['-']}\n")
    world.run()
    assert world.rows("select id, n from silver_current.s__c order by id") == [(1, None), (2, "5")]
    assert not replay(world.platform, "s").failed
    assert world.rows("select id, n from silver.s__c order by id") == [(1, None), (2, 5)]


def test_a_record_set_aside_counts_once(make_world: MakeWorld, own_lines: str) -> None:
    head = "  e: {key: [id], load: delta, partial: true, columns: {n: {type: integer}}}\n"
    world = make_world(s=own_lines + head)
    for count in (1, 2):
        result = load(world, {"id": 1, "n": "x"}, *({"id": 1 + n, "n": n} for n in range(1, count)))
        assert not result.failed, result.failed
        assert result.entities["e"].counts.quarantined == 1
    assert len(world.quarantine()) == 1


def test_what_a_refused_batch_brought_first_counts_for_types(make_world: MakeWorld, files: str) -> None:
    head = files + "  e: {file: e.jsonl, key: [id]"
    world = make_world(s=head + ", checks: [{row_count: {min: 5}}]}\n")
    assert load(world, {"id": 1, "n": 2, "gone": {"x": 1}}).failed
    world = make_world(s=head + "}\n")
    result = load(world, {"id": 1, "n": 2, "gone": {"x": 1}}, {"id": 2, "n": 3})
    assert not result.failed, result.failed
    assert world.rows("select pg_typeof(id)::text, pg_typeof(n)::text from silver.s__e limit 1") == [
        ("bigint", "bigint")
    ]
    assert not replay(world.platform, "s").failed
    assert world.rows("select pg_typeof(id)::text, pg_typeof(n)::text from silver.s__e limit 1") == [
        ("bigint", "bigint")
    ]


def test_a_correction_lets_in_what_a_refused_batch_held(make_world: MakeWorld, files: str) -> None:
    """Also where the refused batch was the first, and its records come again unchanged."""
    head = files + "  e: {file: e.jsonl, key: [id]"
    world = make_world(s=head + ", columns: {v: {type: integer}}}\n")
    records = [{"id": n, "v": f"v{n}"} for n in range(9)]
    assert "9 of 9 records were set aside" in load(world, *records).failed["e"]
    world = make_world(s=head + "}\n")
    result = world.run()
    assert not result.failed, result.failed
    assert (result.entities["e"].counts.inserted, result.entities["e"].counts.quarantined) == (9, 0)
    assert world.quarantine() == [], "what silver took waits no more"


def test_a_bad_line_that_is_gone_waits_no_more(world: World) -> None:
    """Also where nothing else has changed."""
    good = lines(*({"id": n} for n in range(5)))
    world.write("e.jsonl", good + "not JSON\n")
    world.run()
    assert len(world.quarantine()) == 1
    world.run(force=True)
    assert len(world.quarantine()) == 1, "it is there still"
    world.write("e.jsonl", good)
    world.run()
    assert world.quarantine() == []


def test_a_run_that_finds_no_bronze_ends_and_says_so(world: World) -> None:
    load(world, {"id": 1})
    nowhere: Any = pymongo.MongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=200)
    with nowhere:
        lost = replace(world, platform=replace(world.platform, bronze=Bronze(nowhere["x"])))
        world.write("e.jsonl", lines({"id": 2}))
        result = lost.run()
    assert "MongoDB" in result.failed["e"]
    assert result.entities["e"].transient
    assert world.rows("select status from audit.run order by started_at") == [("done",), ("failed",)]
    assert world.run().entities["e"].counts.inserted == 1
