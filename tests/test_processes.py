"""Processes that share the work on a large batch: the same tables, nothing lost when one is killed, none left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform.errors import LoadError, TransientError
from dataplatform.names import new_batch_id
from dataplatform.processes import Processes
from hypothesis import HealthCheck, given, settings
from test_silver_property import YAML, Example, histories, reset, run_example, same_again


def doubled(add: int) -> Any:
    return lambda piece: refused(piece) if piece < 0 else (2 * piece + add, os.getpid())


def refused(piece: int) -> int:
    raise LoadError(f"{piece} is below zero", "send another")


def ended(_: int) -> Any:
    return lambda piece: os._exit(3)


def results(processes: Processes, make: Any, pieces: Iterable[int]) -> list[Any]:
    with processes.lent(1, make, 0) as team:
        assert team is not None
        done = [pair for piece in pieces for pair in team.put(piece, piece)]
        return [result for _, result in [*done, *team.rest()]]


def test_results_come_in_the_order_of_the_pieces_from_more_than_one_process(processes: Processes) -> None:
    done = results(processes, doubled, range(500))
    assert [result[0] for result in done] == [2 * n for n in range(500)]
    pids = {result[1] for result in done}
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_an_error_over_there_is_raised_here_and_the_processes_go_on(processes: Processes) -> None:
    with pytest.raises(LoadError, match="-1 is below zero") as caught:
        results(processes, doubled, [1, -1, 2])
    assert caught.value.remedy == "send another"
    assert [result[0] for result in results(processes, doubled, [4])] == [8]


def test_one_that_ends_by_itself_is_told_as_what_may_pass_and_replaced(processes: Processes) -> None:
    with pytest.raises(TransientError, match="exit code 3"):
        results(processes, ended, [1])
    assert [result[0] for result in results(processes, doubled, [1, 2])] == [2, 4]


def test_nobody_gets_what_is_lent_already_nor_for_a_small_batch(processes: Processes) -> None:
    processes.least = 10
    with processes.lent(10, doubled, 0) as team, processes.lent(10, doubled, 0) as other:
        assert team is not None
        assert other is None
    with processes.lent(9, doubled, 0) as team:
        assert team is None


PARENT = """
import sys, time
sys.path.insert(0, sys.argv[1])
from dataplatform.processes import Processes
from test_processes import doubled
if __name__ == "__main__":
    with Processes(2, least=0).lent(1, doubled, 0) as team:
        pairs = [*team.put(1, 1), *team.put(2, 2), *team.put(3, 3), *team.rest()]
        print(*{result[1] for _, result in pairs}, flush=True)
        time.sleep(60)
"""


def test_they_end_with_the_one_that_started_them_when_it_is_killed(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    argv = [sys.executable, str(tmp_path / "parent.py"), str(Path(__file__).parent)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert pids
        parent.kill()
    until = time.monotonic() + 20
    while any(map(alive, pids)):
        assert time.monotonic() < until, "a process outlives the one that started it"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether it runs; what nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


ODD = """
source: s
connector: {type: files, path: "{data}"}
entities:
  a: &entity
    file: x.jsonl
    max_quarantine: 1.0
    max_misfits: 0.02
    columns: {name: {scd: 1}}
    children: {items: {key: [n]}}
    checks: [{not_null: [name]}]
    key: [id]
  c:
    file: x.jsonl
    key: row
    max_quarantine: 1.0
  d:
    file: x.jsonl
    key: [id]
    max_quarantine: 1.0
    effective_at: at
"""


def odd_lines(number: int, salt: int = 0) -> str:
    """Records of which some are nobody's idea of a record."""
    lines = []
    for n in range(number):
        record: dict[str, Any] = {
            "id": n, "name": f"name {n}\t\\ü", "amount": n / 4, "at": f"2026-01-{n % 28 + 1:02}T00:00:00Z",
            "salt": salt if n % 3 == 0 else 0, "nested": {"x": n % 7, "y": None},
            "items": [{"n": i, "v": i * n} for i in range(n % 4)],
        }  # fmt: skip
        if n % 97 == 0:
            record["amount"] = "not a number"  # a misfit
        if n % 89 == 0:
            record["name"] = None  # a check keeps it out
        if n % 83 == 0:
            del record["id"]  # no key
        if n % 79 == 0:
            record["late"] = {"$ref": n}  # what BSON takes for something else; a path that comes late
        if n % 73 == 0:
            record["id"] = n - 1  # the key of another
        text = json.dumps(record)
        if n % 71 == 0:
            text = text.replace('"salt": 0', '"salt": 0.1000000000000000000000001')  # no double
        lines.append(text if n % 67 else text[:-5])  # cut off
        if n % 61 == 0:
            lines.append(text)  # twice
    return "\n".join(lines) + "\n"


