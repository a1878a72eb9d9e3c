"""Embedded servers: shared, stopped when nobody uses them, alive again after every kind of death."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import open_to_all
from dataplatform.embedded import Servers, postgres, start_servers, stop_servers
from dataplatform.embedded.private import make_private
from dataplatform.embedded.process import keeper_alive, server_env
from dataplatform.embedded.servers import postgres_address
from dataplatform.errors import EmbeddedServerError
from dataplatform.secrets import LocalStore
from dataplatform.settings import Settings

USER = """
import sys, time
from pathlib import Path
from dataplatform.embedded import start_servers
from dataplatform.settings import Settings
import psycopg
s = start_servers(Settings(home=Path(sys.argv[1])), prefect=False)
with psycopg.connect(s.postgres_url, autocommit=True) as c:
    c.execute("create table if not exists t (n int)")
    c.execute("insert into t values (1)")
print("ready", flush=True)
time.sleep(float(sys.argv[2]))
s.close()
"""


@pytest.fixture
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("own")
    open_to_all(folder)
    yield folder
    wait_stopped(folder)


def user(home: Path, seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(home), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == "ready\n"
    return process


def wait_stopped(home: Path, limit: float = 30) -> None:
    end = time.monotonic() + limit
    while any(keeper_alive(home / name) for name in ("postgres", "mongo")):
        assert time.monotonic() < end, "servers still run"
        time.sleep(0.1)


def pid(home: Path, name: str) -> int:
    return int(json.loads((home / name / "state.json").read_text())["pid"])


def rows(servers: Servers) -> int:
    import psycopg

    with psycopg.connect(servers.postgres_url) as conn:
        found = conn.execute("select count(*) from t").fetchone()
        assert found is not None
        return int(found[0])


def test_two_processes_share_them_and_the_last_one_stops_them(own_home: Path) -> None:
    first, second = user(own_home, 1), user(own_home, 3)
    server = pid(own_home, "postgres")
    assert first.wait(30) == 0
    os.kill(server, 0)  # the second still uses it
    assert second.wait(30) == 0
    wait_stopped(own_home)
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)


def test_a_killed_user_leaves_no_server_behind_and_loses_nothing(own_home: Path) -> None:
    first = user(own_home, 60)
    server = pid(own_home, "mongo")
    first.kill()
    first.wait()
    wait_stopped(own_home)
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
    servers = start_servers(Settings(home=own_home), prefect=False)
    assert rows(servers) == 1
    servers.close()


def test_killed_servers_and_keepers_come_back(own_home: Path) -> None:
    first = user(own_home, 60)
    state = json.loads(
        (own_home / "postgres" / "state.json").read_text()
    )  # a keeper that sees its end takes it away
    for number in (pid(own_home, "postgres"), pid(own_home, "mongo"), state["keeper"]):
        os.kill(number, signal.SIGKILL)
    time.sleep(1)
    servers = start_servers(Settings(home=own_home), prefect=False)
    assert rows(servers) == 1
    servers.close()
    first.kill()
    first.wait()


def test_a_home_that_was_removed_and_made_anew_gets_new_servers_at_once(own_home: Path) -> None:
    lingering = Settings(home=own_home, linger=60)
    start_servers(lingering, prefect=False).close()
    old = {name: pid(own_home, name) for name in ("postgres", "mongo")}
    shutil.rmtree(own_home, ignore_errors=True)
    shutil.rmtree(own_home, ignore_errors=True)  # a server may write a last file while the first goes on
    own_home.mkdir(mode=0o755, exist_ok=True)
    begun = time.monotonic()
    servers = start_servers(Settings(home=own_home), prefect=False)
    assert time.monotonic() - begun < 30
    assert {name: pid(own_home, name) for name in old}.items().isdisjoint(old.items())
    servers.close()


def test_stop_ends_servers_that_linger_and_none_that_are_used(own_home: Path) -> None:
    first = start_servers(Settings(home=own_home, linger=60), prefect=False)
    assert first.started == ["Postgres", "MongoDB"]
    second = start_servers(Settings(home=own_home, linger=60), prefect=False)
    assert second.started == []
    second.close()
    assert stop_servers(own_home) == {"prefect": "not running", "mongo": "in use", "postgres": "in use"}
    first.close()
    assert stop_servers(own_home) == {"prefect": "not running", "mongo": "stopped", "postgres": "stopped"}
    assert stop_servers(own_home) == dict.fromkeys(("prefect", "mongo", "postgres"), "not running")


def try_to_read(folder: Path, user: int) -> list[str]:
    """What another user of the machine can list or open under a folder, its well-known names included."""
    names = ["", "raw", "mongo", "mongo/server.log", "postgres", "postgres/server.log", "postgres/state.json",
             "postgres/password", "postgres/data", "secrets.key", "secrets.enc"]  # fmt: skip
    code = 'for f do if [ -d "$f" ]; then ls "$f"; else cat "$f"; fi >/dev/null 2>&1 && echo "$f"; done; true'
    done = subprocess.run(
        ["/bin/sh", "-c", code, "sh", *(str(folder / name) for name in names)], user=user, group=user,
        extra_groups=[], capture_output=True, text=True, check=True, cwd="/",
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_roots_home_is_closed_to_everybody_while_its_postgres_runs(own_home: Path) -> None:
    home, stranger = own_home / "home", 54321
    make_private(home)
    LocalStore(home).set("a", "value-of-a")
    (home / "raw").mkdir(mode=0o755)
    servers = start_servers(Settings(home=home), prefect=False)
    try:
        assert try_to_read(own_home, stranger) == [str(own_home)], "else this test shows nothing"
        assert try_to_read(home, stranger) == []
        make_private(home)  # what the next command does
        with psycopg.connect(servers.postgres_url) as conn:
            assert conn.execute("select 1").fetchone() == (1,)
        assert try_to_read(home, stranger) == []
        assert stat.S_IMODE(home.stat().st_mode) == 0o710
    finally:
        servers.close()


def python_of_everybody() -> Path:
    """This Python, or the system's where it is the same and only root may run this one."""
    system = Path("/usr/bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    for python in (Path(sys.executable).resolve(), system):
        if all(p.exists() and p.stat().st_mode & 0o001 for p in (python, *python.parents)):
            return python
    pytest.skip(f"only root may run {sys.executable}, and there is no {system}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_nobodys_home_is_its_own_alone() -> None:
    nobody = pwd.getpwnam("nobody")
    python = python_of_everybody()
    with tempfile.TemporaryDirectory(prefix="dp-nobody-") as folder:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        os.chmod(folder, 0o755)
        home = Path(folder) / "home"
        done = subprocess.run(
            [python, "-c", "from dataplatform.cli.app import main; main()", "sql", "select 1 as one", "--json"],
            user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], capture_output=True, text=True, check=False,
            cwd=folder, env=server_env() | {"HOME": folder, "DATAPLATFORM_HOME": str(home), "DATAPLATFORM_LINGER": "0",
                                "PYTHONPATH": ":".join(sys.path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert try_to_read(home, 54321) == []
        wait_stopped(home)


def test_other_programs_reach_postgres_by_tcp_with_the_password_only(own_home: Path) -> None:
    settings = Settings(home=own_home)
    servers = start_servers(settings, prefect=False)
    address = postgres_address(settings)
    with psycopg.connect(address) as conn:
        row = conn.execute("select host(inet_server_addr()), current_user, current_database()").fetchone()
        assert row == ("127.0.0.1", "postgres", "dataplatform")
    password = (own_home / "postgres" / "password").read_text()
    assert f":{password}@127.0.0.1:" in address
    assert (own_home / "postgres" / "password").stat().st_mode & 0o077 == 0
    for wrong in (address.replace(password, "wrong"), address.replace(f":{password}", "")):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(wrong)
    assert password not in "".join(
        p.read_text(errors="replace") for p in (own_home / "postgres").glob("*.*") if p.is_file()
    )
    servers.close()
    wait_stopped(own_home)

    data = own_home / "postgres" / "data"
    (data / "pg_hba.conf").write_text("host all all 0.0.0.0/0 trust\n")  # what initdb wrote does not count
    servers = start_servers(settings, prefect=False)
    assert postgres_address(settings) == address, "port and password stay the same"
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(address.replace(password, "wrong"))
    with psycopg.connect(address) as conn:
        conn.execute("select 1")
    servers.close()


def test_a_port_that_somebody_else_took_is_replaced(own_home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        (own_home / "postgres").mkdir()
        (own_home / "postgres" / "port").write_text(str(other.getsockname()[1]))
        found = postgres.start(own_home, 0)
        with psycopg.connect(postgres.address(own_home)) as conn:
            assert conn.info.port != other.getsockname()[1]
        found.release()
        found.wait_stopped()


def test_long_paths_get_short_sockets(own_home: Path) -> None:
    deep = own_home / ("x" * 60) / ("y" * 60)
    found = postgres.start(deep, 0)
    assert len(found.about["socket"]) < 100
    found.release()
    found.wait_stopped()


def test_a_damaged_data_folder(own_home: Path) -> None:
    data = own_home / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedServerError):
        postgres.start(own_home, 0)
