"""What changed metadata mean for silver's tables, before any batch comes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.audit.record import note_schema_change
from dataplatform.layers.silver import evolve, state
from dataplatform.layers.silver import plan as planning
from dataplatform.layers.silver.evolve import Change
from dataplatform.layers.silver.plan import UNBORN, KnownPath, Plan
from dataplatform.metadata.source import Entity, Source
from dataplatform.names import qualified
from dataplatform.records.holdings import Manifest
from dataplatform.records.refs import EntityRef
from dataplatform.storage.postgres import connected, transaction


@dataclass(frozen=True)
class Pending:
    """One change that the metadata ask for."""

    ref: EntityRef
    plan: Plan
    change: Change
    before: dict[str, KnownPath]

    @property
    def destructive(self) -> bool:
        """Whether values would be lost or have to be made anew from bronze."""
        return self.change.change == "drop" or self.change.rebuild

    def __str__(self) -> str:
        return str(self.change)


def plan_changes(engine: Engine, source: Source) -> list[Pending]:
    """Changes of tables that are there; a table that is not comes with its first batch."""
    result: list[Pending] = []
    with connected(engine) as conn:
        for name, entity in source.entities.items():
            ref = EntityRef(source.source, name)
            before = state.known_paths(conn, ref)
            if not before:
                continue
            plan = planning.make_plan(ref, entity, before, UNBORN)
            there = evolve.existing(conn, [t.name for t in plan.root.tables()])
            found = evolve.changes(plan, there)
            result += [Pending(ref, plan, change, before) for change in found]
    return result


def apply(engine: Engine, pending: Pending) -> None:
    """Carries one change out and notes it."""
    with transaction(engine) as conn:
        conn.execute(sa.text("set local lock_timeout = '30s'"))
        evolve.apply(conn, pending.plan, [pending.change])
        note_schema_change(conn, evolve.rows_of(pending.plan, [pending.change], ""))
        state.put_known(conn, pending.plan, pending.before)


def reset(conn: sa.Connection, ref: EntityRef, entity: Entity, heads: Iterable[Manifest] = ()) -> None:
    """Empties an entity's tables, for a replay.

    What is known of its columns stays; their types are decided by what the manifests of the batches to come hold.
    """
    before = state.known_paths(conn, ref)
    there = evolve.existing(conn, {known.table for known in before.values()} | {ref.table})
    for table in there.tables:
        conn.exec_driver_sql(f"truncate {qualified(evolve.SCHEMA, table)}")
    plan = planning.make_plan(ref, entity, planning.tallied(before, heads, entity), UNBORN)
    changed = evolve.changes(plan, evolve.existing(conn, [t.name for t in plan.root.tables()]))
    evolve.apply(conn, plan, [c for c in changed if c.table in there.tables])
    state.put_known(conn, plan, before)
