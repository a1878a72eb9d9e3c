"""What changed metadata mean for silver's tables, before any batch comes."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.audit.record import note_schema_change
from dataplatform.layers.silver import evolve, state
from dataplatform.layers.silver import plan as planning
from dataplatform.layers.silver.evolve import Change
from dataplatform.layers.silver.plan import UNBORN, Known, Plan
from dataplatform.metadata.source import Entity, Source
from dataplatform.names import qualified
from dataplatform.storage.postgres import database_errors


@dataclass(frozen=True)
class Pending:
    """One change that the metadata ask for."""

    source: str
    plan: Plan
    change: Change
    before: dict[str, Known]

    @property
    def destructive(self) -> bool:
        """Whether values would be lost or have to be made anew from bronze."""
        return self.change.change == "drop" or self.change.rebuild

    def __str__(self) -> str:
        return str(self.change)


def plan_changes(engine: Engine, source: Source) -> list[Pending]:
    """Changes of tables that are there; a table that is not comes with its first batch."""
    result: list[Pending] = []
    with database_errors(engine), engine.connect() as conn:
        for name, entity in source.entities.items():
            before = state.known_paths(conn, source.source, name)
            if not before:
                continue
            plan = planning.make_plan(source.source, name, entity, before, UNBORN)
            there = evolve.existing(conn, [t.name for t in plan.root.tables()])
            found = evolve.changes(plan, there)
            result += [Pending(source.source, plan, change, before) for change in found]
    return result


def apply(engine: Engine, pending: Pending) -> None:
    """Carries one change out and notes it."""
    with database_errors(engine), engine.begin() as conn:
        conn.execute(sa.text("set local lock_timeout = '30s'"))
        evolve.apply(conn, pending.plan, [pending.change])
        note_schema_change(conn, evolve.rows_of(pending.plan, [pending.change], ""))
        state.put_known(conn, pending.plan, pending.before)


def reset(conn: sa.Connection, source: str, name: str, entity: Entity) -> None:
    """Empties an entity's tables, for a replay; what is known of its columns stays."""
    plan = planning.make_plan(source, name, entity, state.known_paths(conn, source, name), UNBORN)
    there = evolve.existing(conn, [t.name for t in plan.root.tables()])
    for table in plan.root.tables():
        if table.name in there.tables:
            conn.exec_driver_sql(f"truncate {qualified(evolve.SCHEMA, table.name)}")
