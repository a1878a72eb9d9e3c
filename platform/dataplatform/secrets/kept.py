"""Secrets that the platform itself keeps: tokens that a provider rotates. They lie in the local store, as JSON.

Whoever changes one holds its lock (`alone`), over threads and processes; what `put` has returned from is on the disk.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataplatform.errors import SecretError
from dataplatform.secrets.local import LocalStore

PREFIX = "connect/"  # `connect/<source>`: what `dataplatform connect` was given


@dataclass(frozen=True)
class Kept:
    """What is kept under one HOME."""

    home: Path

    def get(self, name: str) -> dict[str, Any] | None:
        """None where nothing is kept under that name."""
        text = LocalStore(self.home).get(name)
        if text is None:
            return None
        try:
            return dict(json.loads(text))
        except (ValueError, TypeError):
            raise SecretError(
                f"the secret {name!r} is not what `dataplatform connect` keeps there",
                f"delete it (dataplatform secrets delete {name}), then connect again",
            ) from None

    def put(self, name: str, value: Mapping[str, Any]) -> None:
        LocalStore(self.home).set(name, json.dumps(dict(value)))

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Nobody else, in this process or another, is between `get` and `put` of that name."""
        folder = self.home / "locks"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / hashlib.sha256(name.encode()).hexdigest()[:32]
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
