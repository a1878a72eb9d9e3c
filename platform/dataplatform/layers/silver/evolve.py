"""Makes silver's tables what the plan says: additive changes and widenings, each on record."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from dataplatform.errors import LoadError
from dataplatform.layers.silver.plan import ColumnPlan, Plan, TablePlan
from dataplatform.names import qualified, quote, shortened

log = logging.getLogger(__name__)

SCHEMA, CURRENT = "silver", "silver_current"
MOST_COLUMNS = 1600  # of a table in Postgres

SYSTEM = {
    "dp_id": ("bigint generated always as identity primary key", "Surrogate key of this version"),
    "dp_key": ("uuid not null", "Hash of the business key"),
    "dp_hash1": ("uuid not null", "Hash of the attributes that are overwritten (SCD1)"),
    "dp_hash2": ("uuid not null", "Hash of the attributes with history (SCD2)"),
    "dp_valid_from": ("timestamptz not null", "The version is valid from here, UTC"),
    "dp_valid_to": ("timestamptz", "… to here, exclusive; null while open"),
    "dp_hash_version": ("smallint not null", "Version of the hash rule"),
    "dp_current": ("boolean not null", "The open version of its key"),
    "dp_deleted": ("boolean not null", "The version ended because the record was deleted"),
    "dp_batch_id": ("text not null", "Batch that brought the version"),
    "dp_updated_batch_id": ("text not null", "Batch that touched the version last"),
    "dp_run_id": ("text not null", "Run that wrote the version"),
    "dp_created_at": ("timestamptz not null", "When the row was written, UTC"),
    "dp_updated_at": ("timestamptz not null", "When the row was changed last, UTC"),
}
# what all rows of a first load have in common; last, so that it can be added when they are there
COMMON = tuple(SYSTEM)[list(SYSTEM).index("dp_hash_version") :]
CHILD_SYSTEM = {
    "dp_parent_key": ("uuid not null", "dp_key of the record that holds the list"),
    "dp_root_key": ("uuid not null", "dp_key of the entity's record"),
    "dp_index": ("integer", "Position in the list, for items without a key of their own"),
}


@dataclass(frozen=True)
class Change:
    """One change of a table. `statements` carry it out."""

    table: str
    column: str | None
    change: str
    before: str | None
    after: str | None
    statements: tuple[str, ...]
    rebuild: bool = False

    def __str__(self) -> str:
        what = f"{self.table}.{self.column}" if self.column else self.table
        types = " → ".join(t for t in (self.before, self.after) if t)
        return f"{self.change} {what} {types}".rstrip()


@dataclass(frozen=True)
class Existing:
    """Columns (name → type) of the tables that are there."""

    tables: dict[str, dict[str, str]] = field(default_factory=dict)


def existing(conn: sa.Connection, names: Iterable[str]) -> Existing:
    query = sa.text(
        "select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) "
        "from pg_attribute a join pg_class c on c.oid = a.attrelid "
        "join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname = :schema and c.relname = any(:names) and a.attnum > 0 "
        "and not a.attisdropped and c.relkind in ('r', 'p')"
    )
    found = Existing()
    for table, column, type_ in conn.execute(query, {"schema": SCHEMA, "names": list(names)}):
        found.tables.setdefault(table, {})[column] = _short(type_)
    return found


_LONG = {
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time without time zone": "time",
}


def _short(type_: str) -> str:
    return _LONG.get(type_, type_).replace(", ", ",")


def changes(plan: Plan, there: Existing) -> list[Change]:
    """What has to be done, in order. Raises LoadError where a table would be too wide."""
    result: list[Change] = []
    for table in plan.root.tables():
        _check_width(plan, table)
        columns = there.tables.get(table.name)
        if columns is None:
            result.append(_create(table))
            columns = {}
            continue
        result.extend(_alter(plan, table, columns))
    return result


def _check_width(plan: Plan, table: TablePlan) -> None:
    """Postgres has a limit, and an object with so many fields is a mapping: its names are data."""
    most = MOST_COLUMNS - len(SYSTEM | CHILD_SYSTEM)
    if len(table.columns) <= most:
        return
    holder = _holder(table, len(table.columns) - most)
    remedy = "give its records fewer fields at the source"
    if holder:
        remedy = (
            f'keep the object that holds them as JSON: columns: {{"{table.prefix}{holder}": {{type: jsonb}}}}'
        )
    raise LoadError(
        f"{plan.ref}: the table {SCHEMA}.{table.name} would have {len(table.columns):,} columns; {most:,} are possible",
        f"{remedy} (or leave out what is new: schema_changes: discard), then run again",
    )


def _holder(table: TablePlan, excess: int) -> str:
    """The smallest object that has so many columns too many, else the largest; empty where all fields stand alone."""
    counts: Counter[str] = Counter()
    for column in table.columns:
        parts = column.path.split("__")
        counts.update("__".join(parts[:end]) for end in range(1, len(parts)))
    enough = [name for name, count in counts.items() if count > excess]
    return (
        min(enough, key=lambda n: counts[n]) if enough else max(counts, key=lambda n: counts[n], default="")
    )


def _create(table: TablePlan) -> Change:
    statements = (table_ddl(table), *(ddl for _, ddl in indexes(table)), *comments(table))
    return Change(table.name, None, "create", None, None, statements)


def table_ddl(table: TablePlan, schema: str = SCHEMA, without: Collection[str] = ()) -> str:
    """The table alone, with its primary key; some of the system's columns may be left for later."""
    system = {name: ddl for name, (ddl, _) in _system(table).items() if name not in without}
    lines = [f"{quote(c.name)} {c.type}" for c in table.columns]
    lines += [f"{quote(name)} {ddl}" for name, ddl in system.items()]
    # fillfactor: closing a version updates its row; room on the page keeps that cheap (HOT)
    return f"create table {qualified(schema, table.name)} ({', '.join(lines)}) with (fillfactor = 90)"


