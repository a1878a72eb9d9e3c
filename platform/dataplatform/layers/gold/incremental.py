"""Incremental models: what changed since the last build replaces what was there."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg
import sqlalchemy as sa
from psycopg import sql

from dataplatform.audit.tables import load
from dataplatform.layers.gold.tables import gold_model
from dataplatform.metadata.check import Check
from dataplatform.metadata.gold import GoldModel
from dataplatform.records.refs import EntityRef

CHANGES = "dp_changes"


def seen_until(conn: sa.Connection, model: GoldModel, fingerprint: str, tables: Iterable[str]) -> str | None:
    """Up to where the model has seen changes; None: it has to be built from the beginning.

    `tables`: those it reads, as schema.table. Rows that silver removed (a replay, a corrected history)
    leave no change behind to be seen, so such a load asks for the beginning, too.
    """
    if model.header.materialized != "incremental":
        return None
    row = conn.execute(sa.select(gold_model).where(gold_model.c.name == model.name)).mappings().first()
    if row is None or row["fingerprint"] != fingerprint or row["seen_until"] is None:
        return None
    c = load.c
    restated = (
        sa.select(c.source, c.entity)
        .distinct()
        .where(c.layer == "silver", c.finished_at > row["seen_until"], c.detail["restated"].as_boolean())
    )
    names = {table.partition(".")[2] for table in tables if table.startswith("silver")}
    for source, entity in conn.execute(restated):
        table = EntityRef(source, entity).table
        if any(name == table or name.startswith(f"{table}__") for name in names):
            return None
    return str(row["seen_until"].isoformat())


def columns(raw: psycopg.Connection, relation: str) -> list[str]:
    """Names of a relation's columns, in order."""
    query = "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 order by attnum"
    return [row[0] for row in raw.execute(query, (relation,))]


def replace(raw: psycopg.Connection, model: GoldModel) -> int:
    """The rows of the temporary table dp_changes in place of those with their key. Returns how many more."""
    target, gone = sql.Identifier("gold", model.name), model.header.deleted
    same = sql.SQL(" and ").join(
        sql.SQL("t.{0} is not distinct from c.{0}").format(sql.Identifier(k)) for k in model.header.unique_key
    )
    names = [name for name in columns(raw, f"pg_temp.{CHANGES}") if name != gone]
    listed = sql.SQL(", ").join(map(sql.Identifier, names))
    changes = sql.Identifier(CHANGES)
    raw.execute(sql.SQL("analyze {}").format(changes))
    removed = raw.execute(
        sql.SQL("delete from {} t using {} c where {}").format(target, changes, same)
    ).rowcount
    if gone:
        raw.execute(sql.SQL("delete from {} where {}").format(changes, sql.Identifier(gone)))
    added = raw.execute(
        sql.SQL("insert into {} ({}) select {} from {}").format(target, listed, listed, changes)
    ).rowcount
    return added - removed


def checks_of_changes(model: GoldModel) -> tuple[tuple[Check, ...], tuple[Check, ...]]:
    """Checks that the changed rows alone decide, and those that need the whole table.

    That the unique key is unique, its index sees to.
    """
    some: list[Check] = []
    whole: list[Check] = []
    for check in model.header.checks:
        if check.unique is not None and set(check.unique) == set(model.header.unique_key):
            continue
        by_row = check.screens or check.reference is not None
        (some if by_row and check.severity != "warn" else whole).append(check)
    return tuple(some), tuple(whole)
