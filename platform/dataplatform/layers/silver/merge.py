"""The fast path: merges the newest batch of an entity into silver, by sets.

Keys for which being newest is not enough (an effective time before the open version's, a column never
known before, a return with its own clock) are handed back, for the rebuild to decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg import sql

from dataplatform.layers.silver.columns import Text
from dataplatform.layers.silver.evolve import SCHEMA, indexes
from dataplatform.layers.silver.lanes import Lanes, adopt, place
from dataplatform.layers.silver.plan import Plan, TablePlan
from dataplatform.layers.silver.rows import NO_VALUES, moment_text
from dataplatform.layers.silver.staged import Staged
from dataplatform.layers.silver.staging import (
    CopyBuffer,
    columns_in,
    columns_of,
    copied,
    copy_keys,
    identifiers,
    index_keys,
    stage_name,
    temporary,
    usual,
    with_defaults,
    without_defaults,
)
from dataplatform.records.record import HASH_VERSION

SLOW, GONE = "dp_slow", "dp_gone"
HASH1 = f"uuid default '{NO_VALUES.hex()}'"


@dataclass(frozen=True)
class Batch:
    """What is written into the rows. `at`: microseconds since 1970; `now`: text of a timestamptz.

    `closed`: what ended by then stays as it is, microseconds (see horizon).
    """

    batch_id: str
    run_id: str
    at: int
    now: str
    closed: int | None = None


@dataclass(frozen=True)
class Clocked:
    """Whose times count. `by_source`: records say when they became valid; `column` keeps that time
    where it is overwritten; `last`: time of the newest batch that silver holds, microseconds."""

    by_source: bool
    column: str | None = None
    last: int | None = None


@dataclass
class Done:
    """Rows of the entity's own table that were touched; `removed`: of all its tables."""

    inserted: int = 0
    updated: int = 0
    closed: int = 0
    removed: int = 0

    def add(self, other: Done) -> None:
        self.removed += other.removed
        self.inserted += other.inserted
        self.updated += other.updated
        self.closed += other.closed


