"""Upkeep of silver: which tables are an entity's, and how they go. `upkeep/` alone calls what removes."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from dataplatform.audit import tables as audit
from dataplatform.layers.silver import tables as t
from dataplatform.layers.silver.evolve import CURRENT, SCHEMA
from dataplatform.layers.silver.lanes import drop_left
from dataplatform.names import qualified
from dataplatform.records.refs import EntityRef

_READERS = sa.text(
    "with recursive reader(oid) as ("
    "select to_regclass(n) from unnest(cast(:tables as text[])) n union "
    "select r.ev_class from reader join pg_depend d on d.refobjid = reader.oid and d.classid = 'pg_rewrite'::regclass "
    "join pg_rewrite r on r.oid = d.objid) "
    "select n.nspname || '.' || c.relname from reader join pg_class c using (oid) join pg_namespace n "
    "on n.oid = c.relnamespace where c.relkind in ('v', 'm') and n.nspname <> :own order by 1"
)


def place(table: str) -> str:
    """A table of silver as `text()` wants it: a colon would begin a parameter."""
    return qualified(SCHEMA, table).replace(":", r"\:")


def tables_there(conn: sa.Connection, ref: EntityRef) -> list[str]:
    """Its tables that are there, its own first. The metadata need not know of them any more."""
    named = set()
    for known in (t.entity_column, audit.schema_change):
        mine = (known.c.source == ref.source, known.c.entity == ref.name)
        named |= set(conn.execute(sa.select(known.c.table_name).distinct().where(*mine)).scalars())
    exists = sa.text("select to_regclass(:n)")
    return [
        name
        for name in (ref.table, *sorted(named - {ref.table}))
        if conn.execute(exists, {"n": qualified(SCHEMA, name)}).scalar() is not None
    ]


def tables_of(conn: sa.Connection, ref: EntityRef) -> dict[str, int]:
    """Those tables and their rows."""
    return {
        name: int(conn.exec_driver_sql(f"select count(*) from {qualified(SCHEMA, name)}").scalar_one())
        for name in tables_there(conn, ref)
    }


def rows_of_keys(conn: sa.Connection, ref: EntityRef, keys: list[bytes]) -> dict[str, int]:
    """How many rows each of its tables has of some keys (`dp_key`), those of lists included."""
    count = "select count(*) from {} where {} = any(cast(:keys as uuid[]))"
    return {
        name: int(_of_keys(conn, ref, name, keys, count).scalar_one()) for name in tables_there(conn, ref)
    }


def delete_keys(conn: sa.Connection, ref: EntityRef, keys: list[bytes]) -> dict[str, int]:
    """Deletes these rows; returns how many, by table."""
    drop_left(conn, ref)
    delete = "delete from {} where {} = any(cast(:keys as uuid[]))"
    return {name: _of_keys(conn, ref, name, keys, delete).rowcount for name in tables_there(conn, ref)}


def _of_keys(
    conn: sa.Connection, ref: EntityRef, table: str, keys: list[bytes], query: str
) -> sa.CursorResult[Any]:
    column = "dp_key" if table == ref.table else "dp_root_key"
    return conn.execute(sa.text(query.format(place(table), column)), {"keys": [key.hex() for key in keys]})


def readers_of(conn: sa.Connection, tables: list[str]) -> list[str]:
    """Views beyond silver that read the tables, directly or not, as schema.name: they go with them."""
    places = [qualified(SCHEMA, name) for name in tables]
    return [str(name) for name in conn.execute(_READERS, {"tables": places, "own": CURRENT}).scalars()]


def drop(conn: sa.Connection, ref: EntityRef) -> None:
    """Tables, views, and what is remembered of columns and rule."""
    drop_left(conn, ref)
    for name in tables_of(conn, ref):
        conn.exec_driver_sql(f"drop table {qualified(SCHEMA, name)} cascade")
    for known in (t.entity_column, t.entity_rule):
        conn.execute(known.delete().where(known.c.source == ref.source, known.c.entity == ref.name))


def entities_in(conn: sa.Connection, source: str) -> set[str]:
    """Names of all entities of a source that silver remembers columns of."""
    c = t.entity_column.c
    return set(conn.execute(sa.select(c.entity).distinct().where(c.source == source)).scalars())
