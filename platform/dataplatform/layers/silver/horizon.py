"""The horizon of an entity's history: what retention took is settled, and what is newer goes on as a function of it.

`taken_until`: the newest batch that stands in the baseline; what is older and was not there comes too late. Versions
that ended by `closed_before` are not made anew, for what they were made from may be gone: they stay as they are, or go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from dataplatform.errors import LoadError
from dataplatform.layers.silver import tables as t
from dataplatform.layers.silver.evolve import SCHEMA
from dataplatform.layers.silver.rows import micros
from dataplatform.layers.silver.upkeep import place, tables_there
from dataplatform.names import qualified, quote
from dataplatform.records import hashes as hs
from dataplatform.records.refs import BatchRef, EntityRef


@dataclass(frozen=True)
class Horizon:
    """What retention settled of an entity. `closed_before` in UTC."""

    taken_until: str | None = None
    closed_before: datetime | None = None
    bronze_due: bool = False


def of(conn: sa.Connection, ref: EntityRef) -> Horizon:
    c = t.entity_rule.c
    query = sa.select(c.taken_until, c.closed_before, c.bronze_due).where(*_mine(ref))
    row = conn.execute(query).one_or_none()
    return Horizon(row.taken_until, row.closed_before, bool(row.bronze_due)) if row else Horizon()


def put(conn: sa.Connection, ref: EntityRef, horizon: Horizon) -> None:
    """Of an entity that has been loaded."""
    conn.execute(t.entity_rule.update().where(*_mine(ref)).values(**horizon.__dict__))


def _mine(ref: EntityRef) -> tuple[sa.ColumnElement[bool], ...]:
    return t.entity_rule.c.source == ref.source, t.entity_rule.c.entity == ref.name


def closed(conn: sa.Connection, ref: EntityRef) -> int | None:
    """`closed_before` in microseconds since 1970."""
    at = of(conn, ref).closed_before
    return None if at is None else micros(at)


def refuse_late(conn: sa.Connection, batch: BatchRef) -> None:
    """Raises LoadError for a batch that the baseline has gone past."""
    until = of(conn, batch.entity).taken_until
    if until is not None and batch.batch_id <= until:
        raise LoadError(
            f"{batch.entity}: the batch {batch.batch_id} comes too late: what retention keeps begins after the "
            f"batch {until}, and history before that is settled",
            "its raw files stay; a longer `retention:` leaves more time for what comes late",
        )


@dataclass(frozen=True)
class Alive:
    """Keys, sorted, that have a version which ends after the horizon; from when the first of these is valid."""

    keys: hs.Hashes
    since: npt.NDArray[np.int64]


def alive(conn: sa.Connection, ref: EntityRef, at: datetime) -> Alive:
    """Rows of lists count for the record that holds them."""
    parts = [
        f"select {'dp_key' if name == ref.table else 'dp_root_key'} as k, min(dp_valid_from) as f "
        f"from {place(name)} where dp_valid_to is null or dp_valid_to > :at group by 1"
        for name in tables_there(conn, ref)
    ]
    if not parts:
        return Alive(hs.EMPTY, np.zeros(0, np.int64))
    query = f"select k, min(f) as f from ({' union all '.join(parts)}) s group by 1"
    found = conn.execution_options(stream_results=True, max_row_buffer=10_000).execute(
        sa.text(query), {"at": at}
    )
    keys, since = bytearray(), []
    for key, first in found:
        keys += key.bytes
        since.append(micros(first))
    sorted_by = hs.order(hs.hashes(keys))
    return Alive(hs.hashes(keys)[sorted_by], np.array(since, np.int64)[sorted_by])


def ended(conn: sa.Connection, ref: EntityRef, before: datetime) -> dict[str, int]:
    """Rows by table that ended by then."""
    found = {}
    for name in tables_there(conn, ref):
        query = sa.text(f"select count(*) from {place(name)} where dp_valid_to <= :before")
        found[name] = int(conn.execute(query, {"before": before}).scalar_one())
    return found


def drop_ended(conn: sa.Connection, ref: EntityRef, before: datetime) -> int:
    """Deletes them; returns how many."""
    return sum(
        conn.execute(
            sa.text(f"delete from {place(name)} where dp_valid_to <= :before"), {"before": before}
        ).rowcount
        for name in tables_there(conn, ref)
    )


def drop_closed_by(conn: sa.Connection, batch: BatchRef, at: int) -> None:
    """What a batch closed by a time of its source's that lies before the horizon: it ended there, and is not kept."""
    for name in tables_there(conn, batch.entity):
        query = sa.text(
            f"delete from {place(name)} where dp_updated_batch_id = :batch "
            "and dp_valid_to <= timestamptz 'epoch' + :at * interval '1 microsecond'"
        )
        conn.execute(query, {"batch": batch.batch_id, "at": at})


def set_aside(conn: sa.Connection, ref: EntityRef) -> dict[str, str]:
    """Copies of the rows that are settled, for a replay: table → temporary table; it goes with the transaction."""
    at = of(conn, ref).closed_before
    if at is None:
        return {}
    copies = {}
    for number, name in enumerate(tables_there(conn, ref)):
        copies[name] = f"dp_settled_{number}"
        conn.execute(sa.text(f"drop table if exists {copies[name]}"))
        query = f"create temporary table {copies[name]} on commit drop as select * from {place(name)}"
        conn.execute(sa.text(f"{query} where dp_valid_to <= '{at.isoformat()}'::timestamptz"))
    return copies


def put_back(conn: sa.Connection, ref: EntityRef, copies: dict[str, str]) -> None:
    """In place of what the replay made of that time, from what is left."""
    at = of(conn, ref).closed_before
    if at is None:
        return
    drop_ended(conn, ref, at)
    for name in set(copies) & set(tables_there(conn, ref)):
        columns = ", ".join(map(_quoted, _columns(conn, copies[name], name)))
        conn.execute(
            sa.text(
                f"insert into {place(name)} ({columns}) overriding system value select {columns} from {copies[name]}"
            )
        )


def _columns(conn: sa.Connection, copy: str, table: str) -> list[str]:
    """Those that both have."""
    query = sa.text(
        "select attname from pg_attribute where attrelid = to_regclass(:a) and attnum > 0 and not attisdropped "
        "intersect "
        "select attname from pg_attribute where attrelid = to_regclass(:b) and attnum > 0 and not attisdropped"
    )
    return list(conn.execute(query, {"a": copy, "b": qualified(SCHEMA, table)}).scalars())


def _quoted(column: str) -> str:
    """As `text()` wants it: a colon would begin a parameter."""
    return quote(column).replace(":", r"\:")