class Merger:
    """Takes staged records, then merges them in one go.

    `first`: they go straight into tables where only they are; only then may rows say nothing of their time.
    """

    def __init__(
        self, conn: psycopg.Connection, plan: Plan, batch: Batch, first: bool, lanes: Lanes | None = None
    ) -> None:
        self.conn, self.plan, self.batch, self.first, self.lanes = conn, plan, batch, first, lanes
        self.tables = list(plan.root.tables())
        self.stages = {t.name: stage_name(t, "stage", i) for i, t in enumerate(self.tables)}
        self.buffers = {t.name: self._buffer(t) for t in self.tables}
        self.columns = columns_of(plan, plan)  # of text

    def _buffer(self, table: TablePlan) -> CopyBuffer:
        columns = columns_in(table)
        if self.lanes:
            return CopyBuffer(self.lanes.put, place(table), columns)
        if self.first:
            self.conn.execute(with_defaults(_target(table), _defaults(self.batch)))
            for index, _ in indexes(table):  # made anew after the COPY, sorted: half the work
                self.conn.execute(f"drop index {index}".encode())
            return CopyBuffer(partial(copied, self.conn), _target(table), columns)
        types = {c.name: c.type for c in table.columns}
        system = {"dp_hash1": HASH1, "dp_valid_from": "timestamptz", "dp_index": "integer"}
        name = self.stages[table.name]
        temporary(self.conn, name, [(c, types.get(c) or system.get(c, "uuid")) for c in columns])
        return CopyBuffer(partial(copied, self.conn), sql.Identifier(name), columns)

    def add(self, staged: Staged) -> None:
        for name, rows in staged.fields.items():
            buffer = self.buffers[name]
            for fields in rows:
                buffer.add(fields)

    def add_lines(self, lines: Mapping[str, list[str]]) -> None:
        """COPY lines by table."""
        for name, found in lines.items():
            self.buffers[name].add_lines(found, self.columns[name])

    def add_text(self, text: Text, made_for: Plan) -> None:
        """The same, made elsewhere, for a plan that ours holds."""
        columns = columns_of(self.plan, made_for)
        for name, (data, rows) in text.items():
            self.buffers[name].add_text(data, rows, columns[name])

    def filled(self) -> None:
        """All is there that is to be merged."""
        for buffer in self.buffers.values():
            buffer.flush()
        if self.lanes:
            self.lanes.finish()

    def finish(self, gone: Iterable[bytes], clocked: Clocked, oldest: str) -> tuple[Done, list[bytes]]:
        """Merges what was filled in; returns what was done, and the keys that the rebuild has to decide."""
        if self.lanes:
            adopt(self.conn, self.plan, _common(self.batch))
        if self.first:
            for table in self.tables:
                self.conn.execute(without_defaults(_target(table), _defaults(self.batch)))
                for _, ddl in indexes(table):
                    self.conn.execute(ddl.encode())
                # what merges look at; the rest is autovacuum's, it costs a tenth of the load
                self.conn.execute(sql.SQL("analyze {} (dp_key, dp_current)").format(_target(table)))
            return Done(inserted=self.buffers[self.plan.root.name].rows), []
        for table in self.tables:
            stage = sql.Identifier(self.stages[table.name])
            index_keys(self.conn, self.stages[table.name])
            self.conn.execute(sql.SQL("analyze {} (dp_key)").format(stage))
        copy_keys(self.conn, GONE, gone)
        slow = self._set_aside(clocked, oldest)
        done = Done()
        for table in self.tables:
            did = self._merge(table)
            if not table.is_child:
                done = did
        return done, slow

    def _set_aside(self, clocked: Clocked, oldest: str) -> list[bytes]:
        """Takes the keys out of the stages that this path cannot decide."""
        temporary(self.conn, SLOW, [("dp_key", "uuid")])
        root = self.plan.root
        self._find(
            _SLOW_OPEN.format(
                slow=sql.Identifier(SLOW),
                stage=self._stage(root),
                target=_target(root),
                clock=clock(clocked.column),
                new=_new_columns(root, oldest),
            )
        )
        self._find(
            _SLOW_GONE.format(
                slow=sql.Identifier(SLOW),
                gone=sql.Identifier(GONE),
                target=_target(root),
                at=sql.Literal(moment_text(self.batch.at)),
            )
        )
        if clocked.by_source:
            self._find(
                _SLOW_RETURN.format(slow=sql.Identifier(SLOW), stage=self._stage(root), target=_target(root))
            )
            self._find_late(clocked)
        for table in self.tables:
            if table.is_child:
                self._find(
                    _SLOW_CHILD.format(
                        slow=sql.Identifier(SLOW),
                        stage=self._stage(table),
                        target=_target(table),
                        new=_new_columns(table, oldest),
                    )
                )
                if clocked.by_source:
                    self._find(
                        _SLOW_CHILD_TIME.format(
                            slow=sql.Identifier(SLOW), root=self._stage(root), target=_target(table)
                        )
                    )
        query = sql.SQL("select distinct dp_key from {}").format(sql.Identifier(SLOW))
        keys = [row[0].bytes for row in self.conn.execute(query)]
        if keys:
            for table in self.tables:
                column = "dp_root_key" if table.is_child else "dp_key"
                self._remove(self._stage(table), column)
            self._remove(sql.Identifier(GONE), "dp_key")
        return keys

    def _find_late(self, clocked: Clocked) -> None:
        """Changes dated before the last batch: what that batch saw again, unchanged, comes after them."""
        if clocked.last is None:
            return
        for table in self.tables:
            parts = {
                "slow": sql.Identifier(SLOW),
                "stage": self._stage(table),
                "target": _target(table),
                "root": _target(self.plan.root),
                "roots": self._stage(self.plan.root),
                "last": sql.Literal(moment_text(clocked.last)),
                "root_key": sql.Identifier("dp_root_key" if table.is_child else "dp_key"),
            }
            self._find(_SLOW_LATE.format(**parts))
            if table.is_child:
                self._find(_SLOW_LATE_LEFT.format(**parts))

    def _stage(self, table: TablePlan) -> sql.Identifier:
        return sql.Identifier(self.stages[table.name])

    def _find(self, statement: sql.Composed) -> None:
        self.conn.execute(statement)

    def _remove(self, table: sql.Identifier, column: str) -> None:
        self.conn.execute(
            sql.SQL("delete from {} where {} in (select dp_key from {})").format(
                table, sql.Identifier(column), sql.Identifier(SLOW)
            )
        )

    def _merge(self, table: TablePlan) -> Done:
        """Closes what ended, overwrites SCD1, then inserts new versions."""
        root_key = sql.Identifier("dp_root_key" if table.is_child else "dp_key")
        parts = {
            "target": _target(table),
            "stage": self._stage(table),
            "gone": sql.Identifier(GONE),
            "roots": self._stage(self.plan.root),
            "root_key": root_key,
            "at": sql.Literal(moment_text(self.batch.at)),
            "now": sql.Literal(self.batch.now),
            "batch": sql.Literal(self.batch.batch_id),
        }
        closed = self.conn.execute(_DELETED.format(**parts)).rowcount
        if table.is_child:
            closed += self.conn.execute(_LEFT.format(**parts)).rowcount
        closed += self.conn.execute(_CLOSED.format(**parts)).rowcount
        updated = 0
        if table.scd1:
            names = ["dp_hash1", *(c.name for c in table.columns if c.scd == 1)]
            pairs = sql.SQL(", ").join(sql.SQL("{0} = s.{0}").format(sql.Identifier(n)) for n in names)
            updated = self.conn.execute(_UPDATED.format(**parts, pairs=pairs)).rowcount
        columns = columns_in(table)
        constants = _constants(self.batch)
        statement = _INSERTED.format(
            **parts,
            columns=identifiers([*columns, *constants]),
            values=sql.SQL(", ").join(
                [
                    *(sql.SQL("s.{}").format(sql.Identifier(c)) for c in columns),
                    *(sql.Literal(v) for v in constants.values()),
                ]
            ),
        )
        inserted = self.conn.execute(statement).rowcount
        return Done(inserted, updated, closed)


