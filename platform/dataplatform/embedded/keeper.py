"""Keeps one server running for as long as somebody uses it. Run as a program, standard library only.

Processes that use the server hold a shared lock on `users.lock`; the kernel takes it away when they end,
however they end. When nobody holds it, the keeper stops the server cleanly. If the keeper itself is
killed, the kernel tells the server to stop (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

POLL = 0.1  # seconds
PATIENCE = 60.0  # seconds a server may take to stop before it is killed
PR_SET_PDEATHSIG = 1


def main(folder: Path) -> int:
    spec = json.loads((folder / "spec.json").read_text())
    keeper_lock = (folder / "keeper.lock").open("a")
    try:
        fcntl.flock(keeper_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return 3  # another keeper was faster
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with (folder / "server.log").open("ab") as log:
        server = start(spec, log)
        (folder / "state.json").write_text(json.dumps({"pid": server.pid, "keeper": os.getpid()}))
        try:
            return watch(folder, spec, server, asked, keeper_lock.fileno())
        finally:
            if is_ours(folder, keeper_lock.fileno()):
                forget(folder)


def start(spec: dict[str, Any], log: Any) -> subprocess.Popen[bytes]:
    libc = ctypes.CDLL(None, use_errno=True)
    end = signal.Signals[spec["stop_signal"]]

    def before_exec() -> None:
        # mongod keeps two files open for each collection; the usual soft limit is 1,024
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        libc.prctl(PR_SET_PDEATHSIG, int(end))

    who: Any = {"user": spec["uid"], "group": spec["gid"], "extra_groups": []} if spec["uid"] else {}
    return subprocess.Popen(
        spec["argv"],
        env=spec["env"],
        cwd=spec["cwd"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        preexec_fn=before_exec,
        **who,
    )


def watch(
    folder: Path, spec: dict[str, Any], server: subprocess.Popen[bytes], asked: list[int], lock: int
) -> int:
    """Returns when the server has ended."""
    idle_since = None
    while server.poll() is None:
        time.sleep(POLL)
        if not is_ours(folder, lock):
            server.kill()  # its data are gone; somebody may be starting another server under this path
            return server.wait()
        if asked:
            return stop(spec, server)
        if in_use(folder):
            idle_since = None
            continue
        idle_since = idle_since or time.monotonic()
        if time.monotonic() - idle_since < spec["linger"]:
            continue
        with locked(folder / "start.lock"):
            if not in_use(folder):
                # forgotten before the lock is free: who waits for it must not join a dead server
                code = stop(spec, server)
                forget(folder)
                return code
    return server.returncode or 0


def is_ours(folder: Path, lock: int) -> bool:
    """Whether the folder is still the one we hold the lock of: HOME may be removed and made anew."""
    try:
        there = (folder / "keeper.lock").stat()
    except OSError:
        return False
    held = os.fstat(lock)
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)


def forget(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        (folder / "state.json").unlink()


def in_use(folder: Path) -> bool:
    try:
        with (folder / "users.lock").open("r+") as file:  # never made here: the folder may be going
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False  # HOME was removed
    except OSError:
        return True


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    try:
        file = path.open("r+")
    except FileNotFoundError:
        yield
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def stop(spec: dict[str, Any], server: subprocess.Popen[bytes]) -> int:
    server.send_signal(signal.Signals[spec["stop_signal"]])
    try:
        return server.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()
        return server.wait()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
