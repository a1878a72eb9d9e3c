"""Joins a server that runs, or starts one; see keeper.py for how it is kept and stopped."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from dataplatform.embedded import keeper
from dataplatform.errors import EmbeddedServerError

START_LIMIT = 120.0  # seconds


@dataclass(frozen=True)
class Spec:
    """How a server is run. `uid` 0: as the user we are."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    stop_signal: str = "SIGTERM"
    uid: int = 0
    gid: int = 0
    linger: float = 0.0
    about: dict[str, str] = field(default_factory=dict)


@dataclass
class Lease:
    """Our share in a running server. `about` holds what its starter knew: socket, port."""

    name: str
    folder: Path
    about: dict[str, str]
    lock: IO[str]
    started: bool = False  # by us; else it ran already

    def release(self) -> None:
        self.lock.close()

    def wait_stopped(self, limit: float = 30.0) -> None:
        """Waits until the server has stopped, unless somebody else uses it."""
        end = time.monotonic() + limit
        while time.monotonic() < end and keeper_alive(self.folder):
            if keeper.in_use(self.folder):
                return
            time.sleep(0.05)


def lease(
    name: str,
    folder: Path,
    make_spec: Callable[[], Spec],
    ready: Callable[[dict[str, str]], bool],
    explain: Callable[[str, int | None], EmbeddedServerError],
) -> Lease:
    """A share in the server of that folder, started where it does not run.

    `make_spec` prepares the data folder too; `ready` tells whether the server answers; `explain`
    turns the end of its log (and its exit code) into an error with a remedy.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedServerError(
            f"{folder} cannot be made: {error.strerror}",
            "set DATAPLATFORM_HOME to a folder this user may write to",
        ) from None
    with _locked(folder / "start.lock"):
        users = (folder / "users.lock").open("a")
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            about = joined(folder)
            started = about is None or not ready(about)
            if about is None or started:
                _wait_for_keeper(folder)
                about = _started(name, folder, make_spec(), ready, explain)
        except BaseException:
            users.close()
            raise
    return Lease(name, folder, about, users, started)


def _used(folder: Path) -> bool:
    """Whether somebody uses the server. Its keeper asks the same now and then, and for that instant looks like one."""
    for _ in range(5):
        if not keeper.in_use(folder):
            return False
        time.sleep(0.05)
    return True


def stop(folder: Path) -> str:
    """Stops the server of that folder unless somebody uses it: `stopped`, `in use` or `not running`."""
    if not keeper_alive(folder):
        return "not running"
    with _locked(folder / "start.lock"):  # nobody joins while we look
        if _used(folder):
            return "in use"
        with suppress(FileNotFoundError, ProcessLookupError, ValueError):  # it is just going by itself
            os.kill(int(json.loads((folder / "state.json").read_text())["keeper"]), signal.SIGTERM)
    _wait_for_keeper(folder)
    return "stopped"


def joined(folder: Path) -> dict[str, str] | None:
    """What the running server's starter knew; None where none runs."""
    if not keeper_alive(folder) or not (folder / "state.json").exists():
        return None
    return dict(json.loads((folder / "spec.json").read_text())["about"])


def _wait_for_keeper(folder: Path, limit: float = 90.0) -> None:
    """A keeper whose server has ended or is just stopping goes by itself."""
    end = time.monotonic() + limit
    while keeper_alive(folder) and time.monotonic() < end:
        time.sleep(0.05)


def _started(
    name: str,
    folder: Path,
    spec: Spec,
    ready: Callable[[dict[str, str]], bool],
    explain: Callable[[str, int | None], EmbeddedServerError],
) -> dict[str, str]:
    with open(os.open(folder / "spec.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)  # its environment may hold a password
        json.dump(asdict(spec), file)
    (folder / "server.log").unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-I", keeper.__file__, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    end = time.monotonic() + START_LIMIT
    while time.monotonic() < end:
        if process.poll() is not None:
            raise explain(_log_end(folder), process.returncode)
        if (folder / "state.json").exists() and ready(spec.about):
            # it may outlive us; if it ends first, somebody has to take note, or it stays as a zombie
            threading.Thread(target=process.wait, name=f"keeper of {name}", daemon=True).start()
            return spec.about
        time.sleep(0.05)
    process.terminate()
    raise EmbeddedServerError(
        f"the embedded {name} did not answer within {START_LIMIT:.0f} s:\n{_log_end(folder)}",
        f"see {folder / 'server.log'}",
    )


def keeper_alive(folder: Path) -> bool:
    try:
        with (folder / "keeper.lock").open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _log_end(folder: Path, size: int = 3000) -> str:
    try:
        data = (folder / "server.log").read_bytes()[-size:]
    except OSError:
        return ""
    return data.decode("utf-8", "replace")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def server_env(**more: str) -> dict[str, str]:
    """A small environment for a server: no settings or secrets of ours."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE")
    return {k: os.environ[k] for k in kept if k in os.environ} | more