def _common(batch: Batch) -> dict[str, object]:
    """What the system columns hold in all rows of a first load."""
    return _constants(batch) | {"dp_current": "true", "dp_deleted": "false"}


def _defaults(batch: Batch) -> dict[str, object]:
    """The same, and what rows hold where text says nothing of it."""
    return _common(batch) | usual(batch.at)


def _constants(batch: Batch) -> dict[str, object]:
    return {
        "dp_hash_version": HASH_VERSION,
        "dp_batch_id": batch.batch_id,
        "dp_updated_batch_id": batch.batch_id,
        "dp_run_id": batch.run_id,
        "dp_created_at": batch.now,
        "dp_updated_at": batch.now,
    }


def _target(table: TablePlan) -> sql.Identifier:
    return sql.Identifier(SCHEMA, table.name)


def clock(effective: str | None) -> sql.Composable:
    """Latest valid time an open version has seen: its own start, or its source's clock (SCD1)."""
    if effective is None:
        return sql.SQL("o.dp_valid_from")
    return sql.SQL("greatest(o.dp_valid_from, o.{}::timestamptz)").format(sql.Identifier(effective))


def _new_columns(table: TablePlan, oldest: str) -> sql.Composable:
    """Whether a column of which nothing was known when the open version began gets its first value."""
    checks = [
        sql.SQL(
            " or (s.{0} is not null and o.{0} is null and (o.dp_batch_id < {1} or o.dp_batch_id <= {2}))"
        ).format(sql.Identifier(c.name), sql.Literal(c.first_batch), sql.Literal(c.silent_batch))
        for c in table.columns
        if c.first_batch > oldest or c.silent_batch
    ]
    return sql.SQL("").join(checks)


