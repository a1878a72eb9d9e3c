"""Raw files on a server that speaks S3, over HTTP: the whole way, a replay, an archive; what breaks off is not there."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from conftest import MakeWorld, World
from dataplatform.bootstrap import open_platform
from dataplatform.errors import ServerError, SettingsError, StorageError
from dataplatform.runs.replay import replay
from dataplatform.storage import FileStore
from dataplatform.upkeep import retention
from test_replica_set import free_port

pytest.importorskip("s3fs", reason="pip install 'dataplatform[s3]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SERVER = "moto[s3,server]==5.2.5"  # a server in Python that s3fs is tested with, too


@pytest.fixture(scope="session")
def program() -> Path:
    """The server, installed beside our own environment once."""
    folder = Path(sys.prefix) / "s3-server"
    if not (folder / "bin" / "moto_server").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        argv = [folder / "bin" / "pip", "install", "-q", SERVER]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"an S3 server cannot be installed here: {done.stderr[-300:]}")
    return folder / "bin" / "moto_server"


@pytest.fixture
def bucket(program: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of an empty bucket; who is asked for, and where, is in the environment."""
    import s3fs

    port = free_port()
    argv = [str(program), "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()
        wait_for(f"http://127.0.0.1:{port}/moto-api/")
        s3fs.S3FileSystem().mkdir("ours")
        yield "s3://ours"
        server.kill()
    s3fs.S3FileSystem.clear_instance_cache()


def wait_for(url: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            with urlopen(url):
                return
        except OSError:
            assert time.monotonic() < until, "the S3 server does not answer"
            time.sleep(0.1)


@pytest.fixture
def world(make_world: MakeWorld, files: str, bucket: str) -> Iterator[World]:
    """Whose raw files are in the bucket."""
    text = files + "  a: {file: a.csv, key: [id], retention: {raw: 1s, archive: BUCKET/archive}}\n".replace(
        "BUCKET", bucket
    )
    made = make_world(s=text)
    settings = made.platform.settings.model_copy(update={"raw_url": f"{bucket}/raw"})
    with open_platform(settings, made.platform.catalog) as platform:
        yield World(platform, made.folder)


def test_the_whole_way_and_a_replay(world: World) -> None:
    for day in range(3):
        world.write("a.csv", f"id,v\n1,{day}\n2,x\n")
        assert world.run().status == "done"
    rows = "select id, v, dp_valid_from, dp_valid_to from silver.s__a order by 1, 3"
    before = world.rows(rows)
    assert [row[:2] for row in before] == [(1, "0"), (1, "1"), (1, "2"), (2, "x")]
    assert not (world.folder / "home" / "raw").exists()
    replay(world.platform, "s")
    assert world.rows(rows) == before


def test_old_files_go_into_an_archive_there_and_a_replay_makes_the_same_rows(
    world: World, bucket: str
) -> None:
    for day in range(3):
        world.write("a.csv", f"id,v\n1,{day}\n2,x\n")
        assert world.run().status == "done"
    rows = "select id, v, dp_valid_from, dp_valid_to from silver.s__a order by 1, 3"
    before = world.rows(rows)
    files = sum(path.endswith(".jsonl.zst") for path, _ in world.platform.raw.walk())
    time.sleep(1.1)
    done = retention.apply(world.platform, retention.plan(world.platform))
    assert done[0].error is None
    archived = [path for path, _ in FileStore(f"{bucket}/archive").walk() if path.endswith(".jsonl.zst")]
    assert len(archived) == files - 1  # all but the newest, which later ones lean on
    replay(world.platform, "s")
    assert world.rows(rows) == before


def break_off(store: FileStore, path: str, size: int) -> None:
    with store.writer(path) as file:
        file.write(b"x" * size)
        raise ZeroDivisionError


def test_what_breaks_off_is_not_there_and_what_was_there_stays(bucket: str) -> None:
    store = FileStore(f"{bucket}/raw")
    store.write_bytes("a", b"whole")
    for size in (10, 12_000_000):  # put at once, and in parts
        for path in ("a", "b"):
            with pytest.raises(ZeroDivisionError):
                break_off(store, path, size)
    assert store.read_bytes("a") == b"whole"
    assert list(store.walk()) == [("a", 5)]
    assert not store.exists("b")


def test_errors_are_for_people(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    with pytest.raises(StorageError, match=r"s3://ours/raw/a does not exist"):
        FileStore(f"{bucket}/raw").read_bytes("a")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    s3fs.S3FileSystem.clear_instance_cache()
    for ask in (lambda s: s.exists("a"), lambda s: s.names(), lambda s: s.write_bytes("a", b"1")):
        with pytest.raises(ServerError, match=r"s3://ours/raw/?a? cannot be reached"):
            ask(FileStore(f"{bucket}/raw"))
    with pytest.raises(SettingsError, match=r"DATAPLATFORM_RAW_URL is s4://ours/raw, which cannot be used"):
        FileStore("s4://ours/raw").exists("a")