def comments(table: TablePlan) -> list[str]:
    """What says in the database what a table and its columns are."""
    name = qualified(SCHEMA, table.name)
    sql = [_comment(name, column, text) for column, (_, text) in _system(table).items()]
    sql += [_comment(name, c.name, c.description) for c in table.columns if c.description]
    if table.description:
        sql.append(f"comment on table {name} is {_literal(table.description)}")
    return sql


def _system(table: TablePlan) -> dict[str, tuple[str, str]]:
    own = {name: SYSTEM[name] for name in SYSTEM if name not in COMMON}
    return own | (CHILD_SYSTEM if table.is_child else {}) | {name: SYSTEM[name] for name in COMMON}


def indexes(table: TablePlan) -> list[tuple[str, str]]:
    """Name and DDL of a table's indexes, its primary key left out."""
    name = qualified(SCHEMA, table.name)
    found = [
        ("current", "unique", "(dp_key) where dp_current"),
        ("from", "unique", "(dp_key, dp_valid_from)"),
        ("touched", "", "using brin (dp_updated_at)"),
    ]
    if table.is_child:
        found.append(("root", "", "(dp_root_key)"))
    return [
        (qualified(SCHEMA, _index(table, p)), f"create {kind} index {quote(_index(table, p))} on {name} {on}")
        for p, kind, on in found
    ]


def _alter(plan: Plan, table: TablePlan, there: dict[str, str]) -> list[Change]:
    name = qualified(SCHEMA, table.name)
    result = []
    for column in table.columns:
        old = there.get(column.name)
        if old is None:
            statements = [f"alter table {name} add column {quote(column.name)} {column.type}"]
            if column.description:
                statements.append(_comment(name, column.name, column.description))
            result.append(Change(table.name, column.name, "add", None, column.type, tuple(statements)))
        elif old != _short(column.type):
            result.append(_retype(table, column, old))
    gone = {i.column for i in plan.known.values() if i.column and not i.type and i.table == table.name}
    for column_name in sorted(gone & set(there) - {c.name for c in table.columns}):
        sql = f"alter table {name} drop column {quote(column_name)}"
        result.append(Change(table.name, column_name, "drop", there[column_name], None, (sql,)))
    return result


# casts that keep the values, and how COPY writes them (rows are hashed by that)
_EXACT = {
    ("bigint", "numeric"),
    ("bigint", "double precision"),
    ("integer", "bigint"),
    ("double precision", "numeric"),
}


