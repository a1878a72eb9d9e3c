"""The local store: one file of encrypted secrets under HOME, its key in a file beside it.

The key protects backups and copies of the store, not against somebody who can read both files;
`DATAPLATFORM_SECRETS_KEY` in the environment keeps the two apart.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dataplatform.errors import SecretError

if TYPE_CHECKING:  # loaded (.1 s) only where there is something to decrypt
    from cryptography.fernet import Fernet


@dataclass(frozen=True)
class LocalStore:
    """HOME/secrets.enc (Fernet: AES-128-CBC with HMAC-SHA256), readable by the owner only."""

    home: Path

    @property
    def path(self) -> Path:
        return self.home / "secrets.enc"

    @property
    def key_path(self) -> Path:
        return self.home / "secrets.key"

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
        self._write({**self.read(), name: value})

    def delete(self, name: str) -> bool:
        """True where there was one."""
        secrets = self.read()
        existed = secrets.pop(name, None) is not None
        if existed:
            self._write(secrets)
        return existed

    def _write(self, secrets: dict[str, str]) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        data = self._cipher().encrypt(json.dumps(secrets).encode())
        temporary = self.path.with_suffix(".tmp")
        _write_private(temporary, data)
        temporary.replace(self.path)

    def _cipher(self) -> Fernet:
        from cryptography.fernet import Fernet

        key = os.environ.get("DATAPLATFORM_SECRETS_KEY", "").encode()
        if not key:
            if not self.key_path.exists():
                self.home.mkdir(parents=True, exist_ok=True)
                _write_private(self.key_path, Fernet.generate_key())
            key = self.key_path.read_bytes().strip()
        try:
            return Fernet(key)
        except ValueError:
            raise SecretError(
                "the key of the secret store is not a Fernet key (44 characters of base64)",
                f"correct DATAPLATFORM_SECRETS_KEY or {self.key_path}",
            ) from None


def _write_private(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(handle)
