"""The local store: one file of encrypted secrets under HOME, its key in a file beside it.

The key protects backups and copies of the store, not against somebody who can read both files;
`DATAPLATFORM_SECRETS_KEY` in the environment keeps the two apart. Of several keys (one a line, or with commas in the
environment) the first encrypts and any decrypts: so a new key takes over step by step, and may be killed at any.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dataplatform.errors import SecretError

if TYPE_CHECKING:  # loaded (.1 s) only where there is something to decrypt
    from cryptography.fernet import MultiFernet

VARIABLE = "DATAPLATFORM_SECRETS_KEY"


@dataclass(frozen=True)
class LocalStore:
    """HOME/secrets.enc (Fernet: AES-128-CBC with HMAC-SHA256), readable by the owner only."""

    home: Path
    name: str = "local"

    @property
    def path(self) -> Path:
        return self.home / "secrets.enc"

    @property
    def key_path(self) -> Path:
        return self.home / "secrets.key"

    def get(self, name: str) -> str | None:
        return self.read().get(name)

    def names(self) -> list[str]:
        return sorted(self.read())

    def remedy(self, name: str) -> str:
        return f"run: dataplatform secrets set {name}"

    def read(self) -> dict[str, str]:
        """All secrets; empty when there is no store."""
        if not self.path.exists():
            return {}
        from cryptography.fernet import InvalidToken

        try:
            text = self._cipher().decrypt(self.path.read_bytes())
        except (InvalidToken, ValueError):
            raise SecretError(
                f"{self.path} cannot be decrypted with the key in {self.key_path}",
                "restore secrets.key from your backup, or delete secrets.enc and set them again",
            ) from None
        return dict(json.loads(text))

    def set(self, name: str, value: str) -> None:
        self.update({name: value})

    def update(self, secrets: Mapping[str, str]) -> None:
        """All of them or none."""
        with self._alone():
            self._write({**self.read(), **secrets})

    def delete(self, name: str) -> bool:
        """True where there was one."""
        with self._alone():
            secrets = self.read()
            existed = secrets.pop(name, None) is not None
            if existed:
                self._write(secrets)
        return existed

    def rotate(self) -> None:
        """A new key for everything. Killed at any step, what was readable is readable, and it may be done again.

        With the key in the environment: encrypts anew with the first of the keys that stand there.
        """
        from cryptography.fernet import Fernet

        with self._alone():
            secrets = self.read()
            if not os.environ.get(VARIABLE):
                new = Fernet.generate_key()
                write_private(self.key_path, b"\n".join([new, *self._keys()]))
                self._write(secrets)
                write_private(self.key_path, new)
            else:
                self._write(secrets)

    def _write(self, secrets: Mapping[str, str]) -> None:
        write_private(self.path, self._cipher().encrypt(json.dumps(dict(secrets)).encode()))

    def _keys(self) -> list[bytes]:
        keys = os.environ.get(VARIABLE, "").replace(",", "\n").split()
        if keys:
            return [key.encode() for key in keys]
        return self.key_path.read_bytes().split() if self.key_path.exists() else []

    def _cipher(self) -> MultiFernet:
        from cryptography.fernet import Fernet, MultiFernet

        if not self._keys():
            write_private(self.key_path, Fernet.generate_key())
        try:
            return MultiFernet([Fernet(key) for key in self._keys()])
        except ValueError:
            raise SecretError(
                "the key of the secret store is not a Fernet key (44 characters of base64)",
                f"correct {VARIABLE} or {self.key_path}",
            ) from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else reads, changes and writes at the same time."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(self.home, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def write_private(path: Path, data: bytes) -> None:
    """The whole file or the old one; for its owner's eyes only."""
    beside = path.with_name(path.name + ".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, 0o600)
        file.write(data)
        file.flush()
        os.fsync(handle)
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)  # a new key must not be the only one on the disk before what it encrypts is there
    os.close(folder)
