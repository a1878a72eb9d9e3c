"""Who keeps a HOME up: a note in HOME/up.json for whoever meets that process's locks. It decides nothing itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

NOTE = "up.json"


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
