"""Where gold was exported to, and when: HOME/exports.json, for people who look at the way of their data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from dataplatform.metadata.gold import GoldModel
from dataplatform.secrets.local import write_private

MOST = 20  # that are remembered


@dataclass(frozen=True)
class Export:
    """One that was written. `models`: a digest of the models that were in it."""

    kind: str
    path: str
    at: str
    models: str

    @property
    def written_at(self) -> datetime:
        return datetime.fromisoformat(self.at)


def digest(models: Mapping[str, GoldModel]) -> str:
    """Tells whether models are as they were."""
    found = hashlib.blake2b(digest_size=12)
    for name in sorted(models):
        found.update(models[name].model_dump_json(exclude={"file"}).encode())
    return found.hexdigest()


def note(home: Path, kind: str, path: Path, models: Mapping[str, GoldModel]) -> None:
    """Remembers it; not where there is no HOME yet: an export alone makes none."""
    if not home.is_dir():
        return
    new = Export(kind, str(path.expanduser().absolute()), datetime.now(UTC).isoformat(), digest(models))
    others = [one for one in exports(home) if (one.kind, one.path) != (new.kind, new.path)]
    kept = [new, *others][:MOST]
    write_private(_file(home), json.dumps([asdict(one) for one in kept], indent=1).encode())


def exports(home: Path) -> list[Export]:
    """The last ones, the newest first; none where the file is not there or not ours."""
    try:
        found = [Export(**one) for one in json.loads(_file(home).read_text("utf-8"))]
        return sorted(found, key=lambda one: one.written_at, reverse=True)
    except (OSError, ValueError, TypeError, AttributeError):
        return []


def _file(home: Path) -> Path:
    return home / "exports.json"
