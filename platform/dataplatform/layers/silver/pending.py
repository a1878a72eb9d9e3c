"""What changed metadata mean for silver's tables, before any batch comes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.audit.record import note_schema_change
from dataplatform.layers.silver import evolve, state
from dataplatform.layers.silver import known as known_paths
from dataplatform.layers.silver import plan as planning
from dataplatform.layers.silver.evolve import Change
from dataplatform.layers.silver.known import KnownPath
from dataplatform.layers.silver.plan import UNBORN, Plan
from dataplatform.layers.silver.upkeep import tables_there
from dataplatform.metadata.source import Entity, Source
from dataplatform.names import qualified
from dataplatform.records.holdings import Manifest
from dataplatform.records.refs import EntityRef
from dataplatform.storage.postgres import connected, transaction


@dataclass(frozen=True)
class Pending:
    """One change of a table that the metadata ask for."""

    ref: EntityRef
    plan: Plan
    change: Change
    before: dict[str, KnownPath]

    @property
    def remakes(self) -> bool:
        """Whether values are made anew from bronze: the next run does it, with all of history at hand."""
        return self.change.change == "drop" or self.change.rebuild

    def __str__(self) -> str:
        return str(self.change)


@dataclass(frozen=True)
class Rewrite:
    """Rows that the next run makes anew, and why."""

    ref: EntityRef
    why: str
    rows: int

    def __str__(self) -> str:
        return f"{self.ref}: {self.why}; the next run makes its {self.rows:,} rows anew"


_PARTS = (
    "hash rule",
    "source",
    "entity",
    "key",
    "effective_at",
    "partial",
    "columns",
    "children",
    "null_values",
    "checks",
)


def rewrites(engine: Engine, source: Source) -> list[Rewrite]:
    """What the metadata say otherwise than when silver was loaded, where that concerns rows that are there."""
    found = []
    with connected(engine) as conn:
        for name, entity in source.entities.items():
            ref = EntityRef(source.source, name)
            known, rule = state.known_rule(conn, ref), planning.history_rule(ref, entity)
            rows = state.count_rows(conn, ref) if known not in (None, rule) else 0
            if rows and known:
                found += [Rewrite(ref, why, rows) for why in _differences(known, rule)]
    return found


def _differences(old: str, new: str) -> list[str]:
    """In words; a rule of an older release is kept as its hash only."""
    if not old.startswith("["):
        return ["it was loaded by an older release, whose rules differ"]
    pairs = dict(zip(_PARTS, zip_longest(json.loads(old), json.loads(new)), strict=False))
    found = [
        f"`{part}` was {_said(was)} and now is {_said(now)}"
        for part, (was, now) in pairs.items()
        if was != now and part != "columns"
    ]
    was, now = pairs["columns"]
    for path in sorted({*was, *now}):
        before, after = (
            dict(zip(("scd", "type", "format"), c.get(path, (2, None)), strict=False)) for c in (was, now)
        )
        found += [
            f"column {path}: `{what}` was {_said(before.get(what))} and now is {_said(after.get(what))}"
            for what in ("scd", "type", "format")
            if before.get(what) != after.get(what)
        ]
    return found


def _said(value: Any) -> str:
    return "not said" if value is None else ", ".join(value) if isinstance(value, list) else str(value)


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


def reset(
    conn: sa.Connection,
    ref: EntityRef,
    entity: Entity,
    heads: Iterable[Manifest] = (),
    refused: Iterable[Manifest] = (),
) -> None:
    """Empties an entity's tables, for a replay.

    What is known of its columns stays; their types are decided by what the manifests of the batches to come hold, and
    those of the batches that stay out.
    """
    before = state.known_paths(conn, ref)
    there = evolve.existing(
        conn, tables_there(conn, ref)
    )  # of a list of empty objects no path names the table
    for table in there.tables:
        conn.exec_driver_sql(f"truncate {qualified(evolve.SCHEMA, table)}")
    plan = planning.make_plan(ref, entity, known_paths.tallied(before, heads, entity, refused), UNBORN)
    changed = evolve.changes(plan, evolve.existing(conn, [t.name for t in plan.root.tables()]))
    evolve.apply(conn, plan, [c for c in changed if c.table in there.tables])
    state.put_known(conn, plan, before)
