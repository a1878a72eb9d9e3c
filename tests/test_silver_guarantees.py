"""Each guarantee of silver, and each bug known from elsewhere, by its name."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from conftest import MakeWorld, World, move_of
from dataplatform import pipeline
from dataplatform.connectors import page_of
from dataplatform.errors import ServerError
from dataplatform.layers import raw
from dataplatform.metadata import load_catalog
from dataplatform.records.refs import EntityRef
from dataplatform.runs import Order, run
from dataplatform.runs.replay import replay

KEYED = "{files}  e: {{file: e.jsonl, key: [id]{more}}}\n"


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(r) + "\n" for r in records)


@pytest.fixture
def entity(make_world: MakeWorld, files: str) -> Any:
    """entity("…more fields of the entity…") makes a world with one entity `e` of e.jsonl."""

    def make(more: str = "") -> World:
        return make_world(s=f"{files}  e: {{file: e.jsonl, key: [id], max_delete: 1.0{more}}}\n")

    return make


def load(world: World, *records: dict[str, Any], **options: Any) -> Any:
    world.write("e.jsonl", lines(*records))
    result = world.run(**options)
    assert not result.failed, result.failed
    return result.entities["e"].counts


def process(world: World, batch_id: str, records: list[dict[str, Any]]) -> None:
    """One batch of a delta load, as if it had come at the time its id says."""
    catalog = load_catalog(world.platform.settings.metadata_path)
    platform, move = replace(world.platform, catalog=catalog), move_of("silver", "e", batch_id)
    raw.land(platform.raw, move.batch, iter([page_of(records)]), raw.Landing("delta"))
    pipeline.load_bronze(platform, move)
    pipeline.load_silver(platform, move)


def versions(world: World, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    return world.rows(
        f"select {columns}, dp_current, dp_deleted from silver.s__e where {where} order by id, dp_valid_from"
    )


def test_a_b_a_gives_three_versions(entity: Any) -> None:
    world = entity()
    for value in ("A", "B", "A"):
        load(world, {"id": 1, "v": value})
    assert versions(world, "v") == [("A", False, False), ("B", False, False), ("A", True, False)]
    gaps = world.rows(
        "select count(*) from silver.s__e x join silver.s__e y on x.dp_key = y.dp_key "
        "and x.dp_valid_to = y.dp_valid_from"
    )
    assert gaps == [(2,)]


def test_delete_then_return_leaves_a_gap_and_no_tombstone(entity: Any) -> None:
    world = entity()
    load(world, {"id": 1, "v": "A"}, {"id": 2, "v": "x"})
    assert load(world, {"id": 2, "v": "x"}).closed == 1
    load(world, {"id": 2, "v": "x"})  # not flagged again
    assert load(world, {"id": 1, "v": "A"}, {"id": 2, "v": "x"}).inserted == 1
    assert versions(world, "v", "id = 1") == [("A", False, True), ("A", True, False)]
    first, second = world.rows(
        "select dp_valid_from, dp_valid_to from silver.s__e where id = 1 order by dp_valid_from"
    )
    assert first[1] < second[0]


def test_a_line_known_from_before_keeps_its_position(entity: Any) -> None:
    world = entity()
    load(world, {"id": 1, "v": 1})
    load(world, {"id": 1, "v": 2}, {"id": 1, "v": 1})  # the known line comes last, and wins
    assert versions(world, "v") == [(1, True, False)]
    load(world, {"id": 1, "v": 1}, {"id": 1, "v": 2})
    assert versions(world, "v") == [(1, False, False), (2, True, False)]


def test_the_same_batch_again_writes_nothing(entity: Any) -> None:
    world = entity()
    load(world, {"id": 1, "v": "A"})
    before = world.rows("select *, xmin::text from silver.s__e")
    counts = load(world, {"id": 1, "v": "A"})
    assert (counts.unchanged, counts.inserted, counts.updated, counts.closed) == (1, 0, 0, 0)
    assert load(world, {"id": 1, "v": "A"}, force=True).unchanged == 1
    assert world.rows("select *, xmin::text from silver.s__e") == before
    assert world.platform.bronze.count(EntityRef("s", "e")) == 1


def test_key_order_and_spacing_make_no_version(entity: Any) -> None:
    world = entity()
    load(world, {"id": 1, "a": 1, "b": 2})
    world.write("e.jsonl", '{"b":2,  "id":1,"a": 1}\n')
    assert world.run().entities["e"].counts.unchanged == 1
    assert len(versions(world, "id")) == 1


def test_two_versions_in_one_batch_do_not_both_become_current(entity: Any) -> None:
    world = entity(", load: delta, effective_at: at")
    load(
        world, {"id": 1, "v": "new", "at": "2026-01-02T00:00:00Z"},
        {"id": 1, "v": "old", "at": "2026-01-01T00:00:00Z"},
    )  # fmt: skip
    assert versions(world, "v") == [("old", False, False), ("new", True, False)]


def test_of_two_versions_without_a_clock_the_last_wins(entity: Any) -> None:
    world = entity()
    load(world, {"id": 1, "v": "first"}, {"id": 1, "v": "last"})
    assert versions(world, "v") == [("last", True, False)]


def test_an_older_version_goes_into_the_middle_of_history(entity: Any) -> None:
    world = entity(", load: delta, effective_at: at")
    load(world, {"id": 1, "v": "A", "at": "2026-01-01T00:00:00Z"})
    load(world, {"id": 1, "v": "C", "at": "2026-01-03T00:00:00Z"})
    load(world, {"id": 1, "v": "B", "at": "2026-01-02T00:00:00Z"})
    assert [v[0] for v in versions(world, "v")] == ["A", "B", "C"]
    assert [v[1] for v in versions(world, "v")] == [False, False, True]


def test_a_return_comes_after_the_delete_whatever_the_clock_said(entity: Any) -> None:
    world = entity(", effective_at: at")
    load(world, {"id": 1, "v": "A", "at": "2999-01-01T00:00:00Z"}, {"id": 2})
    load(world, {"id": 2})
    load(world, {"id": 1, "v": "A", "at": None}, {"id": 2})
    found = versions(world, "v", "id = 1")
    assert found == [("A", False, True), ("A", True, False)]
    load(world, {"id": 2})
    assert not [v for v in versions(world, "v", "id = 1") if v[1]]


def test_a_change_that_does_not_move_the_clock_is_kept(entity: Any) -> None:
    world = entity(", load: delta, effective_at: at")
    load(world, {"id": 1, "v": "A", "at": "2026-01-01T00:00:00Z"})
    load(world, {"id": 1, "v": "B", "at": "2026-01-01T00:00:00Z"})
    assert versions(world, "v") == [("A", False, False), ("B", True, False)]


def test_a_new_column_fills_in_place(entity: Any) -> None:
    world = entity()
    load(world, {"id": 1, "v": 1}, {"id": 2, "v": 2})
    counts = load(world, {"id": 1, "v": 1, "c": "x"}, {"id": 2, "v": 2, "c": "y"})
    assert (counts.inserted, counts.updated) == (0, 2)
    assert versions(world, "c") == [("x", True, False), ("y", True, False)]
    assert load(world, {"id": 1, "v": 1, "c": "z"}, {"id": 2, "v": 2, "c": "y"}).inserted == 1


@pytest.mark.parametrize("late", [False, True])
def test_a_first_value_fills_in_place_whatever_others_had_before(
    make_world: MakeWorld, files: str, late: bool
) -> None:
    """The column was known, but not of this key: it was born in a batch that said nothing of the column."""
    world = make_world(s=f"{files}  e: {{file: e.jsonl, key: [id], load: delta}}\n")
    batches = [[{"id": 2, "b": 1, "c": "x"}], [{"id": 1, "b": 1}], [{"id": 1, "b": 1, "c": "y"}]]
    for day in [1, 0, 2] if late else [0, 1, 2]:
        process(world, f"2026011{day}T000000000000Z-0000", batches[day])
    assert versions(world, "b, c", "id = 1") == [(1, "y", True, False)]


def test_a_dropped_column_keeps_its_last_value(entity: Any) -> None:
    world = entity()
    load(world, {"id": 1, "v": 1, "c": "x"})
    assert load(world, {"id": 1, "v": 1}).unchanged == 1
    load(world, {"id": 1, "v": 2})
    assert versions(world, "v, c") == [(1, "x", False, False), (2, "x", True, False)]


def test_a_missing_field_is_null_and_null_to_value_is_a_change(entity: Any) -> None:
    world = entity()
    load(world, {"id": 1, "c": "x"}, {"id": 2, "c": "y"})
    load(world, {"id": 1}, {"id": 2, "c": "y"})
    load(world, {"id": 1, "c": "z"}, {"id": 2, "c": "y"})
    assert [v[0] for v in versions(world, "c", "id = 1")] == ["x", None, "z"]


def test_partial_records_leave_the_rest_unchanged(entity: Any) -> None:
    world = entity(", load: delta, partial: true")
    load(world, {"id": 1, "a": 1, "b": 1}, {"id": 2, "a": 5, "b": 5})
    load(world, {"id": 1, "a": 2}, {"id": 3, "b": 1})
    assert versions(world, "a, b", "id = 1") == [(1, 1, False, False), (2, 1, True, False)]


def test_composite_and_typed_keys_do_not_collide(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  e: {file: e.jsonl, key: [a, b]}\n")
    world.write("e.jsonl", lines(
        {"a": "a", "b": "bc"}, {"a": "ab", "b": "c"}, {"a": 1, "b": "1"}, {"a": "1", "b": 1},
        {"a": True, "b": "1"}, {"a": 1.0, "b": "1"},
    ))  # fmt: skip
    assert world.run().entities["e"].counts.inserted == 5  # 1 and 1.0 are the same number
    assert world.rows("select count(*) from silver.s__e where dp_current") == [(5,)]


def test_a_duplicate_key_does_not_break_later_runs(entity: Any) -> None:
    world = entity()
    load(world, {"id": 1, "v": 1}, {"id": 1, "v": 2})
    load(world, {"id": 1, "v": 3}, {"id": 1, "v": 4})
    load(world, {"id": 1, "v": 5})
    assert [v[0] for v in versions(world, "v")] == [2, 4, 5]


def test_scd1_overwrites_next_to_scd2(entity: Any) -> None:
    world = entity(", columns: {t: {scd: 1}}")
    load(world, {"id": 1, "t": "a", "v": 1})
    counts = load(world, {"id": 1, "t": "b", "v": 1})
    assert (counts.inserted, counts.updated, counts.closed) == (0, 1, 0)
    load(world, {"id": 1, "t": "c", "v": 2})
    assert versions(world, "t, v") == [("b", 1, False, False), ("c", 2, True, False)]


def test_max_delete_stops_and_says_so(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  e: {file: e.jsonl, key: [id]}\n")
    load(world, *({"id": n} for n in range(4)))
    world.write("e.jsonl", lines({"id": 0}))
    result = world.run()
    assert "lacks 3 of 4 rows" in result.failed["e"]
    assert "--allow-deletes" in result.failed["e"]
    assert world.rows("select count(*) from silver.s__e where dp_current") == [(4,)]
    assert load(world, {"id": 0}, {"id": 1}).closed == 2  # exactly half may go
    world.write("e.jsonl", "")
    assert world.run().failed
    assert not world.run(allow_deletes=True).failed
    assert world.rows("select count(*) from silver.s__e where dp_current") == [(0,)]


@pytest.mark.parametrize(
    ("limit", "most"), [("0.1", 1), ("30%", 3), ("0.35", 3), ("0.5", 5), ("0.7", 7), ("0", 0)]
)
def test_as_many_rows_go_as_max_delete_says_and_not_one_more(
    make_world: MakeWorld, files: str, limit: str, most: int
) -> None:
    world = make_world(s=f"{files}  e: {{file: e.jsonl, key: [id], max_delete: {limit}}}\n")
    everyone = [{"id": n} for n in range(10)]
    load(world, *everyone)
    world.write("e.jsonl", lines(*everyone[most + 1 :]))
    assert f"lacks {most + 1} of 10 rows" in world.run().failed["e"]
    if most:
        assert load(world, *everyone[most:]).closed == most
    assert len(world.rows("select from silver_current.s__e")) == 10 - most


def test_absence_in_a_delta_load_deletes_nothing(entity: Any) -> None:
    world = entity(", load: delta")
    load(world, {"id": 1}, {"id": 2})
    assert load(world, {"id": 2, "v": 1}).closed == 0
    assert world.rows("select count(*) from silver.s__e where dp_current") == [(2,)]


def test_a_line_that_cannot_be_read_deletes_nothing(entity: Any) -> None:
    world = entity()
    load(world, {"id": 1}, {"id": 2}, {"id": 3})
    world.write("e.jsonl", '{"id": 1}\n{"id": 2\n')
    counts = world.run().entities["e"].counts
    assert (counts.quarantined, counts.closed) == (1, 0)


def test_children_follow_their_parent(make_world: MakeWorld, files: str) -> None:
    world = make_world(
        s=files + "  e: {file: e.jsonl, key: [id], max_delete: 1.0, children: {lines: {key: [sku]}}}\n"
    )
    a, b = {"sku": "a", "q": 1, "tags": [["x"], ["y", "z"]]}, {"sku": "b", "q": 1}
    load(world, {"id": 1, "lines": [a, b]}, {"id": 2, "lines": []})
    load(world, {"id": 1, "lines": [b, {**a, "q": 2}]}, {"id": 2, "lines": [a]})  # moved, changed
    load(world, {"id": 1, "lines": []}, {"id": 2, "lines": [a]})  # emptied
    found = world.rows(
        "select sku, q, dp_current, dp_deleted from silver.s__e__lines l "
        "join silver.s__e p on p.dp_key = l.dp_parent_key and p.dp_current where p.id = 1 "
        "order by sku, l.dp_valid_from".replace("dp_current,", "l.dp_current,").replace(
            ", dp_deleted", ", l.dp_deleted")
    )  # fmt: skip
    assert found == [("a", 1, False, False), ("a", 2, False, True), ("b", 1, False, True)]
    assert world.rows("select count(*) from silver.s__e__lines__tags__value where dp_current") == [(3,)]
    load(world, {"id": 2, "lines": [a]})
    assert world.rows("select count(*) from silver.s__e__lines where dp_current") == [(1,)]
    load(world, {"id": 3, "lines": []}, allow_deletes=True)
    for table in ("lines", "lines__tags", "lines__tags__value"):
        assert world.rows(f"select count(*) from silver.s__e__{table} where dp_current") == [(0,)]


def test_types_widen_and_the_change_is_on_record(entity: Any) -> None:
    world = entity()
    load(world, {"id": 1, "n": 1, "d": "2026-01-01"})
    load(world, {"id": 1, "n": 1.5, "d": "2026-01-01T10:00:00Z"})
    load(world, {"id": 1, "n": "many", "d": "2026-01-01T10:00:00Z"})
    types = world.rows(
        "select column_name, data_type from information_schema.columns where table_schema = 'silver' "
        "and table_name = 's__e' and column_name in ('n', 'd') order by 1"
    )
    assert types == [("d", "timestamp with time zone"), ("n", "text")]
    assert [v[0] for v in versions(world, "n")] == ["1", "1.5", "many"]
    changes = world.rows(
        "select column_name, before, after from audit.schema_change where change = 'widen' order by id"
    )
    assert ("n", "bigint", "double precision") in changes
    assert ("n", "double precision", "text") in changes


def test_frozen_and_discarded_columns(entity: Any) -> None:
    world = entity(", schema_changes: freeze")
    load(world, {"id": 1, "a": 1})
    world.write("e.jsonl", lines({"id": 1, "a": 1, "new": 2}))
    assert "its schema is frozen" in world.run().failed["e"]
    assert versions(world, "a") == [(1, True, False)]


def test_discarded_columns_are_not_in_silver_but_in_bronze(entity: Any) -> None:
    world = entity(", schema_changes: discard")
    load(world, {"id": 1, "a": 1})
    assert load(world, {"id": 1, "a": 1, "new": 2}).unchanged == 1
    load(world, {"id": 1, "a": 2, "new": 3})
    names = world.rows(
        "select column_name from information_schema.columns where table_schema = 'silver' "
        "and table_name = 's__e' and column_name not like 'dp!_%' escape '!' order by 1"
    )
    assert names == [("a",), ("id",)]
    assert world.platform.bronze.versions(EntityRef("s", "e")).find_one({"doc.new": 3}) is not None


def test_a_value_that_does_not_fit_goes_to_quarantine(entity: Any) -> None:
    world = entity(", columns: {n: {type: integer}}")
    load(world, {"id": 1, "n": 1}, {"id": 2, "n": 2})
    counts = load(world, {"id": 1, "n": "many"}, {"id": 2, "n": 3})
    assert (counts.quarantined, counts.closed, counts.inserted) == (1, 1, 1)
    assert "'many' is no integer" in world.quarantine()[0].reason
    assert versions(world, "n", "id = 1") == [(1, True, False)]


def test_changed_metadata_remake_the_table_without_new_versions(make_world: MakeWorld, files: str) -> None:
    head = files + "  e: {file: e.jsonl, key: [id]"
    world = make_world(s=head + "}\n")
    load(world, {"id": 1, "n": "07", "t": "a"})
    load(world, {"id": 1, "n": "08", "t": "a"})
    world = make_world(s=head + ", columns: {n: {type: integer}}}\n")
    load(world, {"id": 1, "n": "08", "t": "a"})
    assert versions(world, "n") == [(7, False, False), (8, True, False)]


def test_a_new_key_takes_effect_by_itself(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  e: {file: e.jsonl, key: [id]}\n")
    load(world, {"id": 1, "k": "a"}, {"id": 1, "k": "b"})
    world = make_world(s=files + "  e: {file: e.jsonl, key: [id, k]}\n")
    world.write("e.jsonl", lines({"id": 1, "k": "a"}, {"id": 1, "k": "b"}, {"id": 2, "k": "a"}))
    result = world.run()
    assert not result.failed, result.failed
    assert result.entities["e"].notes == [
        "its key was id and now is id, k: bronze and silver were made anew from raw"
    ]
    assert versions(world, "id, k") == [(1, "a", True, False), (1, "b", True, False), (2, "a", True, False)]
    assert world.rows("select count(distinct dp_valid_from) from silver.s__e") == [(2,)], "history is kept"
    assert load(world, {"id": 1, "k": "a"}, {"id": 2, "k": "a"}).closed == 1


def test_a_new_key_without_raw_is_refused(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  e: {file: e.jsonl, key: [id]}\n")
    load(world, {"id": 1, "k": "a"})
    world.platform.raw.delete("s")
    world = make_world(s=files + "  e: {file: e.jsonl, key: [id, k]}\n")
    assert "raw no longer holds 1 batches" in world.run().failed["e"]
    assert versions(world, "k") == [("a", True, False)]


def test_cursor_and_data_are_committed_together(make_world: MakeWorld, own_lines: str) -> None:
    world = make_world(
        s=own_lines + "  e: {key: [id], load: delta, cursor: {field: at}, schema_changes: freeze}\n"
    )
    load(world, {"id": 1, "at": "2026-01-01T00:00:00Z"})
    assert world.rows("select value from audit.cursor") == [("2026-01-01T00:00:00Z",)]
    world.write("e.jsonl", lines({"id": 2, "at": "2026-02-01T00:00:00Z", "new": 1}))
    assert world.run().failed
    assert world.rows("select value from audit.cursor") == [("2026-01-01T00:00:00Z",)]
    assert world.rows("select count(*) from silver.s__e") == [(1,)]


def test_an_entity_that_fails_leaves_the_others_alone(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  bad: {file: missing.jsonl, key: [id]}\n  e: {file: e.jsonl, key: [id]}\n")
    world.write("e.jsonl", lines({"id": 1}))
    result = world.run()
    assert set(result.failed) == {"bad"}
    assert result.entities["e"].counts.inserted == 1
    assert result.status == "failed"
    assert world.rows("select event from audit.outbox where event like '%failed'") != []


def test_history_is_restated_from_a_date(make_world: MakeWorld, files: str) -> None:
    """`effective_at` corrected after the fact: the batches since a date, again, give the right history."""
    head = files + "  e: {file: e.jsonl, key: [id]"
    world = make_world(s=head + "}\n")
    for n in range(3):
        load(world, {"id": 1, "v": n, "at": f"2026-01-0{n + 1}T00:00:00Z"})
    before = versions(world, "dp_id, v")
    assert not replay(
        world.platform, "s", since=world.rows("select max(batch_id) from audit.load")[0][0]
    ).failed
    assert [row[1:] for row in versions(world, "dp_id, v")] == [row[1:] for row in before]
    world = make_world(s=head + ", effective_at: at}\n")
    assert not replay(world.platform, "s").failed
    found = world.rows("select v, dp_valid_from::date::text from silver.s__e order by dp_valid_from")
    assert found == [(0, "2026-01-01"), (1, "2026-01-02"), (2, "2026-01-03")]


def test_a_new_hash_rule_rehashes_in_place(entity: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = entity()
    load(world, {"id": 1, "v": 1}, {"id": 2, "v": 1})
    load(world, {"id": 1, "v": 2}, {"id": 2, "v": 1})
    columns = "dp_id, v, dp_valid_from, dp_batch_id"
    before, hashes = versions(world, columns), versions(world, "dp_hash2")
    for module in ("records.record", "layers.silver.plan", "layers.silver.merge", "layers.silver.rebuild"):
        monkeypatch.setattr(f"dataplatform.{module}.HASH_VERSION", 99)
    for module in ("records.record", "layers.silver.plan"):
        monkeypatch.setattr(f"dataplatform.{module}.hash_path", lambda path: f"new rule:{path}=")
    load(world, {"id": 1, "v": 2}, {"id": 2, "v": 1}, force=True)
    assert versions(world, columns) == before
    assert world.rows("select distinct dp_hash_version from silver.s__e") == [(99,)]
    assert not set(versions(world, "dp_hash2")) & set(hashes)
    assert load(world, {"id": 1, "v": 3}, {"id": 2, "v": 1}).inserted == 1


def test_a_failed_run_keeps_its_state(make_world: MakeWorld, own_lines: str) -> None:
    checks = "checks: [{row_count: {max: 1}}]"
    world = make_world(s=f"{own_lines}  e: {{key: [id], load: delta, cursor: {{field: at}}, {checks}}}\n")
    load(world, {"id": 1, "at": 1})
    world.write("e.jsonl", lines({"id": 2, "at": 2}, {"id": 3, "at": 3}))
    assert world.run().failed
    assert world.rows("select value from audit.cursor") == [(1,)]
    assert world.rows("select id from silver.s__e") == [(1,)]
    assert load(world, {"id": 2, "at": 2}).inserted == 1


def test_of_two_items_with_one_key_the_last_counts_with_all_it_holds(
    make_world: MakeWorld, files: str
) -> None:
    world = make_world(s=files + "  e: {file: e.jsonl, key: [id], children: {l: {key: [n]}}}\n")
    for more in ({}, {"id": 2}):  # by the fast path, then by the sure one: a key twice
        load(
            world, *([more] * 2 if more else []), {"id": 1, "l": [{"n": 1, "t": [1, 2]}, {"n": 1, "t": [3]}]}
        )
        query = "select t.value from silver.s__e__l__t t join silver.s__e e on e.dp_key = dp_root_key"
        assert world.rows(f"{query} where t.dp_current") == [(3,)]


def test_a_list_within_items_that_the_source_drops_stays(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  e: {file: e.jsonl, key: [id], children: {l: {key: [n]}}}\n")
    load(world, {"id": 1, "l": [{"n": 1, "t": [1]}, {"n": 2, "t": [2]}]})
    load(world, {"id": 1, "l": [{"n": 1}]})
    assert world.rows("select value, dp_deleted from silver.s__e__l__t order by 1") == [(1, False), (2, True)]


def test_items_without_fields_are_items(entity: Any) -> None:
    world = entity()
    load(world, {"id": 1, "l": [{}, {}]})
    load(world, {"id": 1, "l": [{}, {"a": 1}, {}]})
    found = world.rows("select dp_index, a, dp_valid_to is null from silver.s__e__l order by 1, 2")
    assert found == [(0, None, True), (1, 1, True), (2, None, True)]


def test_records_that_did_not_fit_do_not_count_as_deleted_rows(make_world: MakeWorld, files: str) -> None:
    world = make_world(
        s=files + "  e: {file: e.jsonl, key: [id], max_quarantine: 1.0, columns: {n: {type: integer}}}\n"
    )
    load(world, {"id": 1, "n": 1}, {"id": 2, "n": 1}, *({"id": n, "n": "x"} for n in range(3, 9)))
    assert load(world, {"id": 1, "n": 1}).closed == 1


def test_what_a_refused_batch_brought_is_read_again(entity: Any) -> None:
    """A file of a delta load is read once; but not if the batch with it was refused."""
    world = entity(", load: delta, checks: [{row_count: {max: 1}}]")
    load(world, {"id": 1})
    world.write("e.jsonl", lines({"id": 2}, {"id": 3}))
    assert world.run().failed
    text = (world.folder / "metadata/sources/s.yaml").read_text().replace("max: 1}", "max: 5}")
    (world.folder / "metadata/sources/s.yaml").write_text(text)
    platform = replace(world.platform, catalog=load_catalog(world.folder / "metadata"))
    assert not run(platform, Order("s")).failed
    assert world.rows("select id from silver.s__e order by id") == [(1,), (2,), (3,)]


def test_a_batch_that_met_a_failing_server_is_loaded_by_the_next_run(
    entity: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = entity(", load: delta")
    load(world, {"id": 1})
    world.write("e.jsonl", lines({"id": 2}))

    def fails(*_: Any) -> Any:
        raise ServerError("MongoDB failed", "run again")

    with monkeypatch.context() as patch:
        patch.setattr("dataplatform.pipeline.history_of", fails)
        assert world.run().failed
    assert not world.run().failed  # the file has not changed since
    assert world.rows("select id from silver.s__e order by id") == [(1,), (2,)]
    assert world.rows("select count(*) from audit.load where status = 'failed'") == [(0,)]


def test_what_a_bad_record_held_back_is_deleted_when_that_is_gone(entity: Any) -> None:
    world = entity()
    good = [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}]
    load(world, *good, {"id": 3, "v": "c"})
    load(world, *good, {"id": 3, "v": "a\0b"})
    assert world.rows("select id from silver_current.s__e order by id") == [(1,), (2,), (3,)]
    load(world, *good)  # the good entries are those of before, but the third key is gone
    assert world.rows("select id from silver_current.s__e order by id") == [(1,), (2,)]


def test_a_batch_that_repeats_what_was_deleted_before_it_deletes_nothing_more(entity: Any) -> None:
    world = entity()
    load(world, {"id": 1}, {"id": 2})
    for _ in range(3):
        counts = load(world, {"id": 1}, force=True)
    assert (counts.inserted, counts.updated, counts.closed, counts.unchanged) == (0, 0, 0, 1)
    assert world.rows("select id, dp_deleted from silver.s__e order by id") == [(1, False), (2, True)]
