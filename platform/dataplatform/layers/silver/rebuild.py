"""The sure path: computes the whole history of some keys and puts it in place of what is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import psycopg
from psycopg import sql

from dataplatform.layers.silver.evolve import SCHEMA
from dataplatform.layers.silver.items import KnownItems, item_events
from dataplatform.layers.silver.merge import Batch, Done
from dataplatform.layers.silver.plan import Plan, TablePlan
from dataplatform.layers.silver.rows import Row, moment_text, row_hashes, texts
from dataplatform.layers.silver.staging import (
    CopyBuffer,
    copied,
    copy_keys,
    identifiers,
    index_keys,
    stage_name,
    structure,
    temporary,
)
from dataplatform.layers.silver.timeline import (
    Event,
    Seen,
    Version,
    events,
    fold,
)
from dataplatform.records.record import HASH_VERSION

TOUCHED = "dp_touched"


def rebuild(
    conn: psycopg.Connection,
    plan: Plan,
    batch: Batch,
    histories: Iterable[tuple[bytes, Seen]],
    force: bool,
) -> Done:
    """Replaces the history of the keys given. Rows that are right already stay as they are.

    `force`: write the attributes even where the hashes are the same (a type has changed).
    """
    wants = staged(conn, plan, batch, histories)
    done = Done()
    for table in plan.root.tables():
        did = _replace(conn, table, wants[table.name], batch, force)
        done.add(Done(removed=did.removed) if table.is_child else did)
    return done


def staged(
    conn: psycopg.Connection, plan: Plan, batch: Batch, histories: Iterable[tuple[bytes, Seen]]
) -> dict[str, str]:
    """Rows as they should be, in a temporary table for each of the plan's; the keys they are of are in TOUCHED."""
    tables = list(plan.root.tables())
    wants = {t.name: stage_name(t, "want", i) for i, t in enumerate(tables)}
    buffers = {t.name: _buffer(conn, t, wants[t.name]) for t in tables}
    known = KnownItems()
    touched: list[bytes] = []
    for key, seen in histories:
        touched.append(key)
        happened = events(seen)
        for version in _open_to_change(batch, fold(happened, plan.root.scd1)):
            buffers[plan.root.name].add(_fields(plan.root, Row(key, {}), key, version))
        items = item_events(plan.root, key, happened, known) if plan.root.children else {}
        for table in tables[1:]:
            _items(table, key, items[table.name], buffers[table.name], batch)
    for buffer in buffers.values():
        buffer.flush()
    copy_keys(conn, TOUCHED, touched)
    return wants


def _open_to_change(batch: Batch, versions: list[Version]) -> list[Version]:
    """Without what ended before the horizon."""
    closed = batch.closed
    if closed is None:
        return versions
    return [version for version in versions if version.valid_to is None or version.valid_to > closed]


def _items(
    table: TablePlan, root: bytes, happened: Mapping[bytes, list[Event]], buffer: CopyBuffer, batch: Batch
) -> None:
    for key, found in happened.items():
        for version in _open_to_change(batch, fold(found, table.scd1)):
            row: Row = version.payload
            buffer.add(_fields(table, Row(key, {}, row.parent, row.index), root, version))


def _buffer(conn: psycopg.Connection, table: TablePlan, name: str) -> CopyBuffer:
    types = _types(table)
    temporary(conn, name, list(types.items()))
    return CopyBuffer(partial(copied, conn), sql.Identifier(name), list(types))


def _types(table: TablePlan) -> dict[str, str]:
    system = {
        "dp_key": "uuid",
        "dp_hash1": "uuid",
        "dp_hash2": "uuid",
        "dp_valid_from": "timestamptz",
        "dp_valid_to": "timestamptz",
        "dp_deleted": "boolean",
        "dp_batch_id": "text",
        "dp_updated_batch_id": "text",
    }
    places = {c: "integer" if c == "dp_index" else "uuid" for c in structure(table)}
    return system | places | {c.name: c.type for c in table.columns}


