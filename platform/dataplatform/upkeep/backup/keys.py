"""The recovery key of backups: HOME/backup.key, as `age-keygen` writes one.

The public half encrypts; the secret half opens, and is on this machine for backups to be tried and put back unattended.
A person sees it once and keeps it elsewhere; whoever takes the secret line out of the file can still make backups.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataplatform.errors import SecretError
from dataplatform.secrets.local import write_private
from dataplatform.secrets.masking import PROCESS
from dataplatform.settings import Settings

FILE = "backup.key"
SECRET = re.compile(r"AGE-SECRET-KEY-[0-9A-Z]+")
PUBLIC = re.compile(r"^# public key: (age1[0-9a-z]+)$", re.MULTILINE)
SEEN = "# seen"


@dataclass(frozen=True)
class Key:
    """The public half, the secret one where the file still holds it, and whether a person has seen that."""

    public: str
    secret: str | None
    seen: bool

    def recipient(self) -> Any:
        import pyrage

        return pyrage.x25519.Recipient.from_str(self.public)


def path_of(home: Path) -> Path:
    return home / FILE


def known(home: Path) -> Key | None:
    """The key of this HOME; None before the first backup. Raises SecretError where the file holds none."""
    path = path_of(home)
    if not path.exists():
        return None
    text = path.read_text()
    public, secret = PUBLIC.search(text), SECRET.search(text)
    if public is None and secret is None:
        raise SecretError(
            f"{path} holds no key", "put the recovery key there, or remove the file for a new key"
        )
    word = PROCESS.note(secret[0]) if secret else None
    return Key(public[1] if public else public_of(word or ""), word, SEEN in text)


def ensured(home: Path) -> Key:
    """The key of this HOME, made where there is none."""
    return known(home) or renewed(home)


def renewed(home: Path) -> Key:
    """Another key, for the archives from now on; the older ones need the older key."""
    import pyrage

    secret = str(pyrage.x25519.Identity.generate())
    _write(home, Key(public_of(secret), PROCESS.note(secret), False))
    return ensured(home)


def adopt(home: Path, secret: str) -> None:
    """The key that opened an archive is the one of this HOME from now on, where it has none."""
    if known(home) is None:
        _write(home, Key(public_of(secret), secret, True))


def mark_seen(home: Path, key: Key) -> None:
    if not key.seen:
        _write(home, Key(key.public, key.secret, True))


def public_of(secret: str) -> str:
    import pyrage

    try:
        return str(pyrage.x25519.Identity.from_str(secret).to_public())
    except pyrage.IdentityError:
        raise SecretError(
            "this is no recovery key of a backup", "it begins with AGE-SECRET-KEY-1 and has 74 characters"
        ) from None


def secrets_known(settings: Settings, file: Path | None = None) -> list[str]:
    """Every secret key there is: in the file that was named, in the environment, in HOME."""
    texts = [_read(file)] if file else []
    if settings.backup_key:
        texts.append(settings.backup_key.get_secret_value())
    found = [secret for text in texts for secret in secrets_in(text)]
    here = known(settings.home_path)
    return [*found, *([here.secret] if here and here.secret else [])]


def secrets_in(text: str) -> list[str]:
    """The keys of a text, which are masked from now on; raises SecretError where it has none."""
    found = SECRET.findall(text)
    for secret in found:
        PROCESS.note(secret)
        public_of(secret)
    if not found:
        public_of("")
    return list(found)


def identities(secrets: list[str]) -> list[Any]:
    import pyrage

    if not secrets:
        raise SecretError(
            "the recovery key is not known here",
            "give the key that was shown when backups began: --key-file FILE, or DATAPLATFORM_BACKUP_KEY",
        )
    return [pyrage.x25519.Identity.from_str(secret) for secret in secrets]


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise SecretError(
            f"{file} cannot be read: {error.strerror}", "name the file of the recovery key"
        ) from None


def _write(home: Path, key: Key) -> None:
    lines = [
        f"# public key: {key.public}",
        *([SEEN] if key.seen else []),
        *([key.secret] if key.secret else []),
    ]
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(path_of(home), "\n".join([*lines, ""]).encode())
