"""Finds secrets: environment, `*_FILE`, Docker secrets, local store; in that order."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataplatform.errors import SecretError
from dataplatform.secrets.local import LocalStore
from dataplatform.secrets.masking import MASK, PROCESS, SHORTEST, Noted

log = logging.getLogger(__name__)
_PASSWORD_IN_URL = re.compile(  # to the host's @: a password may hold one that nobody wrote as %40
    r"(?P<head>[a-z][a-z0-9+.-]*://[^/@\s:]*:)[^@\s]+(?:@[^@\s/?#,\"']+)*(?=@)", re.I
)


def variable_of(name: str) -> str:
    """`github/token` → DATAPLATFORM_SECRET_GITHUB_TOKEN."""
    return "DATAPLATFORM_SECRET_" + re.sub(r"[^A-Za-z0-9]", "_", name).upper()


@dataclass(frozen=True)
class Secrets:
    """Resolves `{secret: name}`; what it resolves is masked from then on."""

    local: LocalStore
    docker_dir: Path = Path("/run/secrets")
    noted: Noted = PROCESS

    def get(self, name: str) -> str:
        """The value; raises SecretError naming every place that was looked at."""
        variable = variable_of(name)
        if variable in os.environ:
            return os.environ[variable]
        file = os.environ.get(variable + "_FILE")
        if file:
            return _read(Path(file), f"{variable}_FILE")
        docker = self.docker_dir / re.sub(r"[^A-Za-z0-9_.-]", "_", name)
        if docker.is_file():
            return _read(docker, str(docker))
        value = self.local.read().get(name)
        if value is not None:
            return value
        raise SecretError(
            f"the secret {name!r} is not set",
            f"set {variable} or {variable}_FILE, mount {docker}, or run: dataplatform secrets set {name}",
        )

    def resolve(self, value: Any, noted: Noted | None = None) -> Any:
        """Replaces every `{secret: name}` (model or plain mapping) inside a value; `noted` learns what they are."""
        name = _secret_name(value)
        if name is not None:
            return (noted or self.noted).note(_long_enough(name, self.get(name)))
        if isinstance(value, Mapping):
            return {k: self.resolve(v, noted) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.resolve(v, noted) for v in value)
        return value


def _long_enough(name: str, value: str) -> str:
    if len(value) < SHORTEST:
        log.warning(
            "the secret %s has fewer than %d characters: it is not masked in data and errors", name, SHORTEST
        )
    return value


def secrets_of(home: Path) -> Secrets:
    """The secrets of the environment and of the local store under HOME."""
    return Secrets(LocalStore(home))


def names_in(value: Any) -> set[str]:
    """Names of all secrets that a piece of (dumped) metadata refers to."""
    name = _secret_name(value)
    if name is not None:
        return {name}
    items = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, Mapping | list | tuple):
        return {n for item in items for n in names_in(item)}
    return set()


def _secret_name(value: Any) -> str | None:
    name = getattr(value, "secret", None)
    if isinstance(value, Mapping) and set(value) == {"secret"}:
        name = value["secret"]
    return name if isinstance(name, str) else None


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise SecretError(f"{what} names a file that cannot be read: {error.strerror}") from None


def redact(text: str) -> str:
    """The text without passwords of URLs."""
    return _PASSWORD_IN_URL.sub(rf"\g<head>{MASK}", text)
