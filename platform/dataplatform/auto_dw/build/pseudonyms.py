"""The keyed hash that takes the place of private values: a function of the database, its key made once and kept there.

The key lies in a table that only the owner may read, as the clear values in silver do; no model and no statement holds
it. HMAC with SHA-256, put together from Postgres' own functions: pgcrypto is not everywhere.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.storage.postgres import transaction

CALL = "auto_dw.pseudonym("
_BLOCK = 64  # bytes of SHA-256's block
_MAKE = (
    "create table if not exists auto_dw.pseudonym_key (one boolean primary key default true check (one), "
    "inner_pad bytea not null, outer_pad bytea not null)",
    "revoke all on auto_dw.pseudonym_key from public",
    "create or replace function auto_dw.pseudonym(value text) returns text language sql stable strict parallel safe "
    "as $$ select encode(sha256(k.outer_pad || sha256(k.inner_pad || convert_to(value, 'UTF8'))), 'hex') "
    "from auto_dw.pseudonym_key k $$",
    "revoke all on function auto_dw.pseudonym(text) from public",
)


def ensure(engine: Engine, texts: Iterable[str | None]) -> None:
    """Makes the function and its key where a model calls it and they are not there yet."""
    if not any(text and CALL in text for text in texts):
        return
    with transaction(engine) as conn:
        if conn.execute(sa.text("select to_regprocedure('auto_dw.pseudonym(text)')")).scalar() is not None:
            return
        for statement in _MAKE:
            conn.exec_driver_sql(statement)
        conn.execute(
            sa.text(
                "insert into auto_dw.pseudonym_key (inner_pad, outer_pad) values (:i, :o) on conflict do nothing"
            ),
            _pads(secrets.token_bytes(32)),
        )


def _pads(key: bytes) -> dict[str, bytes]:
    block = key.ljust(_BLOCK, b"\0")
    return {"i": bytes(b ^ 0x36 for b in block), "o": bytes(b ^ 0x5C for b in block)}
