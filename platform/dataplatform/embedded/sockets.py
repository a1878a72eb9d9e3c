"""What a server keeps from one start to the next: its sockets (paths of 107 characters at most), port, password."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import tempfile
from pathlib import Path

from dataplatform.errors import EmbeddedServerError

OURS = range(20_000, 32_000)  # Linux gives 32,768 and up to outgoing connections
TRIES = 50
LONGEST = 80  # leaves room for the socket's own name


def socket_folder(folder: Path) -> Path:
    """`folder`/socket, or a private folder under the system's temporary one where that is too long."""
    near = folder / "socket"
    if len(str(near)) <= LONGEST:
        near.mkdir(mode=0o700, exist_ok=True)
        return near
    tag = hashlib.blake2b(str(folder).encode(), digest_size=6).hexdigest()
    far = Path(tempfile.gettempdir()) / f"dataplatform-{os.geteuid()}-{tag}"
    far.mkdir(mode=0o700, exist_ok=True)
    owner = far.stat().st_uid
    if os.geteuid() not in (0, owner):
        raise EmbeddedServerError(f"{far} belongs to somebody else", "choose a shorter DATAPLATFORM_HOME")
    return far


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on right now.

    Where it can be none of those that the kernel gives to outgoing connections: any program on this machine may hold
    one of these when the server is started again.
    """
    for port in (secrets.choice(OURS) for _ in range(TRIES)):
        if _free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kept_port(folder: Path) -> int:
    """The port of the last time (`folder`/port) where it is free, else a new one, which is kept from now on."""
    file = folder / "port"
    try:
        port = int(file.read_text())
    except (FileNotFoundError, ValueError):
        port = 0
    if not port or not _free(port):
        port = free_port()
        file.write_text(str(port))
    return port


def _free(port: int) -> bool:
    """Whether a server can have it: also one whose last connections the kernel still waits out (TIME_WAIT)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def kept_password(file: Path, user: str = "") -> str:
    """What that file holds, `user:` and random words; made at the first time, for this user's eyes only."""
    if not file.exists():
        beside = file.with_suffix(".new")
        beside.unlink(missing_ok=True)
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(user and f"{user}:")
            new.write(secrets.token_urlsafe(24))
        beside.replace(file)
    return file.read_text().strip()
