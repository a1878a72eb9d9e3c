"""Records that a person had forgotten, known by a salted hash of their key alone."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from hashlib import blake2b

SALT = 16  # bytes; each forgotten record has its own


@dataclass(frozen=True)
class Forgotten:
    """One record that is to stay out. `digest`: blake2b of the key's hash, keyed with the salt; 16 bytes."""

    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, key: bytes) -> Forgotten:
        """`key`: the key's hash (dp_key), 16 bytes."""
        salt = secrets.token_bytes(SALT)
        return cls(salt, _digest(key, salt))

    def is_(self, key: bytes) -> bool:
        return hmac.compare_digest(_digest(key, self.salt), self.digest)


@dataclass(frozen=True)
class Out:
    """Whether a key is to stay out: one that was forgotten, or one that is about to be."""

    forgotten: tuple[Forgotten, ...] = ()
    keys: frozenset[bytes] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.forgotten or self.keys)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, bytes) and (key in self.keys or any(one.is_(key) for one in self.forgotten))


NOBODY = Out()


def _digest(key: bytes, salt: bytes) -> bytes:
    return blake2b(key, digest_size=16, key=salt).digest()
