"""Which columns hold secrets (passwords, tokens): they never leave the source."""

from __future__ import annotations

from itertools import pairwise

from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile
from dataplatform.auto_dw.look.shapes import HASH
from dataplatform.auto_dw.names.lexicon import ABOUT_SECRETS, SECRET_PARTS, SECRETS, listed
from dataplatform.auto_dw.names.vocabulary import concepts_of, head_concepts
from dataplatform.auto_dw.names.words import says_id, words

_HIDDEN = frozenset(listed("password secret"))
_FINGERPRINTS = frozenset(listed("hash file signature ip_address"))
_GIVES_ACCESS = _HIDDEN | frozenset(listed("key session permission"))


def is_secret(column: ColumnProfile) -> bool:
    """By its name, unless that says something about a secret (its type, its expiry); else by hashes as values."""
    found = words(column.called)
    if found[-1:] and found[-1] in ABOUT_SECRETS:
        return False
    if column.kind in (kinds.TEXT, kinds.UUID, kinds.BINARY, kinds.INTEGER) and not SECRETS.isdisjoint(found):
        return column.kind != kinds.INTEGER or "pin" in found
    if column.kind in (kinds.TEXT, kinds.BINARY) and head_concepts(column.called) & _HIDDEN:
        return True
    named = column.kind not in (kinds.INTEGER, kinds.BOOLEAN) and not SECRET_PARTS.isdisjoint(pairwise(found))
    return named or (_is_hashed(column) and not says_id(column.called))


def _is_hashed(column: ColumnProfile) -> bool:
    """Hashes that are not called one: the checksum of a file gives nobody access to anything."""
    said = concepts_of(column.called)
    told = bool(said & _FINGERPRINTS) and not said & _GIVES_ACCESS
    hashed = column.shapes.get(HASH, 0.0) >= 0.9 and column.distinct > 3
    return hashed and column.kind == kinds.TEXT and not told
