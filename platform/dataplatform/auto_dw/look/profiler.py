"""The profiler: catalog, comments, declared constraints and the data, read-only and within time limits."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, LiteralString

import numpy as np
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from dataplatform.auto_dw.look import kinds, shapes
from dataplatform.auto_dw.look.profiles import (
    SILVER_KEY,
    SILVER_PARENT,
    ColumnProfile,
    Reference,
    SchemaProfile,
    Sketch,
    TableProfile,
)
from dataplatform.auto_dw.look.spoken import spelled

VERSION = 7  # of what is measured: raise it, and kept profiles are made anew
BUDGET = 200_000  # rows of a table that are looked at; of larger ones a sample
SKETCH = 4_096  # hashes kept of a column's distinct values
PROBES = 300  # values of a column that are looked up in a parent too large to be looked at whole
SAMPLE = 80  # values looked at for what they look like
LOOKING = 180.0  # seconds that may be spent on that
TIMEOUT = "60s"
SYSTEM_PREFIX = "dp_"

_TYPES = {
    kinds.INTEGER: ("smallint", "integer", "bigint", "oid"),
    kinds.NUMBER: ("numeric", "real", "double precision", "money"),
    kinds.TEXT: ("text", "character varying", "character", "name", "citext", "inet", "cidr", "macaddr"),
    kinds.UUID: ("uuid",),
    kinds.DATE: ("date",),
    kinds.TIME: ("timestamp without time zone", "timestamp with time zone"),
    kinds.CLOCK: ("time without time zone", "time with time zone"),
    kinds.BOOLEAN: ("boolean",),
    kinds.JSON: ("json", "jsonb"),
    kinds.BINARY: ("bytea",),
}
_KINDS = {name: kind for kind, names in _TYPES.items() for name in names}  # of others: other


@dataclass(frozen=True)
class Scope:
    """Which tables of a schema to look at; `skip` are patterns as of the shell."""

    schema: str
    tables: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    def wants(self, table: str) -> bool:
        return (not self.tables or table in self.tables) and not any(fnmatchcase(table, p) for p in self.skip)


def profile(
    conn: psycopg.Connection, scope: Scope, known: Mapping[str, TableProfile] | None = None
) -> SchemaProfile:
    """Profiles the tables of a schema; those whose fingerprint is in `known` are taken from there."""
    known = known or {}
    with _read_only(conn):
        tables = {}
        for table in catalog(conn, scope):
            before = known.get(table.name)
            same = before is not None and before.fingerprint == table.fingerprint
            tables[table.name] = before if before is not None and same else _measured(conn, table)
    return spelled(SchemaProfile(scope.schema, tables))


@contextmanager
def _read_only(conn: psycopg.Connection) -> Iterator[None]:
    with conn.transaction(force_rollback=True):
        conn.execute("set transaction read only")
        conn.execute(f"set local statement_timeout = '{TIMEOUT}'".encode())
        yield


# Of a table never analyzed reltuples is -1 (documentation of pg_class): judge by its size, 100 bytes a row;
# a partitioned table's rows and bytes are those of its leaves
_ESTIMATE = """(select sum(case when leaf.reltuples >= 0 then leaf.reltuples
                       else pg_relation_size(leaf.oid) / 100 end)::bigint
     from pg_class leaf where leaf.oid = c.oid and c.relkind <> 'p'
        or c.relkind = 'p' and leaf.oid in (select relid from pg_partition_tree(c.oid) where isleaf))"""
_COLUMNS = """
    select c.oid::int as oid, c.relname as table, {estimate} as estimate, c.relkind::text as relkind,
           obj_description(c.oid, 'pg_class') as table_comment, a.attname as name, a.attnum as position,
           format_type(a.atttypid, null) as type, format_type(a.atttypid, a.atttypmod) as full_type,
           col_description(c.oid, a.attnum) as comment, t.typtype as typtype,
           pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
             + pg_stat_get_tuples_deleted(c.oid) as writes, pg_relation_size(c.oid) as size,
           c.relfilenode::bigint as file
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    where n.nspname = %s and c.relkind in ('r', 'p', 'f', 'm') and not c.relispartition
    order by c.relname, a.attnum""".replace("{estimate}", _ESTIMATE)
_CONSTRAINTS = """
    select c.conrelid::int as oid, c.contype as kind, f.relname as ref_table, fn.nspname as ref_schema,
           array(select a.attname::text from unnest(c.conkey) with ordinality k(n, i)
                 join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.n order by k.i) as columns,
           array(select a.attname::text from unnest(c.confkey) with ordinality k(n, i)
                 join pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.n order by k.i) as ref_columns
    from pg_constraint c join pg_namespace n on n.oid = c.connamespace
    left join pg_class f on f.oid = c.confrelid left join pg_namespace fn on fn.oid = f.relnamespace
    where n.nspname = %s and c.contype in ('p', 'u', 'f')"""


def catalog(conn: psycopg.Connection, scope: Scope) -> list[TableProfile]:
    """Tables as the catalog describes them, with nothing measured yet."""
    with conn.cursor(row_factory=dict_row) as cursor:
        columns = cursor.execute(_COLUMNS, (scope.schema,)).fetchall()
        constraints = cursor.execute(_CONSTRAINTS, (scope.schema,)).fetchall()
    tables: dict[str, list[dict[str, Any]]] = {}
    for row in columns:
        if scope.wants(row["table"]):
            tables.setdefault(row["table"], []).append(row)
    holders = nesting({name: {r["name"] for r in rows} for name, rows in tables.items()})
    return [_table(scope.schema, name, rows, constraints, holders) for name, rows in tables.items()]


def nesting(tables: Mapping[str, Set[str]]) -> dict[str, str]:
    """Silver's tables of nested lists, each with the table that holds its lists."""
    result = {}
    for name, columns in tables.items():
        above = [t for t in tables if name.startswith(f"{t}__") and SILVER_PARENT in columns]
        if above:
            result[name] = max(above, key=len)
    return result


