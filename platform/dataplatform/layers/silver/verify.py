"""Whether rows are what the batches say: histories are made anew, beside, and compared; the caller rolls back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import psycopg
import sqlalchemy as sa
from psycopg import sql

from dataplatform.layers.silver import horizon, state
from dataplatform.layers.silver.evolve import SCHEMA
from dataplatform.layers.silver.merge import Batch
from dataplatform.layers.silver.observe import Reader, Screen, histories
from dataplatform.layers.silver.plan import UNBORN, TablePlan, make_plan
from dataplatform.layers.silver.rebuild import TOUCHED, staged
from dataplatform.layers.silver.rows import moment_text
from dataplatform.layers.silver.upkeep import tables_there
from dataplatform.metadata.source import Entity
from dataplatform.names import qualified
from dataplatform.records import hashes as hs
from dataplatform.records.holdings import History
from dataplatform.records.refs import EntityRef
from dataplatform.storage.postgres import raw_connection

BLOCK = 20_000  # keys compared together
Screening = Callable[[Mapping[str, str]], Screen | None]


def differing(
    conn: sa.Connection,
    ref: EntityRef,
    entity: Entity,
    history: History,
    applied: list[str],
    screening: Screening,
    most: int | None,
) -> int:
    """How many records have other rows, or rows of lists, than their batches say.

    `most`: of so many of the table and as many of the newest batch; None: of all.
    """
    plan = make_plan(ref, entity, state.known_paths(conn, ref), UNBORN)
    paths = {key: column.path for column in plan.root.columns for key in (column.name, column.path)}
    reader = Reader(entity, plan, history, [], screening(paths))
    batch = Batch("", "", 0, "", horizon.closed(conn, ref))
    keys, wrong, raw = _keys(conn, ref, history, applied, most), 0, raw_connection(conn)
    there = set(tables_there(conn, ref))
    for start in range(0, len(keys), BLOCK):
        wants = staged(raw, plan, batch, histories(reader, keys[start : start + BLOCK], applied))
        found = {
            key for t in plan.root.tables() if t.name in there for key in _wrong(raw, t, wants[t.name], batch)
        }
        wrong += len(found)
    return wrong


def _keys(
    conn: sa.Connection, ref: EntityRef, history: History, applied: list[str], most: int | None
) -> hs.Hashes:
    """Of the table and of the newest batch."""
    limit = "" if most is None else f"order by random() limit {most}"
    place = qualified(SCHEMA, ref.table)
    query = sa.text(f"select dp_key from (select distinct dp_key from {place}) s {limit}")
    rows = [key.bytes for key in conn.execute(query).scalars()]
    newest = history.entries(history.manifest(applied[-1])).keys
    return hs.unique(hs.hashes([*rows, *hs.pieces(newest if most is None else newest[:most])]))


def _wrong(conn: psycopg.Connection, table: TablePlan, want: str, batch: Batch) -> list[bytes]:
    """Root keys with a row that should not be there, or lacks, or holds something else."""
    root = sql.Identifier("dp_root_key" if table.is_child else "dp_key")
    names = [
        *(["dp_root_key"] if table.is_child else []),
        "dp_key",
        "dp_valid_from",
        "dp_valid_to",
        "dp_deleted",
        *(c.name for c in table.columns),
    ]
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    open_: sql.Composable = sql.SQL("true")
    if batch.closed is not None:
        open_ = sql.SQL("(dp_valid_to is null or dp_valid_to > {})").format(
            sql.Literal(moment_text(batch.closed))
        )
    query = sql.SQL(
        "with wanted as (select {columns} from {want}), found as (select {columns} from {target} "
        "where {root} in (select dp_key from {touched}) and {open}) "
        "select distinct {root} from ((table wanted except table found) union all "
        "(table found except table wanted)) d"
    )
    parts = {
        "columns": columns,
        "want": sql.Identifier(want),
        "target": sql.Identifier(SCHEMA, table.name),
        "touched": sql.Identifier(TOUCHED),
        "root": root,
        "open": open_,
    }
    return [row[0].bytes for row in conn.execute(query.format(**parts)).fetchall()]
