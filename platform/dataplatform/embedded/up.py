"""Who keeps a HOME up: one process at a time, by a lock on HOME/up.lock; who it is stands in HOME/up.json."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from dataplatform.errors import BusyError

NOTE, LOCK = "up.json", "up.lock"


@dataclass(frozen=True)
class Up:
    """The process of `dataplatform up`: its id, since when (ISO 8601, UTC), the address of Prefect's pages."""

    pid: int
    since: str
    prefect: str

    def __str__(self) -> str:
        since = datetime.fromisoformat(self.since)
        return f"process {self.pid}, since {since:%Y-%m-%d %H:%M} UTC, Prefect's pages at {self.prefect}"


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Keeps a second `up` of the same HOME away for the block; raises BusyError that says who is up."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            other = who_is_up(home)
            raise BusyError(
                f"`dataplatform up` is running already in {home}: {other or 'not seen from here'}",
                "use that one; or end it (Ctrl-C there) and try again; or set DATAPLATFORM_HOME to another folder",
            ) from None
        yield


@contextmanager
def noted(home: Path, prefect: str) -> Iterator[None]:
    """The note of this process, for the block."""
    about = Up(os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"), prefect)
    beside = home / f"{NOTE}.new"
    beside.write_text(json.dumps(asdict(about)))
    beside.replace(home / NOTE)
    try:
        yield
    finally:
        (home / NOTE).unlink(missing_ok=True)


def who_is_up(home: Path) -> Up | None:
    """The process that says it is up and still lives; None where there is none here (it may be on another machine)."""
    try:
        about = Up(**json.loads((home / NOTE).read_text()))
        os.kill(about.pid, 0)
    except PermissionError:
        return about  # it lives, and is another user's
    except (OSError, ValueError, TypeError):
        return None
    return about