def _retype(table: TablePlan, column: ColumnPlan, old: str) -> Change:
    """Exact casts keep the values; for the others the column is emptied and filled from bronze."""
    new = _short(column.type)
    name, col = qualified(SCHEMA, table.name), quote(column.name)
    exact = (old, new) in _EXACT
    using = f"{col}::{column.type}" if exact else f"null::{column.type}"
    sql = f"alter table {name} alter column {col} type {column.type} using {using}"
    change = "narrow" if old == "text" else "widen"
    return Change(table.name, column.name, change, old, column.type, (sql,), rebuild=not exact)


def _index(table: TablePlan, purpose: str) -> str:
    return shortened(f"{table.name}__{purpose}")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _comment(table: str, column: str, text: str) -> str:
    return f"comment on column {table}.{quote(column)} is {_literal(text)}"


def apply(conn: sa.Connection, plan: Plan, found: list[Change]) -> None:
    """Carries the changes out and makes the views of current rows anew.

    Views that stand on the tables (gold's, yours) step aside and come back in the same transaction;
    one that no longer fits the new columns is left out, with a warning.
    """
    if not found:
        return
    tables = {t.name: t for t in plan.root.tables()}
    touched = sorted({c.table for c in found})
    others = _views_on(conn, touched)
    for _, name, _ in reversed(others):
        conn.exec_driver_sql(f"drop view if exists {name}")
    for name in touched:
        conn.exec_driver_sql(f"drop view if exists {qualified(CURRENT, name)}")
    for change in found:
        for statement in change.statements:
            conn.exec_driver_sql(statement.replace("%", "%%"))
    for name in touched:
        conn.exec_driver_sql(view_ddl(tables[name]).replace("%", "%%"))
    for _, name, definition in others:
        _restore(conn, name, definition)


def _views_on(conn: sa.Connection, tables: list[str]) -> list[tuple[int, str, str]]:
    """Views on the tables and on their views of current rows, the lowest first: depth, name, SQL."""
    query = sa.text("""
        with recursive above(oid, depth) as (
            select c.oid, 0 from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname in (:silver, :current) and c.relname = any(:tables)
            union
            select r.ev_class, a.depth + 1 from above a
            join pg_depend d on d.refobjid = a.oid and d.refclassid = 'pg_class'::regclass
            join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass
            where r.ev_class <> a.oid and a.depth < 50)
        select max(a.depth), format('%I.%I', n.nspname, c.relname), pg_get_viewdef(c.oid)
        from above a join pg_class c on c.oid = a.oid join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'v' and not (n.nspname = :current and c.relname = any(:tables))
        group by c.oid, n.nspname, c.relname order by 1""")
    names = {"silver": SCHEMA, "current": CURRENT, "tables": tables}
    return [(row[0], row[1], row[2]) for row in conn.execute(query, names)]


def _restore(conn: sa.Connection, name: str, definition: str) -> None:
    try:
        with conn.begin_nested():
            conn.exec_driver_sql(f"create view {name} as {definition}".replace("%", "%%"))
    except sa.exc.ProgrammingError as error:
        log.warning("the view %s no longer fits and was dropped: %s", name, error.orig)


def view_ddl(table: TablePlan) -> str:
    """The view of current rows: business columns first, then the keys that joins need."""
    system = ["dp_id", "dp_key", "dp_valid_from", "dp_batch_id", "dp_updated_at"]
    system += list(CHILD_SYSTEM) if table.is_child else []
    columns = ", ".join(quote(n) for n in [*(c.name for c in table.columns), *system])
    return (
        f"create view {qualified(CURRENT, table.name)} as select {columns} "
        f"from {qualified(SCHEMA, table.name)} where dp_current"
    )


def rows_of(plan: Plan, found: list[Change], batch_id: str) -> list[dict[str, Any]]:
    """The changes as rows of audit.schema_change."""
    return [
        {
            "source": plan.ref.source,
            "entity": plan.ref.name,
            "table_name": c.table,
            "column_name": c.column,
            "change": c.change,
            "before": c.before,
            "after": c.after,
            "batch_id": batch_id,
        }
        for c in found
    ]
