"""What doctor finds on broken installations, and what it mends."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from conftest import MakeWorld, World, execute
from dataplatform.connectors import page_of
from dataplatform.layers import raw
from dataplatform.names import new_batch_id
from dataplatform.records.refs import BatchRef, EntityRef
from dataplatform.secrets.local import LocalStore
from dataplatform.upkeep.doctor.machine import machine
from test_purge import program

ENTITY = "  e: {file: e.jsonl, key: [id], children: {tags: {key: [t]}}}\n"


@pytest.fixture
def world(make_world: MakeWorld, files: str) -> World:
    world = make_world(s=files + ENTITY)
    for day in range(3):
        records = [{"id": n, "day": day if n == 1 else 0, "tags": [{"t": "a", "v": n}]} for n in (1, 2, 3)]
        world.write("e.jsonl", "".join(json.dumps(record) + "\n" for record in records))
        assert world.run().status == "done"
    return world


def pages(world: World) -> Path:
    return sorted((world.folder / "home" / "raw" / "s").rglob("e-0001.jsonl.zst"))[0]


def damaged(world: World) -> None:
    path = pages(world)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def exchanged(world: World) -> None:
    path = pages(world)
    text = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read()
    path.write_bytes(zstandard.ZstdCompressor().compress(text.replace(b'"day"', b'"dax"')))


def lost(world: World) -> None:
    for path in pages(world).parent.iterdir():
        path.unlink()
    pages_gone = sorted((world.folder / "home" / "raw" / "s").glob("*/*"))[0]
    pages_gone.rmdir()


def no_versions(world: World) -> None:
    world.platform.bronze.versions(EntityRef("s", "e")).delete_many({"doc.id": 2})


def no_manifest(world: World) -> None:
    world.platform.bronze.db["batch_manifest"].delete_one({"entity": "e"})


def changed_by_hand(world: World) -> None:
    execute(world, "update silver.s__e set day = 77 where id = 2")


def list_changed_by_hand(world: World) -> None:
    execute(world, "delete from silver.s__e__tags where v = 3")


def hanging(world: World) -> None:
    execute(
        world,
        "insert into audit.run (run_id, source, batch_id, status, started_at) values ('r1', 's', 'b', 'running', now())",
    )


def future(world: World) -> None:
    batch = BatchRef(EntityRef("s", "e"), new_batch_id(datetime.now(UTC) + timedelta(days=2)))
    raw.land(world.platform.raw, batch, [page_of([{"id": 9}])], raw.Landing("delta"))


def waiting(world: World) -> None:
    world.move("raw", "e", new_batch_id(datetime.now(UTC)))


def broken_metadata(world: World) -> None:
    (world.platform.catalog.root / "sources" / "t.yaml").write_text("source: t\nconnector: {type: fiels}\n")


def open_home(world: World) -> None:
    (world.folder / "home").chmod(0o755)
    (world.folder / "home" / "secrets.key").write_text("k")
    (world.folder / "home" / "secrets.key").chmod(0o644)


def late(world: World) -> None:
    path = world.platform.catalog.root / "sources" / "s.yaml"
    path.write_text(
        path.read_text().replace("entities:", "triggers: [{type: interval, every: 1h}]\nentities:")
    )
    execute(world, "update audit.run set started_at = started_at - interval '3 hours'")


def no_secret(world: World) -> None:
    rest(world)


def ended_token(world: World) -> None:
    rest(world)
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(time.time()) - 9}).encode()).decode().rstrip("=")
    LocalStore(world.folder / "home").set("api/token", f"eyJhbGciOiJub25lIn0.{claims}.c2lnbmF0dXJl")


def rest(world: World) -> None:
    (world.platform.catalog.root / "sources" / "r.yaml").write_text(
        "source: r\nconnector: {type: rest, base_url: 'http://127.0.0.1:9', auth: {type: bearer, token: "
        "{secret: api/token}}}\nentities:\n  x: {request: {path: /x}, key: [id]}\n"
    )


BROKEN: list[tuple[Callable[[World], None], str, str]] = [
    (damaged, "problem", "is damaged"),
    (exchanged, "problem", "its checksum is another one"),
    (lost, "problem", "raw no longer holds 1 of 3 batches"),
    (no_versions, "problem", "bronze lacks"),
    (no_manifest, "problem", "bronze does not hold the batch"),
    (changed_by_hand, "problem", "1 records of silver are not what their batches say"),
    (list_changed_by_hand, "problem", "1 records of silver are not what their batches say"),
    (hanging, "problem", "say that they run and have no process: r1"),
    (future, "problem", "is of the future"),
    (waiting, "warning", "landed and not in silver: s.e"),
    (broken_metadata, "problem", "fiels"),
    (open_home, "problem", "others may read"),
    (late, "problem", "s was due at"),
    (no_secret, "problem", "api/token"),
    (ended_token, "problem", "the token api/token of r ended on"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("break_it", "level", "said"), BROKEN, ids=lambda one: getattr(one, "__name__", ""))
def test_what_is_broken_is_found_and_a_remedy_named(
    world: World, break_it: Callable[[World], None], level: str, said: str
) -> None:
    assert ill(program(world, "doctor", "--all")) == []
    break_it(world)
    told = program(world, "doctor", "--all", code=1 if level == "problem" else 0)
    found = [f for f in ill(told) if said in f["text"]]
    assert found, told
    assert (found[0]["level"], bool(found[0]["remedy"])) == (level, True), found
    assert "eyJhbGci" not in json.dumps(told), "a token is shown"


@pytest.mark.parametrize("break_it", [hanging, waiting, open_home])
def test_what_can_be_mended_safely_is(world: World, break_it: Callable[[World], None]) -> None:
    break_it(world)
    told = program(world, "doctor", "--fix")
    assert [f["fixed"] for f in told["findings"] if "fixed" in f], told
    assert ill(program(world, "doctor")) == []


def ill(told: dict[str, Any]) -> list[dict[str, Any]]:
    """The findings that are not well, but for those about this machine."""
    ours = ("memory", "processor", "disk of HOME", "container", "backup")
    return [f for f in told["findings"] if f["level"] != "ok" and not f["about"].startswith(ours)]


def test_servers_that_are_not_there_are_told_without_a_traceback(world: World) -> None:
    from dataplatform.settings import Settings
    from pydantic import SecretStr

    gone = Settings(home=world.folder, postgres_url=SecretStr("postgresql://u:pw12345@127.0.0.1:1/x"))
    from dataplatform.upkeep.doctor import servers

    (postgres, _) = servers(gone)
    assert (postgres.level, "pw12345" in postgres.text) == ("problem", False)


def test_a_processor_without_avx_and_too_little_memory(tmp_path: Path) -> None:
    from dataplatform.settings import Settings

    cpu, memory = tmp_path / "cpuinfo", tmp_path / "meminfo"
    cpu.write_text("model name : Celeron\nflags : fpu sse2 sse4_2\n")
    memory.write_text("MemTotal: 2000000 kB\nMemAvailable: 150000 kB\nSwapFree: 0 kB\n")
    found = {f.about: f for f in machine(Settings(home=tmp_path), cpu, memory)}
    assert {name: found[name].level for name in ("processor", "memory")} == dict.fromkeys(
        ("processor", "memory"), "problem"
    )
    cpu.write_text("flags : fpu avx avx2\n")
    memory.write_text("MemAvailable: 9000000 kB\n")
    assert {f.level for f in machine(Settings(home=tmp_path), cpu, memory)} == {"ok"}
