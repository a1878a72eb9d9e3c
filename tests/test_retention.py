"""Retention by the program: what goes, what stays, and that a kill anywhere is gone on from."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform.connectors import page_of
from dataplatform.layers import raw
from dataplatform.layers.bronze import upkeep as bronze
from dataplatform.layers.silver import horizon
from dataplatform.metadata.source import Retention
from dataplatform.names import new_batch_id
from dataplatform.records.refs import BatchRef, EntityRef, RunRef
from dataplatform.runs.recover import process_waiting
from dataplatform.runs.replay import replay
from dataplatform.upkeep import follow as following
from dataplatform.upkeep import retention
from test_purge import killed_until_done, program

ENTITY = """  e:
    file: e.jsonl
    key: [id]
    children: {tags: {key: [t]}}
    columns: {n: {type: integer}}
    max_quarantine: 1.0
    retention: {RETENTION}
"""
REF = EntityRef("s", "e")
OURS = "dp_id, dp_run_id, dp_created_at, dp_updated_at"


def made(make_world: MakeWorld, files: str, keeps: str, batches: int = 6) -> World:
    """A record that changes each time, one that goes after the second, one that stays, one that does not fit."""
    world = make_world(s=files + ENTITY.replace("RETENTION", keeps))
    for day in range(batches):
        lines = [
            {"id": 1, "day": day, "tags": [{"t": "a", "v": day}, {"t": "b", "v": 0}]},
            {"id": 2, "day": 0, "tags": []},
            {"id": 3, "n": "three", "tags": []},
            *([{"id": 4, "day": day, "tags": [{"t": "c", "v": day}]}] if day < 2 else []),
            *([{"day": day}] if day else []),
        ]
        world.write("e.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        result = world.run(allow_deletes=True)
        assert result.status == "done with warnings", result
    return world


def rows(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """Silver without what every writing changes."""
    found = {}
    for table in ("s__e", "s__e__tags"):
        names = world.rows(
            "select string_agg(quote_ident(column_name), ', ' order by column_name) from information_schema.columns "
            f"where table_schema = 'silver' and table_name = '{table}' and not column_name = any('{{{OURS}}}')"
        )[0][0]
        found[table] = world.rows(f"select {names} from silver.{table} order by dp_key, dp_valid_from")
    return found


def current(world: World) -> dict[str, int]:
    counted = "select count(*) from silver_current."
    return {table: world.rows(counted + table)[0][0] for table in ("s__e", "s__e__tags")}


def loose(world: World) -> list[str]:
    folder = world.folder / "home" / "raw" / "s"
    return sorted(p.parent.name for p in folder.rglob("e.manifest.json"))


def apply(world: World, **keeps: timedelta) -> retention.Applied:
    later = world.platform  # all that is there is older than nothing at all
    (plan,) = [retention.plan_of(later, REF, Retention(**keeps), _now())]
    (done,) = retention.apply(world.platform, [plan])
    return done


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


NONE = timedelta(0)


def test_raw_goes_into_the_archive_and_silver_stays_as_it_was(make_world: MakeWorld, files: str) -> None:
    world = made(make_world, files, "raw: 1s, archive: '{data}/../archive'")
    before, batches = rows(world), loose(world)
    time.sleep(1.1)
    planned = program(world, "retention")
    assert planned["status"] == "planned"
    assert planned["entities"]["s.e"]["batches"] == batches[:-1]
    assert loose(world) == batches, "a plan changed something"
    done = program(world, "retention", "--apply")["entities"]["s.e"]["done"]
    assert (done["status"], done["batches"], done["rows"]) == ("done", 5, 0)
    assert loose(world) == batches[-1:]
    archived = sorted(p.parent.name for p in (world.folder / "archive").rglob("e.manifest.json"))
    assert archived == batches[:-1]
    assert rows(world) == before
    assert replay(world.platform, "s").entities["e"].error is None
    assert rows(world) == before
    assert program(world, "retention")["entities"]["s.e"]["batches"] == []
    world.write("e.jsonl", '{"id": 1, "day": 9, "tags": []}\n{"id": 2, "day": 0, "tags": []}\n{"id": 5}\n')
    assert world.run(allow_deletes=True).entities["e"].counts.inserted == 2
    trace = program(world, "trace", "s.e", "1")["versions"]
    assert "baselines" in trace[0]["raw_file"], "the first version leads into the baseline"


def test_what_could_not_be_read_goes_on_waiting(make_world: MakeWorld, files: str) -> None:
    world = made(make_world, files, "raw: 1s")
    waiting = {(item.reason, item.record) for item in world.quarantine()}
    assert len(waiting) == 2
    assert apply(world, raw=NONE).status == "done"
    assert {(item.reason, item.record) for item in world.quarantine()} == waiting
    replay(world.platform, "s")
    assert {(item.reason, item.record) for item in world.quarantine()} == waiting


def test_history_goes_from_every_layer_and_versions_that_nothing_names(
    make_world: MakeWorld, files: str
) -> None:
    world = made(make_world, files, "silver_history: 1s")
    still_open = current(world)
    held = bronze.holding(world.platform.bronze, REF).versions
    done = apply(world, silver_history=NONE)
    assert done.rows == 7 + 7, done  # six ended versions of 1 and 4, and those of their tags
    assert {name: len(found) for name, found in rows(world).items()} == still_open
    left = bronze.holding(world.platform.bronze, REF).versions
    assert (held - left, done.versions) == (2, 2), "versions of 4 are still there"
    kept = rows(world)
    replay(world.platform, "s")
    assert rows(world) == kept
    text = "".join(
        line.decode() for m in raw.baseline(world.platform.raw, REF).values()
        for page in raw.read(world.platform.raw, m) for line in page.lines
    )  # fmt: skip
    assert '"id":4' not in text


def test_a_retention_of_what_runs_waits(make_world: MakeWorld, files: str) -> None:
    from dataplatform.storage.postgres import held

    world = made(make_world, files, "raw: 1s", batches=2)
    with held(world.platform.engine, [str(REF)]):
        assert apply(world, raw=NONE).status == "busy"
    assert len(loose(world)) == 2


def test_bronze_that_did_not_follow_does_before_the_next_run(
    make_world: MakeWorld, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = made(make_world, files, "silver_history: 1s")
    monkeypatch.setattr(retention, "follow", lambda platform, ref: 0)  # as if it were killed just there
    apply(world, silver_history=NONE)
    with world.platform.engine.connect() as conn:
        assert horizon.of(conn, REF).bronze_due
    world.write("e.jsonl", '{"id": 1, "day": 9, "tags": []}\n{"id": 2, "day": 0, "tags": []}\n')
    assert world.run(allow_deletes=True).entities["e"].error is None
    with world.platform.engine.connect() as conn:
        assert not horizon.of(conn, REF).bronze_due
    kept = rows(world)
    replay(world.platform, "s")
    assert rows(world) == kept
    assert following.follow(world.platform, REF) == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_anywhere_the_next_one_goes_on(make_world: MakeWorld, files: str) -> None:
    """Each retention is killed a little later than the one before, until one comes through."""
    world = made(make_world, files, "raw: 1s, silver_history: 1s")
    time.sleep(1.1)
    still_open = current(world)
    done = killed_until_done(world, "retention", "--apply", first=0.1, step=0.05)
    assert done["status"] == "done"
    assert len(loose(world)) == 1
    assert {name: len(found) for name, found in rows(world).items()} == still_open
    kept = rows(world)
    world.write("e.jsonl", '{"id": 1, "day": 5, "tags": [{"t": "a", "v": 5}, {"t": "b", "v": 0}]}\n')
    assert world.run(allow_deletes=True).entities["e"].error is None
    replay(world.platform, "s")
    assert len(rows(world)["s__e"]) == len(kept["s__e"])


def test_a_batch_that_only_raw_knows_of_is_not_taken(make_world: MakeWorld, files: str) -> None:
    world = made(make_world, files, "raw: 1s", batches=3)
    lost = BatchRef(REF, new_batch_id(_now() - timedelta(days=400)))  # killed before audit heard of it
    raw.land(world.platform.raw, lost, [page_of([{"id": 77, "day": 0}])], raw.Landing("delta"))
    assert apply(world, raw=NONE).batches == 0
    assert raw.manifest(world.platform.raw, lost) is not None
    process_waiting(world.platform, "s", RunRef())
    assert apply(world, raw=NONE).batches == 3
    replay(world.platform, "s")
    assert world.rows("select count(*) from silver.s__e where id = 77") == [(1,)]


def test_what_a_full_read_found_missing_in_a_delta_entity_stays_closed(
    make_world: MakeWorld, files: str
) -> None:
    """The deltas are in the baseline when the full batch comes into it."""
    world = make_world(s=files + "  e: {file: e.jsonl, key: [id], load: delta, max_delete: 1.0}\n")
    for lines, full in (("12", False), ("3", False), ("13", True), ("4", False), ("134", True), ("5", False)):
        world.write("e.jsonl", "".join(f'{{"id": {n}}}\n' for n in lines))
        assert world.run(full=full).status == "done"
        assert apply(world, raw=NONE).status == "done"
    before = world.rows("select id, dp_valid_from, dp_valid_to, dp_deleted from silver.s__e order by id")
    assert (before[1][0], before[1][3]) == (2, True)
    assert replay(world.platform, "s").entities["e"].error is None
    assert (
        world.rows("select id, dp_valid_from, dp_valid_to, dp_deleted from silver.s__e order by id") == before
    )


def test_a_record_of_an_old_batch_may_be_retried(make_world: MakeWorld, files: str) -> None:
    yaml = files + "  e: {file: e.jsonl, key: [KEY], load: delta, max_quarantine: 1.0}\n"
    world = make_world(s=yaml.replace("KEY", "id"))
    for line in ('{"id": 1, "n": 1}\n{"n": 2}\n', '{"id": 3, "n": 3}\n', '{"id": 4, "n": 4}\n'):
        world.write("e.jsonl", line)
        world.run()
    assert apply(world, raw=NONE).batches == 2
    assert program(world, "quarantine", "retry")["status"] == "done"
    assert len(world.quarantine()) == 1, "it has no key still"
    assert world.rows("select count(*) from silver_current.s__e") == [(3,)]


def test_doctor_does_not_miss_what_retention_took(make_world: MakeWorld, files: str) -> None:
    yaml = files + "  e: {file: e.jsonl, key: [id], checks: [{row_count: {min: 1}}], retention: {raw: 1s}}\n"
    world = make_world(s=yaml)
    for line in ('{"id": 1}\n', "", '{"id": 2}\n', '{"id": 2}\n'):  # the second is refused
        world.write("e.jsonl", line)
        world.run(allow_deletes=True)
    assert apply(world, raw=NONE).batches == 3
    assert [
        f for f in program(world, "doctor", "--all")["findings"] if f["about"] == "s.e" and f["level"] != "ok"
    ] == []


def test_a_source_that_is_not_there_is_told(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + ENTITY.replace("RETENTION", "raw: 1s"))
    said = program(world, "retention", "s.f", code=1)
    assert "has no entity f" in said["error"]
