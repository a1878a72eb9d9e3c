"""What a column's values look like: worked out while they are at hand, so that no value has to be kept."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence

from dataplatform.auto_dw.names.lexicon import FIRST_NAMES
from dataplatform.auto_dw.names.words import words

EMAIL, IBAN, CARD, IP, PHONE = "email", "iban", "card", "ip", "phone"
PERSON, FIRST_NAME, HASH, FLAG = "person", "first_name", "hash", "flag"
TYPES = frozenset({"type", "class", "model", "kind", "table", "entity"})
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[a-zA-Z]{2,}")
_PHONE = re.compile(r"(?=.*[\s()/+-])\+?[\d\s().x/-]{7,22}")
_CARD = re.compile(r"(?:\d[ -]?){13,19}")
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_HASH = re.compile(r"(?:\$2[aby]?\$|\$argon2|pbkdf2_|\$[156]\$|\{?SSHA)|[0-9a-f]{40}|[0-9a-f]{64}")
_FLAGS = frozenset(["y", "n", "t", "f", "0", "1", "j", "x", "yes", "no", "true", "false", "on", "off"])
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_.:\\ -]{0,60}")


def shares(values: Sequence[str]) -> dict[str, float]:
    """Share of the values that have each shape; shapes that none has are left out."""
    found = [v for v in values if v.strip()]
    result = {name: sum(map(check, found)) / len(found) for name, check in _CHECKS.items()} if found else {}
    return {name: round(share, 4) for name, share in result.items() if share}


def labels(name: str, values: Sequence[str]) -> tuple[str, ...]:
    """The values of a column such as `object_type`, which name kinds of things; of others none."""
    named = words(name)[-1:] and words(name)[-1] in TYPES
    return tuple(values) if named and len(values) <= 30 and all(map(_LABEL.fullmatch, values)) else ()


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip())
    except ValueError:
        return False
    return "." in text or ":" in text


def _is_phone(text: str) -> bool:
    digits = sum(c.isdigit() for c in text)
    return (
        _PHONE.fullmatch(text.strip()) is not None and 7 <= digits <= 15 and not re.match(r"\d{4}-\d\d", text)
    )


def _is_person(text: str) -> bool:
    """A known first name and one or two more words."""
    found = text.split()
    return 2 <= len(found) <= 4 and found[0].strip(".,").lower() in FIRST_NAMES and found[-1][:1].isupper()


def _is_card(text: str) -> bool:
    """Luhn's checksum (ISO/IEC 7812-1)."""
    if not _CARD.fullmatch(text.strip()):
        return False
    digits = [int(c) for c in text if c.isdigit()]
    doubled = [d * 2 - 9 if d > 4 else d * 2 for d in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 and len(set(digits)) > 2


def _is_iban(text: str) -> bool:
    """Remainder 1 of 97 (ISO 13616)."""
    plain = text.replace(" ", "").upper()
    if not _IBAN.fullmatch(plain):
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


_CHECKS: dict[str, Callable[[str], bool]] = {
    EMAIL: lambda text: _EMAIL.fullmatch(text) is not None,
    IBAN: _is_iban,
    CARD: _is_card,
    IP: _is_ip,
    PHONE: _is_phone,
    PERSON: _is_person,
    FIRST_NAME: lambda text: text.strip().lower() in FIRST_NAMES,
    HASH: lambda text: _HASH.match(text) is not None,
    FLAG: lambda text: text.strip().lower() in _FLAGS,
}
