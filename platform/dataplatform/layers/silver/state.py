"""What silver remembers between batches, in the schema audit: paths, columns, the rule."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects.postgresql import insert

from dataplatform.layers.silver import tables as t
from dataplatform.layers.silver.evolve import SCHEMA
from dataplatform.layers.silver.known import KnownPath
from dataplatform.layers.silver.plan import Plan
from dataplatform.records import hashes as hs
from dataplatform.records.refs import EntityRef


def known_paths(conn: sa.Connection, ref: EntityRef) -> dict[str, KnownPath]:
    """What is known of an entity's paths, in the source's order."""
    c = t.entity_column.c
    query = sa.select(t.entity_column).where(c.source == ref.source, c.entity == ref.name)
    return {
        row.path: KnownPath(
            row.kind,
            row.first_batch,
            row.column_name,
            row.table_name,
            row.type,
            row.silent_batch,
            tuple(sorted((row.counts or {}).items())),
            row.said,
            tuple(sorted((row.settled or {}).items())),
        )
        for row in conn.execute(query.order_by(c.position.nulls_first(), c.path))
    }


def put_known(conn: sa.Connection, plan: Plan, before: Mapping[str, KnownPath]) -> None:
    """Writes what changed."""
    rows = [
        {
            "source": plan.ref.source,
            "entity": plan.ref.name,
            "path": path,
            "kind": known.kind,
            "first_batch": known.first_batch,
            "column_name": known.column,
            "table_name": known.table,
            "type": known.type,
            "silent_batch": known.silent_batch,
            "counts": dict(known.counts),
            "said": known.said,
            "position": position,
        }
        for position, (path, known) in enumerate(plan.known.items())
        if before.get(path) != known
    ]
    if rows:
        statement = insert(t.entity_column)
        values = {n: statement.excluded[n] for n in rows[0] if n not in ("source", "entity", "path")}
        key = ["source", "entity", "path"]
        conn.execute(statement.on_conflict_do_update(index_elements=key, set_=values), rows)


def put_settled(conn: sa.Connection, ref: EntityRef, counts: Mapping[str, Mapping[str, int]]) -> None:
    """How many values of which kind retention took, by path; of all others none."""
    c = t.entity_column.c
    mine = t.entity_column.update().where(c.source == ref.source, c.entity == ref.name)
    conn.execute(mine.values(settled=None))
    for path, found in counts.items():
        conn.execute(mine.where(c.path == path).values(settled=dict(found)))


def known_rule(conn: sa.Connection, ref: EntityRef) -> str | None:
    c = t.entity_rule.c
    query = sa.select(c.rule).where(c.source == ref.source, c.entity == ref.name)
    return conn.execute(query).scalar_one_or_none()


def put_rule(conn: sa.Connection, ref: EntityRef, rule: str) -> None:
    row = {"source": ref.source, "entity": ref.name, "rule": rule}
    statement = insert(t.entity_rule).values(row)
    conn.execute(statement.on_conflict_do_update(index_elements=["source", "entity"], set_=row))


def open_keys(conn: psycopg.Connection, plan: Plan) -> hs.Hashes:
    """Keys that have an open version."""
    return _keys_where(conn, plan, sql.SQL("dp_current"))


def open_ahead(conn: psycopg.Connection, plan: Plan, clock: sql.Composable, since: str) -> hs.Hashes:
    """Keys whose open version is dated later than `since`. `clock`: SQL of that date, the row is `o`."""
    condition = sql.SQL("dp_current and {} > {}::timestamptz").format(clock, sql.Literal(since))
    return _keys_where(conn, plan, condition)


def _keys_where(conn: psycopg.Connection, plan: Plan, condition: sql.Composable) -> hs.Hashes:
    query = sql.SQL("copy (select dp_key from {} o where {}) to stdout (format binary)").format(
        sql.Identifier(SCHEMA, plan.root.name), condition
    )
    with conn.cursor() as cursor, cursor.copy(query) as copy:
        data = b"".join(bytes(block) for block in copy)
    # binary COPY (documentation of COPY, "Binary Format"): a header of 19 bytes, then for each row
    # a count of fields (2 bytes), a length (4) and the value (16), then a trailer of 2
    rows = np.frombuffer(data[19:-2], np.uint8).reshape(-1, 22)
    return hs.hashes(rows[:, 6:].tobytes())


def count_open(conn: psycopg.Connection, plan: Plan) -> int:
    query = sql.SQL("select count(*) from {} where dp_current").format(sql.Identifier(SCHEMA, plan.root.name))
    row = conn.execute(query).fetchone()
    return int(row[0]) if row else 0


def open_at_least(conn: psycopg.Connection, plan: Plan, number: int) -> bool:
    """Whether so many rows are open; looks at no more of them than that."""
    query = sql.SQL("select count(*) = {0} from (select from {1} where dp_current limit {0}) found")
    row = conn.execute(query.format(number, sql.Identifier(SCHEMA, plan.root.name))).fetchone()
    return bool(row and row[0])


def count_rows(conn: sa.Connection, ref: EntityRef) -> int:
    """Rows of the entity's table, closed ones included; none where there is no table."""
    if not sa.inspect(conn).has_table(ref.table, schema=SCHEMA):
        return 0
    query = sa.select(sa.func.count()).select_from(sa.table(ref.table, schema=SCHEMA))
    return int(conn.execute(query).scalar_one())


def is_empty(conn: psycopg.Connection, plan: Plan) -> bool:
    query = sql.SQL("select exists (select from {})").format(sql.Identifier(SCHEMA, plan.root.name))
    row = conn.execute(query).fetchone()
    return not (row and row[0])
