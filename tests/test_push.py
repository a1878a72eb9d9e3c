"""What is pushed: on the disk when it was received, in silver exactly once, whatever is killed in between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import MakeWorld, World
from dataplatform import pipeline
from dataplatform.audit import inbox
from dataplatform.connectors.push import PushSource
from dataplatform.connectors.receiving import due, receive
from dataplatform.errors import MetadataError, SourceError
from dataplatform.layers import raw
from dataplatform.names import new_batch_id
from dataplatform.pipeline import Move
from dataplatform.records.refs import BatchRef, EntityRef, RunRef
from dataplatform.runs.pushed import load_due
from dataplatform.runs.recover import process_waiting
from pydantic import ValidationError

YAML = "source: s\nconnector: {type: push, count: 3, every: 1h}\nentities:\n  places: {key: [id], deleted: gone}\n  other: {key: row}\n"


def sent(world: World, *records: Any, key: str | None = None, entity: str = "places") -> Any:
    return receive(world.platform.engine, world.platform.catalog.source("s"), entity, records, key)


def waiting(world: World) -> int:
    return int(world.rows("select count(*) from audit.inbox")[0][0])


def test_from_the_inbox_into_silver(make_world: MakeWorld) -> None:
    world = make_world(s=YAML)
    assert sent(world, {"id": 1, "n": 2**70}, b'{"id": 2,\n "at": 1.50}', '{"id": 3}').records == 3
    result = world.run()
    assert not result.failed, result.failed
    assert result.entities["places"].counts.inserted == 3
    assert waiting(world) == 0
    assert world.rows("select n::text from silver.s__places where id = 1") == [(str(2**70),)]
    sent(world, {"id": 2, "gone": True}, {"id": 4})
    counts = world.run().entities["places"].counts
    assert (counts.inserted, counts.closed) == (1, 1)
    assert world.rows("select array_agg(id order by id) from silver_current.s__places") == [([1, 3, 4],)]
    assert world.run().entities["places"].counts.read == 0


def test_what_is_sent_again_counts_once(make_world: MakeWorld) -> None:
    world = make_world(s=YAML)
    assert not sent(world, {"id": 1}, {"id": 2}, key="k").repeated
    again = sent(world, {"id": 1}, {"id": 2}, key="k")
    assert (again.repeated, again.records, waiting(world)) == (True, 2, 2)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: sent(world, {"id": n % 4}, key=f"same-{n % 4}").repeated, range(32)))
    assert found.count(False) == 4
    assert waiting(world) == 6
    world.run()
    assert sent(world, {"id": 1}, {"id": 2}, key="k").repeated, "also after it was loaded"


def test_all_of_it_or_nothing(make_world: MakeWorld) -> None:
    world = make_world(
        s=YAML, o="source: o\nconnector: {type: files, path: x}\nentities: {e: {file: x, key: [id]}}\n"
    )
    for wrong, said in (
        (b"{", "record 2 is not JSON"),
        (b"[1]", "record 2 is no object but list"),
        (b"3", "no object but int"),
    ):
        with pytest.raises(SourceError, match=said):
            sent(world, {"id": 1}, wrong, key="k")
    assert waiting(world) == 0
    assert not sent(world, {"id": 1}, key="k").repeated, "what was refused may come again"
    with pytest.raises(MetadataError, match="has no entity 'nope'"):
        sent(world, {"id": 1}, entity="nope")
    with pytest.raises(MetadataError, match="receives nothing: its connector is `files`"):
        receive(world.platform.engine, world.platform.catalog.source("o"), "e", [{}])
    with pytest.raises(ValidationError, match="never all there is"):
        PushSource.model_validate(
            {"source": "s", "connector": {"type": "push"}, "entities": {"e": {"key": ["id"], "load": "full"}}}
        )


def test_when_a_batch_is_due(make_world: MakeWorld) -> None:
    world = make_world(s=YAML)
    engine, source = world.platform.engine, world.platform.catalog.source("s")
    assert due(engine, source) == []
    sent(world, {"id": 1}, {"id": 2})
    assert due(engine, source) == []
    assert due(engine, source, datetime.now(UTC) + timedelta(hours=2)) == ["places"]
    sent(world, {"id": 3})
    assert due(engine, source) == ["places"]


def test_what_is_due_is_loaded_by_the_sweep(make_world: MakeWorld) -> None:
    world = make_world(s=YAML)
    sent(world, {"id": 1}, {"id": 2})
    sent(world, {"v": 1}, entity="other")
    assert load_due(world.platform, "s") == 0
    sent(world, {"id": 3})
    assert load_due(world.platform, "s") == 1
    assert world.rows("select count(*) from silver.s__places") == [(3,)]
    assert waiting(world) == 1


class Killed(BaseException):
    """As by kill -9: nothing after it is done."""


@pytest.mark.parametrize("step", ["claim", "taken", "manifest", "settle"])
@pytest.mark.parametrize("way", ["retry", "new run", "sweep"])
def test_a_kill_at_every_step(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, step: str, way: str
) -> None:
    """What a process does not come to do is not done; afterwards every record is in silver, and in raw, once."""
    world = make_world(s=YAML)
    sent(world, *({"v": n} for n in range(5)), entity="other")
    ref = EntityRef("s", "other")
    batch = BatchRef(ref, new_batch_id())
    places = {
        "claim": (inbox, "claim"),
        "taken": (inbox, "taken"),
        "manifest": (pipeline, "_landed"),
        "settle": (inbox, "settle"),
    }
    module, name = places[step]
    whole = getattr(module, name)

    def dies(*arguments: Any) -> Any:
        if step == "claim":
            whole(*arguments)
        raise Killed

    move = Move("raw", batch, RunRef("r"))
    with monkeypatch.context() as patched:
        patched.setattr(module, name, dies)
        with pytest.raises(Killed):
            pipeline.land(world.platform, move)
    sent(world, {"v": 5}, entity="other")
    if way == "retry":
        for layer in ("raw", "bronze", "silver"):
            world.move(layer, "other", batch.batch_id)
    elif way == "sweep":
        process_waiting(world.platform, "s", RunRef("sweep"))
    assert not world.run("s", "other").failed
    assert not world.run("s", "other").failed, "what was noted late is loaded by the next"
    assert world.rows("select array_agg(v order by v) from silver_current.s__other") == [
        ([0, 1, 2, 3, 4, 5],)
    ]
    assert waiting(world) == 0
    landed = 0
    for one in raw.batches(world.platform.raw, "s"):
        manifest = raw.manifest(world.platform.raw, BatchRef(ref, one))
        landed += manifest.records if manifest else 0
    assert landed == 6, "in raw once"


def test_records_that_come_while_a_batch_is_landed(make_world: MakeWorld) -> None:
    world = make_world(s=YAML)
    stop = threading.Event()
    count = [0]

    def send() -> None:
        while not stop.is_set():
            sent(world, {"v": count[0]}, entity="other")
            count[0] += 1

    senders = threading.Thread(target=send)
    senders.start()
    for _ in range(3):
        assert not world.run("s", "other").failed
    stop.set()
    senders.join()
    world.run("s", "other")
    assert world.rows("select count(*) from silver_current.s__other") == [(count[0],)]
    assert count[0] > 0


@pytest.mark.prefect
def test_the_command(make_world: MakeWorld, prefect_env: dict[str, str]) -> None:
    world = make_world(s=YAML)
    settings = world.platform.settings
    assert settings.postgres_url is not None
    assert settings.mongo_url is not None
    environment = {
        **os.environ, **prefect_env, "DATAPLATFORM_HOME": str(settings.home), "DATAPLATFORM_METADATA": str(settings.metadata_path),
        "DATAPLATFORM_POSTGRES_URL": settings.postgres_url.get_secret_value(), "DATAPLATFORM_MONGO_URL": settings.mongo_url.get_secret_value(),
    }  # fmt: skip

    def push(text: str, *more: str) -> tuple[int, dict[str, Any]]:
        command = [
            sys.executable,
            "-c",
            "from dataplatform.cli.app import main; main()",
            "push",
            "s",
            *more,
            "--json",
        ]
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, env=environment, check=False
        )
        return done.returncode, json.loads(done.stdout)

    code, said = push('{"id": 1}\n\n{"id": 2}\n', "places", "--key", "k")
    assert (code, said["received"], said["entities"]["places"]["inserted"]) == (0, 2, 2)
    code, said = push('{"id": 1}\n{"id": 2}\n', "places", "--key", "k", "--no-run")
    assert (said["records"], said["repeated"]) == (2, 2)
    assert "which one?" in push("{}")[1]["error"]
    assert "record 2 is not JSON" in push('{"id": 3}\n{', "places")[1]["error"]
    assert waiting(world) == 0