_SLOW_OPEN = sql.SQL("""
    insert into {slow} select s.dp_key from {stage} s join {target} o using (dp_key)
    where o.dp_current and (
        s.dp_valid_from < {clock}
        or (s.dp_valid_from = {clock}
            and (s.dp_hash1, s.dp_hash2) is distinct from (o.dp_hash1, o.dp_hash2))
        {new})""")
_SLOW_GONE = sql.SQL("""
    insert into {slow} select g.dp_key from {gone} g join {target} o using (dp_key)
    where o.dp_current and o.dp_valid_from >= {at}""")
_SLOW_RETURN = sql.SQL("""
    insert into {slow} select s.dp_key from {stage} s
    where exists (select from {target} h where h.dp_key = s.dp_key)
      and not exists (select from {target} o where o.dp_key = s.dp_key and o.dp_current)""")
_SLOW_CHILD = sql.SQL("""
    insert into {slow} select s.dp_root_key from {stage} s join {target} o using (dp_key)
    where o.dp_current and (o.dp_valid_from > s.dp_valid_from {new})""")
_SLOW_CHILD_TIME = sql.SQL("""
    insert into {slow} select r.dp_key from {root} r join {target} h on h.dp_root_key = r.dp_key
    where h.dp_valid_from >= r.dp_valid_from or h.dp_valid_to > r.dp_valid_from""")

_SLOW_LATE = sql.SQL("""
    insert into {slow} select s.{root_key} from {stage} s where s.dp_valid_from <= {last}
      and exists (select from {root} o where o.dp_key = s.{root_key} and o.dp_current)
      and not exists (select from {target} t where t.dp_key = s.dp_key and t.dp_current
        and (t.dp_hash1, t.dp_hash2) is not distinct from (s.dp_hash1, s.dp_hash2))""")
_SLOW_LATE_LEFT = sql.SQL("""
    insert into {slow} select t.dp_root_key from {target} t join {roots} r on r.dp_key = t.dp_root_key
    where t.dp_current and r.dp_valid_from <= {last}
      and not exists (select from {stage} s where s.dp_key = t.dp_key)""")

_DELETED = sql.SQL("""
    update {target} t set dp_valid_to = {at}, dp_current = false, dp_deleted = true,
        dp_updated_batch_id = {batch}, dp_updated_at = {now}
    from {gone} g where t.dp_current and t.{root_key} = g.dp_key""")
_LEFT = sql.SQL("""
    update {target} t set dp_valid_to = r.dp_valid_from, dp_current = false, dp_deleted = true,
        dp_updated_batch_id = {batch}, dp_updated_at = {now}
    from {roots} r where t.dp_current and t.dp_root_key = r.dp_key
        and not exists (select from {stage} s where s.dp_key = t.dp_key)""")
_CLOSED = sql.SQL("""
    update {target} t set dp_valid_to = s.dp_valid_from, dp_current = false,
        dp_updated_batch_id = {batch}, dp_updated_at = {now}
    from {stage} s where t.dp_current and t.dp_key = s.dp_key and t.dp_hash2 <> s.dp_hash2""")
_UPDATED = sql.SQL("""
    update {target} t set {pairs}, dp_updated_batch_id = {batch}, dp_updated_at = {now}
    from {stage} s where t.dp_current and t.dp_key = s.dp_key and t.dp_hash2 = s.dp_hash2
        and t.dp_hash1 <> s.dp_hash1""")
_INSERTED = sql.SQL("""
    insert into {target} ({columns}, dp_current, dp_deleted) select {values}, true, false
    from {stage} s where not exists (
        select from {target} t where t.dp_key = s.dp_key and t.dp_current)""")
