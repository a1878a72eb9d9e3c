"""What metadata no longer name: it is told, and `purge` removes it from every layer and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import MakeWorld, World
from dataplatform.errors import BusyError, MetadataError
from dataplatform.layers.bronze import upkeep as bronze
from dataplatform.names import batch_date
from dataplatform.records.refs import EntityRef
from dataplatform.runs.replay import replay
from dataplatform.storage.postgres import exclusive
from dataplatform.upkeep import purge as upkeep

PROGRAM = Path(sys.executable).with_name("dataplatform")
ENTITIES = """  e: {file: e.jsonl, key: [id], columns: {n: {type: integer}}, checks: [{row_count: {min: 1}}]}
  e_two: {file: e_two.jsonl, key: [id]}
"""
GOLD = {
    "v": "/* materialized: view */ select count(*) as n from silver_current.s__e",
    "w": "select n from gold.v",
    "other": "select count(*) as n from silver.s__e_two",
}


@pytest.fixture
def world(make_world: MakeWorld, files: str) -> World:
    """Two entities, two batches each; one with a nested list, a record in quarantine and a view that reads it."""
    world = make_world(gold=GOLD, s=files + ENTITIES)
    for day in (1, 2):
        for name in ("e", "e_two"):
            record = {"id": 1, "day": day, "tags": [{"tag": "a"}, {"tag": "b"}]}
            world.write(f"{name}.jsonl", json.dumps(record) + '\n{"id": 2, "n": "x"}\n')
        assert world.run().status == "done with warnings"
    program(world, "gold")
    return world


def environment(world: World) -> dict[str, str]:
    settings = world.platform.settings
    assert settings.postgres_url is not None
    assert settings.mongo_url is not None
    return {k: v for k, v in os.environ.items() if not k.startswith(("DATAPLATFORM_", "PREFECT_"))} | {
        "DATAPLATFORM_HOME": str(settings.home),
        "DATAPLATFORM_METADATA": str(settings.metadata_path),
        "DATAPLATFORM_POSTGRES_URL": settings.postgres_url.get_secret_value(),
        "DATAPLATFORM_MONGO_URL": settings.mongo_url.get_secret_value(),
    }


def program(world: World, *args: str, code: int = 0, stdin: str = "", json_: bool = True) -> Any:
    done = subprocess.run(
        [PROGRAM, *args, *(["--json"] if json_ else [])], env=environment(world), cwd=world.folder,
        input=stdin, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if json_ else done.stdout + done.stderr


def killed_until_done(world: World, *args: str, first: float, step: float) -> Any:
    """Kills the command again and again, each time a little later, until it comes through; what it says then."""
    command = [PROGRAM, *args, "--json"]
    for killed in range(60):
        process = subprocess.Popen(
            command,
            env=environment(world),
            cwd=world.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            # from the thirtieth on ever longer: a busy machine takes its time
            out, _ = process.communicate(timeout=first + step * killed * 1.1 ** max(0, killed - 30))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            continue
        assert killed, "it was never killed"
        assert process.returncode == 0, out
        return json.loads(out)
    raise AssertionError("it never came through")


def traces(world: World, entity: str) -> dict[str, int]:
    """How much of an entity of `s` every place holds."""
    ref = EntityRef("s", entity)
    raw = [
        p
        for p in (world.folder / "home" / "raw").rglob("*")
        if p.name.startswith((f"{entity}-", f"{entity}."))
    ]
    held = bronze.holding(world.platform.bronze, ref)
    found = {"raw": len(raw), "versions": held.versions, "manifests": held.batches, "aside": held.quarantined}
    found["chunks"] = world.platform.bronze.db["batch_manifest_chunk"].count_documents(
        {"_id": {"$regex": f"^s/{entity}/"}}
    )
    found["collection"] = int(ref.table in world.platform.bronze.db.list_collection_names())
    for schema in ("silver", "silver_current"):
        query = f"select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace where nspname = '{schema}' "
        query += f"and relkind in ('r', 'v') and (relname = 's__{entity}' or relname = 's__{entity}__tags')"
        [(found[schema],)] = world.rows(query)
    for table in ("load", "cursor", "entity_column", "entity_rule", "schema_change", "check_result"):
        [(found[table],)] = world.rows(f"select count(*) from audit.{table} where entity = '{entity}'")
    return found


def without(world: World, entity: str) -> None:
    """The metadata name it no more."""
    path = world.folder / "metadata" / "sources" / "s.yaml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f"  {entity}:")]
    path.write_text("\n".join(lines) + "\n")


def test_what_is_named_no_more_is_told_and_removed_from_every_layer(world: World) -> None:
    assert program(world, "check")["notes"] == []
    assert program(world, "status")["no_longer_in_metadata"] == []
    without(world, "e")
    [left] = program(world, "status")["no_longer_in_metadata"]
    assert left == {"entity": "s.e", "table": "silver.s__e", "rows": 2}
    [note] = program(world, "check")["notes"]
    assert "s.e is no longer in metadata; silver.s__e keeps 2 rows" in note
    assert "dataplatform purge s.e" in program(world, "status", json_=False)

    before, neighbour = traces(world, "e"), traces(world, "e_two")
    assert before | {"cursor": 1} == {k: v or 1 for k, v in before.items()}
    runs = world.rows("select count(*) from audit.run")
    planned = program(world, "purge", "s.e")
    assert planned["status"] == "planned"
    shown = planned["entities"]["s.e"]
    files = [p for p in (world.folder / "home" / "raw").rglob("e[-.]*") if p.is_file()]
    assert (shown["raw_batches"], shown["raw_files"]) == (2, len(files))
    assert shown["raw_bytes"] == sum(p.stat().st_size for p in files)
    assert shown["bronze"] == {k: before[n] for k, n in
                               {"versions": "versions", "batches": "manifests", "quarantined": "aside"}.items()}  # fmt: skip
    assert shown["tables"] == {"s__e": 2, "s__e__tags": 2}
    assert (planned["views"], planned["models"]) == (["gold.v"], ["v", "w"])
    said = program(world, "purge", "s.e", code=1, stdin="n\n", json_=False)
    assert "s__e__tags: 2 rows" in said
    assert "the gold model w reads it" in said
    assert traces(world, "e") == before, "something went before it was said to"

    assert "s.e is removed" in program(world, "purge", "s.e", stdin="y\n", json_=False)
    assert set(traces(world, "e").values()) == {0}
    assert traces(world, "e_two") == neighbour
    assert world.rows("select count(*) from audit.run") == runs
    assert world.rows("select to_regclass('gold.v')::text, to_regclass('gold.other')::text") == [
        (None, "gold.other")
    ]
    assert program(world, "check")["notes"] == []
    assert "no layer holds anything of s.e" in program(world, "purge", "s.e", code=1)["error"]


def test_what_is_named_still_needs_yes_and_can_be_loaded_anew(world: World) -> None:
    failed = program(world, "purge", "s", code=1, stdin="y\n", json_=False)
    assert "the metadata still name s.e, s.e_two" in failed
    done = program(world, "purge", "s", "--yes")
    assert (done["status"], sorted(done["entities"])) == ("done", ["s.e", "s.e_two"])
    for entity in ("e", "e_two"):
        assert set(traces(world, entity).values()) == {0}
    assert list((world.folder / "home" / "raw").iterdir()) == []
    assert world.run().status == "done with warnings"
    assert world.rows("select count(*) from silver.s__e_two") == [(2,)]


def test_a_broken_file_is_not_taken_for_one_that_is_gone(world: World) -> None:
    (world.folder / "metadata" / "sources" / "s.yaml").write_text("source: s\nentities: [\n")
    assert program(world, "status")["no_longer_in_metadata"] == []
    assert program(world, "check", code=1)["notes"] == []
    assert "still name" in program(world, "purge", "s", code=1, json_=False)


def test_a_run_keeps_purge_away_and_unknown_names_are_said(world: World) -> None:
    wanted, before = upkeep.plan(world.platform, "s.e"), traces(world, "e")
    with exclusive(world.platform.engine, "s.e"), pytest.raises(BusyError, match="nothing was removed"):
        upkeep.purge(world.platform, wanted)
    assert traces(world, "e") == before
    with pytest.raises(MetadataError, match="no layer holds anything") as caught:
        upkeep.plan(world.platform, "s.f")
    assert caught.value.remedy == "of s there are: e, e_two"


def test_a_purge_that_was_killed_is_carried_through_by_the_next(world: World) -> None:
    without(world, "e")
    neighbour = traces(world, "e_two")
    with psycopg.connect(environment(world)["DATAPLATFORM_POSTGRES_URL"]) as reader:
        reader.execute("select count(*) from silver.s__e")  # its lock keeps the table from being dropped
        killed = subprocess.Popen(
            [PROGRAM, "purge", "s.e", "--yes", "--json"], env=environment(world), cwd=world.folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + 30
        while traces(world, "e")["manifests"] and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.3)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        half = traces(world, "e")
        assert (half["raw"], half["versions"], half["silver"]) == (0, 0, 2)
        assert half["load"] > 0
    assert [left["entity"] for left in program(world, "status")["no_longer_in_metadata"]] == ["s.e"]
    assert program(world, "purge", "s.e", "--yes")["status"] == "done"
    assert set(traces(world, "e").values()) == {0}
    assert traces(world, "e_two") == neighbour


def test_a_renamed_entity_keeps_its_history(make_world: MakeWorld, files: str) -> None:
    world = make_world(s=files + "  old: {file: c.csv, key: [id], max_delete: 1.0}\n")
    for value in ("a", "b", "b"):
        world.write("c.csv", f"id,v\n1,{value}\n")
        world.run("s", force=True)
    history = "select id, v, dp_valid_from, dp_valid_to, dp_batch_id from silver.{} order by dp_valid_from"
    before = world.rows(history.format("s__old"))
    assert len(before) == 2
    renamed = files.replace("source: s", "source: t") + "  fresh: {file: c.csv, key: [id], rename: s.old}\n"
    world = make_world(t=renamed)
    result = world.run("t")
    assert "the history of s.old was carried over" in result.entities["fresh"].notes[0]
    assert result.entities["fresh"].counts.unchanged == 1
    assert world.rows(history.format("t__fresh")) == before
    assert world.run("t").entities["fresh"].notes == [], "once"
    upkeep.purge(world.platform, upkeep.plan(world.platform, "s.old"))
    assert not (world.folder / "home" / "raw" / "s").exists(), "nothing of it is left, originals included"
    assert not replay(world.platform, "t").failed
    assert world.rows(history.format("t__fresh")) == before


def test_a_history_that_raw_no_longer_holds_is_not_carried_over_by_half(
    make_world: MakeWorld, files: str
) -> None:
    world = make_world(s=files + "  old: {file: c.csv, key: [id]}\n")
    for value in ("a", "b"):
        world.write("c.csv", f"id,v\n1,{value}\n")
        first = world.run().batch_id
    world.platform.raw.delete(f"s/{batch_date(first)}/{first}")
    world = make_world(s=files + "  fresh: {file: c.csv, key: [id], rename: old}\n")
    assert "raw no longer holds 1 of its 2 batches" in world.run().failed["fresh"]
    assert world.rows("select count(*) from silver.s__old") == [(2,)]
    assert world.rows("select to_regclass('silver.s__fresh')") == [(None,)]
