"""What a process works by: its code, and the metadata of a source. Processes that share a run must have the same."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

from dataplatform import __version__, project
from dataplatform.context import Platform
from dataplatform.errors import MetadataError, SettingsError


@dataclass(frozen=True, slots=True)
class Stamp:
    """Digests; `version` is for people."""

    version: str
    code: str
    metadata: str


def stamp_of(platform: Platform, source: str) -> Stamp:
    """Of this process, for a source. A connector of one's own belongs to its metadata."""
    hasher = blake2b(platform.catalog.source(source).model_dump_json().encode(), digest_size=12)
    for path in sorted(platform.settings.connectors.glob("*.py")):
        hasher.update(path.name.encode() + path.read_bytes())
    return Stamp(__version__, code_digest(), hasher.hexdigest())


@cache
def code_digest() -> str:
    """Of all our modules; some thirty milliseconds, once a process."""
    root, hasher = project.PACKAGE, blake2b(digest_size=12)
    for path in sorted(root.rglob("*.py")):
        hasher.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return hasher.hexdigest()


def refuse_other(mine: Stamp, theirs: Stamp, source: str) -> None:
    """Raises where this process works by something else than the run that it does a part of."""
    here = f"the worker {os.getpid()} on {socket.gethostname()}"
    if mine.code != theirs.code:
        raise SettingsError(
            f"{here} has another dataplatform ({mine.version}) than the run ({theirs.version}), or other files of it",
            "install the same on every machine, and start that worker again",
        )
    if mine.metadata != theirs.metadata:
        raise MetadataError(
            f"{here} has other metadata of the source {source}, or other connectors, than the run",
            "bring metadata/ and connectors/ of every machine to the same state, then run again",
        )
