"""Where secrets are looked for: one class a kind of place, all with the same four words (`SecretStore`)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dataplatform.errors import SecretError


class SecretStore(Protocol):
    """A place of secrets. `name`: how `DATAPLATFORM_SECRET_STORES` calls it.

    Whoever asks one that does not let us in gets SecretError, of one that is away ServerError.
    """

    @property
    def name(self) -> str: ...

    def get(self, name: str) -> str | None:
        """The value; None where the place has none."""

    def names(self) -> list[str]:
        """Those it has, as far as it tells; `github_token` may be what a source calls `github/token`."""

    def remedy(self, name: str) -> str:
        """How to put one there, for whoever misses it."""


def variable_of(name: str) -> str:
    """`github/token` → DATAPLATFORM_SECRET_GITHUB_TOKEN."""
    return "DATAPLATFORM_SECRET_" + re.sub(r"[^A-Za-z0-9]", "_", name).upper()


@dataclass(frozen=True)
class Environment:
    """DATAPLATFORM_SECRET_<NAME>, or a file that DATAPLATFORM_SECRET_<NAME>_FILE names."""

    name: str = "environment"

    def get(self, name: str) -> str | None:
        variable = variable_of(name)
        if variable in os.environ:
            return os.environ[variable]
        file = os.environ.get(f"{variable}_FILE")
        return read_text(Path(file), f"{variable}_FILE") if file else None

    def names(self) -> list[str]:
        head = variable_of("")
        ends = {v.removeprefix(head).removesuffix("_FILE") for v in os.environ if v.startswith(head)}
        return sorted(end.lower() for end in ends if end)

    def remedy(self, name: str) -> str:
        return f"set {variable_of(name)} or {variable_of(name)}_FILE"


@dataclass(frozen=True)
class MountedFiles:
    """One file a secret in a folder, as Docker mounts them: /run/secrets/github_token."""

    folder: Path = Path("/run/secrets")
    name: str = "docker"

    def get(self, name: str) -> str | None:
        file = self._file(name)
        return read_text(file, str(file)) if file.is_file() else None

    def names(self) -> list[str]:
        return sorted(p.name for p in self.folder.iterdir() if p.is_file()) if self.folder.is_dir() else []

    def remedy(self, name: str) -> str:
        return f"mount {self._file(name)}"

    def _file(self, name: str) -> Path:
        return self.folder / re.sub(r"[^A-Za-z0-9_.-]", "_", name)


@dataclass(frozen=True)
class Asked:
    """A place that somebody else knows how to ask: Prefect's Secret blocks."""

    name: str
    ask: Callable[[str], str | None]
    all: Callable[[], list[str]]
    how: Callable[[str], str]

    def get(self, name: str) -> str | None:
        return self.ask(name)

    def names(self) -> list[str]:
        return self.all()

    def remedy(self, name: str) -> str:
        return self.how(name)


def read_text(path: Path, what: str) -> str:
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise SecretError(f"{what} names a file that cannot be read: {error.strerror}") from None