def _fields(table: TablePlan, row: Row, root: bytes, version: Version) -> list[str]:
    values = {path: text for path, text in version.values.items() if text is not None}
    hash1, hash2 = row_hashes(table, values)
    end = "\\N" if version.valid_to is None else moment_text(version.valid_to)
    head = [
        row.key.hex(),
        hash1.hex(),
        hash2.hex(),
        moment_text(version.valid_from),
        end,
        "t" if version.deleted else "f",
        version.batch,
        version.updated_batch,
    ]
    if table.is_child:
        assert row.parent is not None
        head += [root.hex(), row.parent.hex(), "\\N" if row.index is None else str(row.index)]
    return head + texts(table, values)


def _replace(conn: psycopg.Connection, table: TablePlan, want: str, batch: Batch, force: bool) -> Done:
    """Removes, closes, changes, inserts; closing comes first, for a key has one open version."""
    wanted = sql.Identifier(want)
    index_keys(conn, want)
    conn.execute(sql.SQL("analyze {}").format(wanted))
    own = [c.name for c in table.columns]
    names = [
        "dp_hash1",
        "dp_hash2",
        "dp_valid_to",
        "dp_deleted",
        "dp_batch_id",
        "dp_updated_batch_id",
        *structure(table),
    ]
    parts = {
        "target": sql.Identifier(SCHEMA, table.name),
        "want": wanted,
        "touched": sql.Identifier(TOUCHED),
        "root_key": sql.Identifier("dp_root_key" if table.is_child else "dp_key"),
        "pairs": sql.SQL(", ").join(sql.SQL("{0} = w.{0}").format(sql.Identifier(n)) for n in [*names, *own]),
        "old": sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(n)) for n in names),
        "new": sql.SQL(", ").join(sql.SQL("w.{}").format(sql.Identifier(n)) for n in names),
        "version": sql.Literal(HASH_VERSION),
        "run": sql.Literal(batch.run_id),
        "now": sql.Literal(batch.now),
        "force": sql.Literal(force),
        "open": sql.SQL("true"),
        "columns": identifiers([*_types(table)]),
        "values": sql.SQL(", ").join(sql.SQL("w.{}").format(sql.Identifier(n)) for n in _types(table)),
    }
    if batch.closed is not None:
        parts["open"] = sql.SQL("(t.dp_valid_to is null or t.dp_valid_to > {})").format(
            sql.Literal(moment_text(batch.closed))
        )
    removed = conn.execute(_REMOVE.format(**parts)).rowcount
    closed = conn.execute(_CHANGE.format(**parts, phase=_CLOSING)).rowcount
    updated = conn.execute(_CHANGE.format(**parts, phase=_CLOSED)).rowcount
    updated += conn.execute(_CHANGE.format(**parts, phase=_OPEN)).rowcount
    inserted = conn.execute(_INSERT.format(**parts)).rowcount
    return Done(inserted, updated, closed, removed)


_REMOVE = sql.SQL("""
    delete from {target} t using {touched} k where t.{root_key} = k.dp_key and {open} and not exists (
        select from {want} w where w.dp_key = t.dp_key and w.dp_valid_from = t.dp_valid_from)""")
_CHANGE = sql.SQL("""
    update {target} t set {pairs}, dp_hash_version = {version},
        dp_run_id = case when t.dp_batch_id = w.dp_batch_id then t.dp_run_id else {run} end,
        dp_current = w.dp_valid_to is null, dp_updated_at = {now}
    from {want} w where t.dp_key = w.dp_key and t.dp_valid_from = w.dp_valid_from
        and {phase} and ({force} or ({old}) is distinct from ({new})
            or t.dp_hash_version <> {version})""")
_CLOSING = sql.SQL("t.dp_current and w.dp_valid_to is not null")
_CLOSED = sql.SQL("not t.dp_current and w.dp_valid_to is not null")
_OPEN = sql.SQL("w.dp_valid_to is null")
_INSERT = sql.SQL("""
    insert into {target} ({columns}, dp_current, dp_hash_version, dp_run_id, dp_created_at,
        dp_updated_at)
    select {values}, w.dp_valid_to is null, {version}, {run}, {now}, {now} from {want} w
    where not exists (select from {target} t
        where t.dp_key = w.dp_key and t.dp_valid_from = w.dp_valid_from)""")