def tables(world: World, entity: str) -> Any:
    shown = "dp_key, dp_hash1, dp_hash2, dp_valid_from, dp_valid_to, dp_current, dp_deleted"
    names = [row[0] for row in world.rows(
        f"select tablename from pg_tables where schemaname = 'silver' and tablename ~ '^s__{entity}(__|$)' order by 1"
    )]  # fmt: skip
    columns = world.rows(
        "select replace(table_name, 's__" + entity + "', ''), column_name, data_type, ordinal_position "
        f"from information_schema.columns where table_schema = 'silver' and table_name ~ '^s__{entity}(__|$)' order by 1, 4"
    )
    return columns, [world.rows(f"select {shown} from silver.{name} order by 1, 4") for name in names]


def bronze(world: World, entity: str) -> Any:
    db = world.platform.bronze.db
    heads = list(db.batch_manifest.find({"entity": entity}, {"paths": 1, "kinds": 1, "counts": 1, "new_versions": 1, "records": 1,
        "quarantined": 1, "unreadable": 1, "entries": 1, "unique": 1, "_id": 0}))  # fmt: skip
    chunks = list(db.batch_manifest_chunk.find({"_id": {"$regex": f"/{entity}/"}}, {"_id": 0}))
    aside = sorted((d["reason"], d["raw_line"], d["layer"]) for d in db.quarantine.find({"entity": entity}))
    return heads, chunks, aside


def moved(world: World, entity: str, batch: str) -> list[Any]:
    return [world.move(layer, entity, batch) for layer in ("raw", "bronze", "silver")]


def odd_loads(world: World, load: Callable[[str, str], list[Any]]) -> list[Any]:
    """Records with all kinds of trouble, and then a third of them anew: what each load said, and what there is then."""
    seen: list[Any] = []
    for salt in (0, 1):
        world.write("x.jsonl", odd_lines(3_000, salt))
        for entity in ("a", "c", "d"):
            batch = new_batch_id(datetime(2026, 1, 10 + salt, tzinfo=UTC))[:-4] + entity * 4
            seen += [*load(entity, batch), bronze(world, entity), tables(world, entity)]
    return seen


def test_shared_and_alone_give_the_same_bronze_quarantine_and_silver(
    make_world: MakeWorld, processes: Processes
) -> None:
    world = make_world(s=ODD)
    shared = replace(world, platform=replace(world.platform, processes=processes))
    found = []
    for way in (shared, world):
        found.append(odd_loads(way, lambda entity, batch, way=way: moved(way, entity, batch)))
        reset(world)
    for one, other in zip(*found, strict=True):
        assert one == other


@pytest.fixture
def shared_world(make_world: MakeWorld, processes: Processes) -> World:
    world = make_world(s=YAML)
    return replace(world, platform=replace(world.platform, processes=processes))


@pytest.mark.slow
@same_again(20)
@given(histories())
def test_any_order_gives_the_oracles_table_when_processes_share(
    shared_world: World, example: Example
) -> None:
    run_example(shared_world, example)


@pytest.mark.long
@pytest.mark.timeout(7200)
@settings(
    max_examples=1_000, deadline=None, derandomize=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(histories())
def test_any_order_gives_the_oracles_table_when_processes_share_long(
    shared_world: World, example: Example
) -> None:
    run_example(shared_world, example)


@pytest.mark.parametrize("layer", ["bronze", "silver"])
def test_one_killed_in_the_middle_costs_a_try_and_no_row(
    make_world: MakeWorld, processes: Processes, files: str, layer: str
) -> None:
    world = make_world(s=files + "  a: {file: x.jsonl, key: [id]}\n")
    world.write("x.jsonl", "".join(json.dumps({"id": n, "v": "x" * 200}) + "\n" for n in range(60_000)))
    shared = replace(world, platform=replace(world.platform, processes=processes))
    batch, layers = new_batch_id(), ["raw", "bronze", "silver"]
    for before in layers[: layers.index(layer)]:
        shared.move(before, "a", batch)
    shared.platform.shelf.close()  # silver's text is made again: from bronze, with the other processes
    processes.close()  # so that what is killed has done nothing yet
    far: dict[str, Callable[[], bool]] = {
        "bronze": lambda: world.platform.bronze.db["s__a"].estimated_document_count() > 1_000,
        "silver": lambda: bool(world.rows("select from pg_stat_activity where query like 'copy \"silver%'")),
    }
    killer = threading.Thread(target=kill_one_when, args=(far[layer],))
    killer.start()
    with pytest.raises(TransientError, match="ended by itself"):
        shared.move(layer, "a", batch)
    killer.join()
    for again in ("bronze", "silver"):
        shared.move(again, "a", batch)
    assert world.rows("select count(*), count(distinct id) from silver_current.s__a") == [(60_000, 60_000)]
    head = world.platform.bronze.db.batch_manifest.find_one({"entity": "a"})
    assert head is not None
    assert head["records"] == 60_000
    assert ["id", "int", 60_000] in head["counts"]  # each version once, whichever try brought it


def kill_one_when(far: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        found = children()
        if found and far():
            os.kill(found[0], signal.SIGKILL)
            return
        time.sleep(0.002)


def children() -> list[int]:
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has just ended
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return [pid for pid in found if b"dataplatform.processes" in Path(f"/proc/{pid}/cmdline").read_bytes()]
