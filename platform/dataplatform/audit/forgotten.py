"""Which records a person had forgotten: rows of audit.forgotten. The caller's connection decides the transaction."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from dataplatform.audit import tables as t
from dataplatform.records.forgotten import Forgotten, Out
from dataplatform.records.refs import EntityRef


def out_of(conn: sa.Connection, ref: EntityRef) -> Out:
    """What is to stay out of an entity."""
    c = t.forgotten.c
    query = sa.select(c.salt, c.digest).where(c.source == ref.source, c.entity == ref.name)
    return Out(tuple(Forgotten(row.salt, row.digest) for row in conn.execute(query)))


def put(conn: sa.Connection, number: str, ref: EntityRef, records: Iterable[Forgotten]) -> None:
    """From now on they stay out; the certificate comes when they are gone. A key of two readings has two rows."""
    rows = [
        {
            "id": f"{number}-{i}",
            "source": ref.source,
            "entity": ref.name,
            "salt": one.salt,
            "digest": one.digest,
            "forgotten_at": datetime.now(UTC),
        }
        for i, one in enumerate(records, 1)
    ]
    conn.execute(insert(t.forgotten).on_conflict_do_nothing(), rows)


def certify(
    conn: sa.Connection, ref: EntityRef, records: Iterable[Forgotten], certificate: dict[str, Any]
) -> None:
    """They are gone; also where an earlier try had noted them, and broke off."""
    c = t.forgotten.c
    mine = c.source == ref.source, c.entity == ref.name, c.digest.in_([one.digest for one in records])
    conn.execute(t.forgotten.update().where(*mine).values(certificate=certificate))


def carry_over(conn: sa.Connection, before: EntityRef, now: EntityRef) -> None:
    """What was forgotten of an entity stays out under its new name."""
    c = t.forgotten.c
    query = sa.select(c.id, c.salt, c.digest, c.forgotten_at, c.certificate)
    for row in conn.execute(query.where(c.source == before.source, c.entity == before.name)).mappings():
        named = {**row, "id": f"{row['id']}-{now}", "source": now.source, "entity": now.name}
        conn.execute(insert(t.forgotten).values(named).on_conflict_do_nothing())


def entities(conn: sa.Connection) -> set[EntityRef]:
    """Those that something was forgotten of."""
    query = sa.select(t.forgotten.c.source, t.forgotten.c.entity).distinct()
    return {EntityRef(row.source, row.entity) for row in conn.execute(query)}


_SAID = "substr(to_jsonb(cast(:said as text))::text, 2, length(to_jsonb(cast(:said as text))::text) - 2)"
_QUOTING = {
    "load": {"detail": "jsonb", "error": "text"},
    "run": {"error": "text"},
    "outbox": {"payload": "jsonb"},
    "check_result": {"found": "text"},
    "condition": {"text": "text"},
    "action_step": {"payload": "jsonb", "what": "jsonb", "error": "text"},
}


def unquote(conn: sa.Connection, said: str) -> None:
    """Takes a text out of all that was noted of loads, runs, checks and events."""
    for table, columns in _QUOTING.items():
        for column, type_ in columns.items():
            text = _SAID if type_ == "jsonb" else "cast(:said as text)"
            query = (
                f"update audit.{table} set {column} = replace({column}::text, {text}, 'forgotten')::{type_} "
                f"where position({text} in {column}::text) > 0"
            )
            conn.execute(sa.text(query), {"said": said})