def _linking(name: str, holders: Mapping[str, str]) -> set[str]:
    """System columns by which a table of silver and its nested lists belong together."""
    if name in holders:
        return {SILVER_KEY, SILVER_PARENT}
    return {SILVER_KEY} if name in holders.values() else set()


def _table(
    schema: str,
    name: str,
    rows: list[dict[str, Any]],
    constraints: list[dict[str, Any]],
    holders: Mapping[str, str],
) -> TableProfile:
    history = {SILVER_KEY, "dp_current"} <= {r["name"] for r in rows}
    linking = _linking(name, holders) if history else set()
    own = [r for r in rows if r["name"] in linking or not (history and r["name"].startswith(SYSTEM_PREFIX))]
    mine = [c for c in constraints if c["oid"] == rows[0]["oid"]]
    state = [rows[0][k] for k in ("writes", "size", "file", "table_comment")]
    about = [[r["name"], r["full_type"], r["comment"]] for r in own]
    keys = [] if history else mine
    return TableProfile(
        schema=schema,
        name=name,
        rows=max(0, rows[0]["estimate"] or 0),
        columns=tuple(_seen(r, n, r["name"] in linking) for n, r in enumerate(own)),
        comment=rows[0]["table_comment"] or "",
        primary_key=_primary_key(name, holders, keys),
        uniques=tuple(tuple(c["columns"]) for c in keys if c["kind"] == "u"),
        references=(*_declared(schema, name, mine), *_nested(name, holders)),
        history=history,
        foreign=rows[0]["relkind"] == "f",
        fingerprint=_fingerprint([VERSION, state, about, sorted(map(str, mine))]),
    )


def _seen(row: Mapping[str, Any], position: int, links: bool) -> ColumnProfile:
    comment = "" if links else row["comment"] or ""
    return ColumnProfile(row["name"], position, row["full_type"], _kind(row), 0, comment=comment)


