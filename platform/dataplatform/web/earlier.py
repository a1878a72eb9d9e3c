"""What files were before somebody changed them on these pages: HOME/web/earlier, for who wants to go back.

Beside git and not instead of it: here is what was there between two commits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dataplatform.secrets.local import write_private

MOST = 50  # of a source
_NAME = re.compile(r"(\d{8}T\d{12})Z-([A-Za-z0-9._@+-]+)\.yaml")


@dataclass(frozen=True)
class Earlier:
    """A text that was there until `at`, when `by` saved another."""

    id: str
    at: datetime
    by: str


def keep(home: Path, source: str, text: str, by: str) -> None:
    """Notes what is about to be replaced; the oldest go."""
    if not text:
        return
    folder = _folder(home, source)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    safe = re.sub(r"[^A-Za-z0-9._@+-]", "_", by)[:100]
    write_private(folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z-{safe}.yaml", text.encode())
    for one in versions(home, source)[MOST:]:
        (folder / f"{one.id}.yaml").unlink(missing_ok=True)


def versions(home: Path, source: str) -> list[Earlier]:
    """The newest first."""
    found = []
    for path in _folder(home, source).glob("*.yaml"):
        if named := _NAME.fullmatch(path.name):
            at = datetime.strptime(named[1], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
            found.append(Earlier(path.stem, at, named[2]))
    return sorted(found, key=lambda one: one.at, reverse=True)


def text_of(home: Path, source: str, id_: str) -> str | None:
    """None where there is none of that id."""
    if id_ not in {one.id for one in versions(home, source)}:
        return None
    return (_folder(home, source) / f"{id_}.yaml").read_text("utf-8")


def _folder(home: Path, source: str) -> Path:
    return home / "web" / "earlier" / source
