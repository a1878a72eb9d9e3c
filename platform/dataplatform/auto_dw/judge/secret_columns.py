"""Which columns hold secrets (passwords, tokens): they never leave the source."""

from __future__ import annotations

from itertools import pairwise

from dataplatform.auto_dw.look import kinds
from dataplatform.auto_dw.look.profiles import ColumnProfile
from dataplatform.auto_dw.look.shapes import HASH
from dataplatform.auto_dw.names.lexicon import SECRET_PARTS, SECRETS
from dataplatform.auto_dw.names.words import says_id, words


def is_secret(column: ColumnProfile) -> bool:
    found = words(column.called)
    if column.kind in (kinds.TEXT, kinds.UUID, kinds.BINARY, kinds.INTEGER) and not SECRETS.isdisjoint(found):
        return column.kind != kinds.INTEGER or "pin" in found
    named = not SECRET_PARTS.isdisjoint(pairwise(found))
    hashed = column.shapes.get(HASH, 0.0) >= 0.9 and column.distinct > 3
    return named or (hashed and column.kind == kinds.TEXT and not says_id(column.called))