def _primary_key(name: str, holders: Mapping[str, str], keys: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    if name in holders:
        return (SILVER_KEY,)
    return next((tuple(c["columns"]) for c in keys if c["kind"] == "p"), ())


def _declared(schema: str, name: str, constraints: Sequence[Mapping[str, Any]]) -> Iterator[Reference]:
    why = ("declared as a foreign key",)
    for c in constraints:
        if c["kind"] == "f" and c["ref_schema"] == schema:
            yield Reference(name, tuple(c["columns"]), c["ref_table"], tuple(c["ref_columns"]), evidence=why)


def _fingerprint(seen: list[Any]) -> str:
    return hashlib.blake2b(json.dumps(seen).encode(), digest_size=12).hexdigest()


def _nested(name: str, holders: Mapping[str, str]) -> tuple[Reference, ...]:
    if name not in holders:
        return ()
    why = "its rows are items of a list in that table's records"
    return (Reference(name, (SILVER_PARENT,), holders[name], (SILVER_KEY,), evidence=(why,)),)


def _kind(row: Mapping[str, Any]) -> str:
    if row["typtype"] == "e":
        return kinds.TEXT
    return _KINDS.get(row["type"], kinds.OTHER)


def _measured(conn: psycopg.Connection, table: TableProfile) -> TableProfile:
    source, exact = _source(table)
    query = sql.SQL("with s as {} (select {} from {}) select {} from s").format(
        sql.SQL("not materialized" if exact else "materialized"),
        sql.SQL(", ").join(sql.Identifier(c.name) for c in table.columns) if table.columns else sql.SQL("1"),
        source,
        sql.SQL(", ").join([sql.SQL("count(*)"), *map(_measures, table.columns)]),
    )
    conn.execute("set local work_mem = '64MB'")  # a hash for each distinct value
    row = conn.execute(query).fetchone()
    assert row is not None
    rows = int(row[0])
    columns = tuple(_column(c, rows, found) for c, found in zip(table.columns, row[1:], strict=True))
    exact = exact or (table.foreign and rows < BUDGET)
    return replace(table, rows=rows if exact else max(table.rows, rows), columns=columns, exact=exact)


def _source(table: TableProfile) -> tuple[sql.Composable, bool]:
    relation = sql.Identifier(table.schema, table.name)
    current = sql.SQL(" where dp_current") if table.history else sql.SQL("")
    if table.foreign:  # it takes no sample, and nobody knows its size before looking
        return sql.SQL("{}{} limit {}").format(relation, current, sql.Literal(BUDGET)), False
    if table.rows <= BUDGET:
        return sql.SQL("{}{}").format(relation, current), True
    share = sql.Literal(round(100 * BUDGET / table.rows, 4))
    return sql.SQL("{} tablesample system ({}) repeatable (1){}").format(relation, share, current), False


# How a value is told from others. Bytes: as many as a key may have, and one more
_TEXT: dict[str, LiteralString] = {
    kinds.NUMBER: "trim_scale({}::numeric)::text",
    kinds.BINARY: "encode(substring({} for 129), 'hex')",
}


def _measures(column: ColumnProfile) -> sql.Composed:
    """One JSON object of measures; numbers lose their trailing zeros, so that 1.0 and 1 are one value."""
    name = sql.Identifier(column.name)
    text = sql.SQL(_TEXT.get(column.kind, "{}::text")).format(name)
    if column.kind in (kinds.JSON, kinds.OTHER):
        return sql.SQL("json_build_object('filled', count({0}), 'length', 0)").format(name)
    ordered = column.kind in (kinds.INTEGER, kinds.NUMBER, kinds.DATE, kinds.TIME, kinds.CLOCK)
    bounds = sql.SQL("min({0})::text, 'high', max({0})::text" if ordered else "null, 'high', null").format(
        name
    )
    whole = sql.SQL(
        "coalesce(bool_and({0} = trunc({0}::numeric)), false)" if column.kind == kinds.NUMBER else "false"
    )
    return sql.SQL("""jsonb_build_object('filled', count({name}), 'length', avg(length({text})),
        'longest', max(length({text})), 'low', {bounds}, 'integral', {whole}) ||
        (with d as materialized (select hashtextextended({text}, 0) h, min(left({text}, 200) collate "C") x from s
            where {name} is not null group by 1)
         select jsonb_build_object('distinct', (select count(*) from d),
            'sketch', array(select h from d order by h limit {sketch}),
            'sample', array(select x from d order by hashtextextended(x, 1) limit {sample})))""").format(
        name=name,
        text=text,
        bounds=bounds,
        whole=whole.format(name),
        sketch=sql.Literal(SKETCH),
        sample=sql.Literal(SAMPLE),
    )


def _column(column: ColumnProfile, rows: int, measured: Mapping[str, Any]) -> ColumnProfile:
    hashes: Sequence[int] = measured.get("sketch") or ()
    sample = tuple(measured.get("sample") or ())
    if column.kind == kinds.BINARY:
        sample = shapes.as_text(sample)
    is_text = column.kind == kinds.TEXT or (column.kind == kinds.BINARY and bool(sample))
    return replace(
        column,
        rows=rows,
        nulls=rows - int(measured["filled"]),
        distinct=int(measured.get("distinct") or 0),
        low=measured.get("low"),
        high=measured.get("high"),
        average_length=float(measured.get("length") or 0),
        max_length=int(measured.get("longest") or 0),
        integral=bool(measured.get("integral")),
        sketch=np.array(hashes, np.int64),
        whole=len(hashes) < SKETCH,
        sample=sample,
        shapes=shapes.shares(sample, kinds.TEXT if is_text else column.kind),
        labels=shapes.labels(column.name, sample) if is_text else (),
    )


def row_hashes(conn: psycopg.Connection, table: TableProfile, columns: Sequence[str]) -> Sketch:
    """Hash of each value, row by row, of some columns: shape (rows, columns); null is 0."""
    source, _ = _source(table)
    parts = [
        sql.SQL(
            "coalesce(hashtextextended(trim_scale({}::numeric)::text, 0), 0)"
            if table.by_name[name].kind == kinds.NUMBER
            else "coalesce(hashtextextended({}::text, 0), 0)"
        ).format(sql.Identifier(name))
        for name in columns
    ]
    query = sql.SQL("copy (select {} from {}) to stdout (format binary)").format(
        sql.SQL(", ").join(parts), source
    )
    with _read_only(conn), conn.cursor() as cursor, cursor.copy(query) as copy:
        body = b"".join(copy)
    return _hashes(body, len(columns))


def _hashes(body: bytes, columns: int) -> Sketch:
    """COPY's binary form: 19 bytes of head, each row a count and for each value its length and 8 bytes, 2 at the end.

    https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
    """
    row = np.dtype([("count", ">i2"), ("values", [("length", ">i4"), ("hash", ">i8")], columns)])
    found = np.frombuffer(body, row, count=(len(body) - 21) // row.itemsize, offset=19)
    return found["values"]["hash"].astype(np.int64).reshape(-1, columns)


def looks(conn: psycopg.Connection, seconds: float = LOOKING) -> Callable[..., float | None]:
    """`share_within` for as long as it has not taken so many seconds in all; None from then on."""
    spent = 0.0

    def look(
        table: TableProfile, columns: Sequence[str], parent: TableProfile, key: Sequence[str]
    ) -> float | None:
        nonlocal spent
        if spent >= seconds:
            return None
        start = time.perf_counter()
        try:
            return share_within(conn, table, columns, parent, key)
        finally:
            spent += time.perf_counter() - start

    return look


def share_within(
    conn: psycopg.Connection,
    table: TableProfile,
    columns: Sequence[str],
    parent: TableProfile,
    key: Sequence[str],
) -> float | None:
    """Share of some hundred of the columns' values that the parent's key has; all of the parent is searched.

    For parents of which only a sample was looked at. None where that takes too long.
    """
    source, _ = _source(table)
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    filled = sql.SQL(" and ").join(sql.SQL("{} is not null").format(sql.Identifier(c)) for c in columns)
    found = sql.SQL(" and ").join(
        _same(table.by_name[c], parent.by_name[k]) for c, k in zip(columns, key, strict=True)
    )
    current = sql.SQL(" and p.dp_current") if parent.history else sql.SQL("")
    query = sql.SQL("""with s as materialized (select distinct {names} from (select {names} from {source}) x
        where {filled} limit {few})
        select (select count(*) from s), count(*) from s where exists (select from {parent} p where {found}{current})
        """).format(
        names=names,
        source=source,
        few=sql.Literal(PROBES),
        filled=filled,
        found=found,
        current=current,
        parent=sql.Identifier(parent.schema, parent.name),
    )
    try:
        with _read_only(conn):
            row = conn.execute(query).fetchone()
    except psycopg.errors.QueryCanceled:
        return None
    return int(row[1]) / int(row[0]) if row and row[0] else None


def _same(column: ColumnProfile, key: ColumnProfile) -> sql.Composed:
    """Equality by the types' own operators, so that an index serves; as text where they have none in common."""
    plain = {column.kind, key.kind} <= {kinds.INTEGER, kinds.NUMBER} or column.type == key.type
    return sql.SQL("p.{} = s.{}" if plain else "p.{}::text = s.{}::text").format(
        sql.Identifier(key.name), sql.Identifier(column.name)
    )
