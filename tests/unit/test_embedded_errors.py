"""What keeps an embedded server from starting, said with its remedy; nothing is started."""

from __future__ import annotations

import fcntl
import socket
import threading
from pathlib import Path

import pytest
from dataplatform.embedded import mongo, postgres, process, start_servers
from dataplatform.embedded.sockets import kept_port
from dataplatform.errors import EmbeddedServerError
from dataplatform.settings import Settings


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedServerError) as caught:
        start_servers(Settings(home=tmp_path / "file"), prefect=False)
    assert "DATAPLATFORM_HOME" in caught.value.remedy


@pytest.mark.parametrize(
    ("log", "code", "remedy"),
    [
        (
            "mongod: error while loading shared libraries: libcurl.so.4: cannot open",
            127,
            "libcurl4",
        ),
        ("mongod: error while loading shared libraries: libcrypto.so.3", 127, "libssl3"),
        ("", -4, "AVX"),
        ("No space left on device", 1, "disk space"),
    ],
)
def test_what_is_wrong_with_mongod_is_said_with_the_remedy(log: str, code: int, remedy: str) -> None:
    assert remedy in mongo._explain(log, code).remedy


def test_no_wheel_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EmbeddedServerError, match="no embedded MongoDB for"):
        mongo.binary()
    with pytest.raises(EmbeddedServerError, match="no embedded Postgres"):
        postgres.programs()


def test_a_port_is_kept_and_is_none_that_outgoing_connections_get(tmp_path: Path) -> None:
    port = kept_port(tmp_path)
    assert 20_000 <= port < 32_768
    assert kept_port(tmp_path) == port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        assert kept_port(tmp_path) != port
    assert int((tmp_path / "port").read_text()) != port


def test_a_keeper_that_looks_whether_somebody_is_there_is_nobody(tmp_path: Path) -> None:
    with (tmp_path / "users.lock").open("a") as keepers:
        fcntl.flock(keepers, fcntl.LOCK_EX)
        threading.Timer(0.07, fcntl.flock, (keepers, fcntl.LOCK_UN)).start()
        assert not process._used(tmp_path)
    with (tmp_path / "users.lock").open("a") as user:
        fcntl.flock(user, fcntl.LOCK_SH)
        assert process._used(tmp_path)


def test_mongodb_may_fill_a_share_of_the_memory() -> None:
    gigabyte = 1 << 30
    assert [mongo.cache(size * gigabyte) for size in (1, 6, 12, 24, 256)] == [0.5, 0.5, 1.0, 2.0, 2.0]
