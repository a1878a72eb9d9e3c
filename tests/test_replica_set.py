"""A MongoDB of several machines, by URL: its first one is killed while a batch is stored, and nothing is lost."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo
import pytest
from conftest import MakeWorld, World
from dataplatform.embedded import mongo
from dataplatform.embedded.process import server_env
from pymongo.errors import PyMongoError
from test_dask import result, started, wait_for
from test_purge import environment

pytestmark = [pytest.mark.prefect, pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Replicas:
    """Three mongods on loopback that are one; `url` names all of them."""

    members: dict[str, subprocess.Popen[bytes]]  # by address

    @property
    def url(self) -> str:
        return f"mongodb://{','.join(self.members)}/t?replicaSet=r"

    def primary(self) -> str:
        """The address of the one that writes; waits for it."""
        found: list[str] = []

        def look() -> bool:
            client: pymongo.MongoClient[Any] = pymongo.MongoClient(self.url, serverSelectionTimeoutMS=2_000)
            with client:
                try:
                    host, port = client.admin.command("hello")["primary"].split(":")
                except (PyMongoError, KeyError):
                    return False
            found.append(f"{host}:{port}")
            return True

        wait_for(look)
        return found[-1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def mongod(folder: Path, port: int) -> subprocess.Popen[bytes]:
    folder.mkdir()
    env = server_env()
    if mongo.LIBRARIES.is_dir():
        env["LD_LIBRARY_PATH"] = str(mongo.LIBRARIES)
    argv = [str(mongo.binary()), "--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1"]
    more = [
        "--replSet",
        "r",
        "--wiredTigerCacheSizeGB",
        "0.25",
        "--nounixsocket",
        "--quiet",
        "--oplogSize",
        "200",
    ]
    return subprocess.Popen([*argv, *more], env=env, stdout=subprocess.DEVNULL)


def ping(address: str) -> None:
    client: pymongo.MongoClient[Any] = pymongo.MongoClient(f"mongodb://{address}/?directConnection=true")
    with client:
        client.admin.command("ping")  # waits for it


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[Replicas]:
    with ExitStack() as stack:
        found: dict[str, subprocess.Popen[bytes]] = {}
        for number in range(3):
            port = free_port()
            process = mongod(tmp_path / f"mongo{number}", port)
            stack.callback(process.wait)
            stack.callback(process.kill)
            found[f"127.0.0.1:{port}"] = process
            ping(f"127.0.0.1:{port}")
        replicas = Replicas(found)
        first = next(iter(found))
        client: pymongo.MongoClient[Any] = pymongo.MongoClient(f"mongodb://{first}/?directConnection=true")
        members = [{"_id": n, "host": host} for n, host in enumerate(found)]
        with client:
            client.admin.command("replSetInitiate", {"_id": "r", "members": members,
                                                     "settings": {"electionTimeoutMillis": 2_000}})  # fmt: skip
        replicas.primary()
        yield replicas


def deliver(world: World, number: int, day: int) -> None:
    lines = (
        json.dumps({"id": n, "day": day if n % 10 == 0 else 0, "text": "x" * 100}) for n in range(number)
    )
    world.write("a.jsonl", "\n".join(lines) + "\n")


def test_the_first_of_a_replica_set_is_killed_and_nothing_is_lost(
    make_world: MakeWorld, files: str, prefect_env: dict[str, str], replicas: Replicas
) -> None:
    world = make_world(s=files + "  a: {file: a.jsonl, key: [id]}\n")
    env = (
        environment(world)
        | prefect_env
        | {"DATAPLATFORM_MONGO_URL": replicas.url, "DATAPLATFORM_RETRY_DELAY": "2"}
    )
    deliver(world, 1_000, 0)
    assert result(started(env, world))["status"] == "done"
    deliver(world, 100_000, 1)
    run = started(env, world)
    first = replicas.primary()
    client: pymongo.MongoClient[Any] = pymongo.MongoClient(replicas.url)
    with client:
        wait_for(lambda: client["t"]["s__a"].estimated_document_count() > 10_000)
    replicas.members[first].send_signal(signal.SIGKILL)
    said = result(run)
    assert said["status"] == "done", said
    assert replicas.primary() != first
    counted = "select count(*), count(*) filter (where day = 1), count(distinct id) from silver_current.s__a"
    assert world.rows(counted) == [(100_000, 10_000, 100_000)]
    client = pymongo.MongoClient(replicas.url)
    with client:
        versions = client["t"]["s__a"].count_documents({})
    assert versions == 100_100  # those of the first day that changed, too
    again = result(started(env, world))
    assert again["entities"]["a"] | {"read": 0} == dict.fromkeys(again["entities"]["a"], 0) | {
        "unchanged": 100_000
    }
