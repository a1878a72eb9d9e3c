"""How far a restore has come: HOME/restore.json, from its first step to its last. Standard library only.

While it is there every command refuses: what is live may be half of the old and half of the new.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from dataplatform.errors import BusyError, StorageError

# staging: what is live is whole; out, in: names change; discard, back: the old ones come back; clean: only leavings go
Phase = Literal["staging", "out", "in", "discard", "back", "clean"]
FILE, LOCK = "restore.json", "restore.lock"


@dataclass(frozen=True)
class Journal:
    """A restore: of which archive, how far, where its files go, which backup was made of what was there."""

    archive: str
    phase: Phase = "staging"
    targets: dict[str, str] = field(default_factory=dict)
    metadata: str | None = None
    restore_point: str | None = None

    def at(self, home: Path, phase: Phase) -> Journal:
        """The same, one step further; on disk before that step begins."""
        return written(home, replace(self, phase=phase))


def written(home: Path, journal: Journal) -> Journal:
    beside = home / f"{FILE}.new"
    with beside.open("w") as file:
        json.dump(asdict(journal), file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(home / FILE)
    return journal


def read(home: Path) -> Journal | None:
    """The restore that has not ended; None where there is none."""
    try:
        return Journal(**json.loads((home / FILE).read_text()))
    except FileNotFoundError:
        return None


def over(home: Path) -> None:
    (home / FILE).unlink(missing_ok=True)


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """One restore of a HOME at a time; raises BusyError."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BusyError(f"a restore is under way in {home}", "wait until it has ended") from None
        yield


def refuse_unfinished(home: Path) -> None:
    """Raises BusyError during a restore, StorageError after one that was interrupted."""
    if not (home / FILE).exists():
        return
    with alone(home):
        if (home / FILE).exists():
            raise StorageError(
                f"a restore was interrupted in {home}",
                "dataplatform restore --continue finishes it; dataplatform restore --undo brings back what was there",
            )
