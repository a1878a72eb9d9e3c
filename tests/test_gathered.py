"""A first load writes its versions in the order of their ids: all of them, once, whatever comes twice or breaks off."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform.bootstrap import open_platform
from dataplatform.embedded import stop_servers
from dataplatform.errors import LoadError, ServerError
from dataplatform.layers.bronze import gathered
from dataplatform.layers.bronze.gathered import Gathered, Run
from dataplatform.layers.bronze.profile import counts_of
from dataplatform.layers.bronze.store import records_of
from dataplatform.processes import Processes
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect
from pymongo.write_concern import WriteConcern
from test_processes import ODD, bronze, odd_lines

BATCH = "20260110T000000000000Z-"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(s=ODD)


@pytest.fixture
def collection(world: World) -> Iterator[Collection[Any]]:
    found = world.platform.bronze.db["gathered"]
    yield found
    found.drop()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of some dozen records, commands of fewer."""
    monkeypatch.setattr(gathered, "RUN", 4_000)
    monkeypatch.setattr(gathered, "COMMAND", 7)


def document(number: int) -> dict[str, Any]:
    return {"_id": blake2b(b"%d" % number, digest_size=16).digest(), "n": number, "text": "ü" * (number % 90)}


@pytest.mark.parametrize("beside", [True, False])
def test_all_is_there_once_and_what_came_before_is_given_back(
    collection: Collection[Any], small: None, beside: bool
) -> None:
    numbers = [*range(400), *range(0, 400, 3)]
    random.Random(1).shuffle(numbers)
    pieces = [numbers[at : at + 30] for at in range(0, len(numbers), 30)]
    with closing(Gathered(collection, beside)) as gathering:
        back = [one for piece in pieces for one in gathering.add([*map(document, piece)])]
        back += gathering.rest()
    assert sorted(collection.find({}), key=lambda d: d["n"]) == [document(n) for n in range(400)]
    repeated = sum(len(set(piece)) for piece in pieces) - 400
    assert len(back) == repeated > 60
    assert {d["n"] for d in map(gathered.bson.decode, back)} <= set(range(0, 400, 3))


def test_a_run_is_in_the_order_that_mongodb_has_its_ids_in(collection: Collection[Any]) -> None:
    with closing(Gathered(collection, beside=False)) as gathering:
        gathering.add([*map(document, range(1_000))])
        gathering.rest()
    by_place = [d["_id"] for d in collection.find({}).sort("$natural", 1)]
    assert by_place == [d["_id"] for d in collection.find({}).sort("_id", 1)]


def test_a_command_takes_no_more_than_is_good_for_it_and_one_that_is_larger_alone() -> None:
    run = Run()
    large = [
        {"_id": bytes([n]) * 16, "text": "x" * size}
        for n, size in enumerate((600_000, 500_000, 3_000_000, 1))
    ]
    run.add(large)
    assert [len(block) for block in run.commands()] == [1, 1, 1, 1]
    some = Run()
    some.add([*map(document, range(2_500))])
    assert [len(block) for block in some.commands()] == [1_000, 1_000, 500]


def test_a_document_that_mongodb_refuses_ends_the_load_in_words(
    collection: Collection[Any], small: None
) -> None:
    collection.database.create_collection(collection.name, validator={"n": {"$lt": 300}})
    with closing(Gathered(collection, beside=True)) as gathering, pytest.raises(LoadError, match="refused"):
        everything(gathering, 400)


def everything(gathering: Gathered, number: int) -> None:
    for n in range(number):
        gathering.add([document(n)])
    gathering.rest()


def load(world: World, entity: str) -> dict[str, Any]:
    """Loads it into bronze; the batch's head, which has to say what is there."""
    batch = BATCH + entity * 4
    for layer in ("raw", "bronze"):
        world.move(layer, entity, batch)
    return said(world, entity)


def said(world: World, entity: str) -> dict[str, Any]:
    db = world.platform.bronze.db
    (head,) = db.batch_manifest.find({"entity": entity})
    there = records_of(b"".join(db[f"s__{entity}"].find_raw_batches({})))
    counts: dict[str, dict[str, int]] = {}
    for path, kind, number in head["counts"]:
        counts.setdefault(path, {})[kind] = number
    assert head["new_versions"] == len(there)
    whole = counts_of([record for _, record in there], frozenset(), textual=False)
    assert counts == {path: kinds for path, kinds in whole.items() if kinds}
    return dict(head)


def repeating() -> str:
    """Trouble of all kinds, every third line three times, far apart; one value stands in repeated records alone."""
    lines = odd_lines(900).splitlines()
    often = [*lines[::3], json.dumps({"id": 10_000, "name": "n", "only": True})]
    return "\n".join([*often, *lines, *often, *reversed(often)]) + "\n"


@pytest.mark.parametrize("entity", ["a", "c", "d"])
@pytest.mark.parametrize("shared", [True, False])
def test_what_comes_twice_counts_once(
    world: World, processes: Processes, small: None, entity: str, shared: bool
) -> None:
    world.write("x.jsonl", repeating())
    if shared:
        world = replace(world, platform=replace(world.platform, processes=processes))
    head = load(world, entity)
    assert head["records"] > 1.5 * head["new_versions"]
    assert [number for path, _, number in head["counts"] if path == "only"] == [1]


def breaks_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load of `a` whose connection is lost when some of its runs are in."""
    world.write("x.jsonl", repeating())
    whole, left = gathered.inserted, 40

    def breaking(*args: Any) -> list[int]:
        nonlocal left
        left -= 1
        if left < 0:
            raise AutoReconnect("connection closed")
        return whole(*args)

    with monkeypatch.context() as patch:
        patch.setattr(gathered, "inserted", breaking)
        with pytest.raises(ServerError, match="connection closed"):
            load(world, "a")


def test_a_load_that_broke_off_between_two_runs_is_told_in_words_and_done_again(
    world: World, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks_off(world, monkeypatch)
    half = world.platform.bronze.db["s__a"].count_documents({})
    assert half
    head = load(world, "a")
    assert head["new_versions"] > half
    again = bronze(world, "a")
    load(world, "a")
    assert bronze(world, "a") == again


def test_what_was_in_before_mongodb_was_killed_counts_too(
    world: World, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, it says for a while that its collections have no documents."""
    settings = world.platform.settings.model_copy(update={"mongo_url": None})
    with open_platform(settings, world.platform.catalog) as platform:
        breaks_off(replace(world, platform=platform), monkeypatch)
        half = platform.bronze.db["s__a"].count_documents({})
        server = json.loads((settings.home_path / "mongo" / "state.json").read_text())["pid"]
        journalled = WriteConcern(j=True)  # and with it what was written before
        platform.bronze.db["last"].with_options(write_concern=journalled).insert_one({})
        os.kill(server, signal.SIGKILL)
    with open_platform(settings, world.platform.catalog) as platform:
        assert platform.bronze.db["s__a"].count_documents({}) == half > 0
        assert load(replace(world, platform=platform), "a")["new_versions"] > half
    stop_servers(settings.home_path)
