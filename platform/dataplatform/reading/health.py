"""Whether everything is well: every entity and gold model with the worst of what is known of it, and what mends it.

A few queries for all of them, whose cost follows their number and not that of runs, rows or records in quarantine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from dataplatform.context import Platform
from dataplatform.layers.bronze import upkeep
from dataplatform.layers.gold.tables import gold_model
from dataplatform.metadata import Catalog
from dataplatform.metadata.source import CronTrigger, Entity, IntervalTrigger, Source
from dataplatform.reading.due import due_after
from dataplatform.reading.expiring import CONNECTION, NOTHING, SOON, Access
from dataplatform.reading.lineage import Lineage
from dataplatform.records.refs import EntityRef
from dataplatform.storage.postgres import connected

State = Literal["good", "new", "warn", "bad"]
RANK: dict[str, int] = {"good": 0, "new": 1, "warn": 2, "bad": 3}
GRACE = timedelta(minutes=15)  # a run needs its time, and a worker may have others before it
NEWEST = 10  # runs of a source that are looked at for the last good one
BEHIND = timedelta(minutes=15)  # gold may be older than silver by so much


@dataclass(frozen=True)
class Finding:
    """One thing about an entity or a model. `mend`: run, quarantine, look, settings, gold, connect, secret or empty."""

    kind: str
    state: State
    text: str
    mend: str = ""


@dataclass(frozen=True)
class EntityHealth:
    """An entity. `rows`: about so many, -1 where Postgres has not counted yet; `checked_at`: its last good run; UTC."""

    source: str
    entity: str
    table: str
    findings: tuple[Finding, ...]
    rows: int
    quarantine: int
    loaded_at: datetime | None
    checked_at: datetime | None
    batch_id: str = ""

    @property
    def state(self) -> State:
        return worst(f.state for f in self.findings)

    @property
    def why(self) -> Finding | None:
        """The worst finding; of equals the one about who lets us in, for the others follow from it."""
        return max(self.findings, key=lambda f: (RANK[f.state], f.kind == "access"), default=None)


@dataclass(frozen=True)
class ModelHealth:
    """A gold model."""

    name: str
    findings: tuple[Finding, ...]
    rows: int
    built_at: datetime | None
    materialized: str

    @property
    def state(self) -> State:
        return worst(f.state for f in self.findings)

    @property
    def why(self) -> Finding | None:
        return max(self.findings, key=lambda f: RANK[f.state], default=None)


@dataclass(frozen=True)
class Health:
    """Everything; `problems` are files of metadata that are out, as texts."""

    entities: tuple[EntityHealth, ...]
    models: tuple[ModelHealth, ...]
    problems: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many entities and models are in each state."""
        found = dict.fromkeys(("good", "new", "warn", "bad"), 0)
        for state in self._states():
            found[state] += 1
        return found

    @property
    def state(self) -> State:
        return worst([*self._states(), *(["bad"] if self.problems else [])])

    def _states(self) -> list[State]:
        return [*(e.state for e in self.entities), *(m.state for m in self.models)]


@dataclass(frozen=True)
class _Known:
    """What the queries found, by entity; `good_runs`: when each was last part of one."""

    loads: Mapping[EntityRef, Any]
    good_runs: Mapping[EntityRef, datetime]
    checks: Mapping[EntityRef, list[tuple[str, str, str]]]
    waiting: Mapping[EntityRef, int]
    rows: Mapping[str, int]
    access: Access = NOTHING
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


def worst(states: Any) -> State:
    found: State = "good"
    for state in states:
        if RANK[state] > RANK[found]:
            found = state
    return found


def health(platform: Platform, lineage: Lineage, only: str = "", access: Access = NOTHING) -> Health:
    """`lineage` of the platform's catalog, `access` to its sources: who asks often keeps them. `only`: entities of
    that source alone.

    Raises ServerError where a server is gone.
    """
    catalog = platform.catalog
    wanted = [catalog.source(only)] if only else catalog.sources.values()
    refs = [EntityRef(s.source, name) for s in wanted for name in s.entities]
    with ThreadPoolExecutor(1) as beside, connected(platform.engine) as conn:
        waiting = beside.submit(upkeep.waiting, platform.bronze, only)  # MongoDB counts while Postgres reads
        known = replace(_known(conn, refs, waiting), access=access)
        built = {row.name: row for row in conn.execute(sa.select(gold_model))}
        changed = _last_changes(conn, refs)
    entities = tuple(_entity_of(catalog, ref, known) for ref in refs)
    models = tuple(_model(name, built.get(name), lineage, changed) for name in sorted(catalog.models))
    return Health(entities, models, tuple(map(str, catalog.problems)))


def health_of(platform: Platform, source: str, access: Access = NOTHING) -> tuple[EntityHealth, ...]:
    """The entities of one source."""
    refs = [EntityRef(source, name) for name in platform.catalog.source(source).entities]
    with ThreadPoolExecutor(1) as beside, connected(platform.engine) as conn:
        known = _known(conn, refs, beside.submit(upkeep.waiting, platform.bronze, source))
        known = replace(known, access=access)
    return tuple(_entity_of(platform.catalog, ref, known) for ref in refs)


def _known(conn: sa.Connection, refs: Sequence[EntityRef], waiting: Future[dict[EntityRef, int]]) -> _Known:
    loads, runs, checks = _last_loads(conn, refs), _good_runs(conn, refs), _failed_checks(conn, refs)
    return _Known(loads, runs, checks, waiting.result(), _estimates(conn))


def _entity_of(catalog: Catalog, ref: EntityRef, known: _Known) -> EntityHealth:
    source = catalog.sources[ref.source]
    return _entity(source, source.entities[ref.name], ref, known)


def _entity(source: Source, entity: Entity, ref: EntityRef, known: _Known) -> EntityHealth:
    load, waiting = known.loads.get(ref), known.waiting.get(ref, 0)
    good = [load.finished_at] if load is not None and load.status == "done" else []
    good += [known.good_runs[ref]] if ref in known.good_runs and load is not None else []
    checked = max(good, default=None)
    findings = [
        *_of_load(load),
        *_of_access(ref.source, known),
        *_of_freshness(source, entity, checked, known.now),
    ]
    findings += [_of_check(*check) for check in known.checks.get(ref, ())]
    if waiting:
        noun = "record waits" if waiting == 1 else "records wait"
        findings.append(Finding("quarantine", "warn", f"{waiting:,} {noun} in quarantine", "quarantine"))
    return EntityHealth(
        ref.source, ref.name, f"silver.{ref.table}", tuple(findings), known.rows.get(ref.table, 0), waiting,
        load.finished_at if load is not None else None, checked, load.batch_id if load is not None else "",
    )  # fmt: skip


def _of_load(load: Any) -> list[Finding]:
    if load is None:
        return [Finding("load", "new", "nothing was loaded yet", "run")]
    if load.status == "failed":
        first = (load.error or "it failed").strip().splitlines()[0]
        mend = "settings" if "the secret " in first else "run"
        return [Finding("load", "bad", f"the last load failed: {first}", mend)]
    return []


def _of_access(source: str, known: _Known) -> Iterator[Finding]:
    """What lets us in, and has ended or soon will."""
    if source in known.access.unconnected:
        yield Finding("access", "warn", "nobody has connected it yet", "connect")
    for end in known.access.endings:
        if end.source == source and (end.at is None or end.at < known.now + SOON):
            over = end.at is None or end.at < known.now
            text = end.text(known.now).removesuffix(f": {end.remedy}")
            yield Finding(
                "access", "bad" if over else "warn", text, "connect" if end.what == CONNECTION else "secret"
            )


def _of_check(check: str, status: str, found: str) -> Finding:
    text = f"check {check}: {found}" if found else f"check {check} {status}"
    return Finding("check", "bad" if status == "failed" else "warn", text, "look")


def _of_freshness(source: Source, entity: Entity, last: datetime | None, now: datetime) -> list[Finding]:
    if last is None:
        return []
    due = due_since(source, entity, last, now)
    if due is None:
        return []
    return [Finding("freshness", "warn", f"its last good run was {ago(now - last)} ago; {due}", "run")]


def due_since(source: Source, entity: Entity, last: datetime, now: datetime) -> str | None:
    """Why the entity is late, in words; None where it is not."""
    if entity.fresh_within is not None:
        late = now - last > entity.fresh_within
        return f"`fresh_within` allows {ago(entity.fresh_within)}" if late else None
    for trigger in source.triggers:
        due = due_after(trigger, last)
        if due is None:
            continue
        if isinstance(trigger, IntervalTrigger):
            if now > due + max(GRACE, trigger.every / 2):
                return f"it is to run every {ago(trigger.every)}"
        elif due < now - GRACE:
            said = trigger.cron if isinstance(trigger, CronTrigger) else getattr(trigger, "rrule", "")
            return f"the schedule `{said}` was due {ago(now - due)} ago"
    return None


def ago(span: timedelta) -> str:
    """A span in its largest unit: `3 hours`."""
    seconds = int(span.total_seconds())
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = seconds // size
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{max(seconds, 0)} seconds"


def _model(name: str, row: Any, lineage: Lineage, changed: Mapping[str, datetime]) -> ModelHealth:
    if row is None:
        return ModelHealth(name, (Finding("build", "new", "it was never built", "gold"),), 0, None, "")
    reads = next((m.tables for m in lineage.models if m.name == name), None)
    findings: list[Finding] = []
    if reads is None:
        findings.append(Finding("file", "bad", "its file, or one that it reads, is wrong: see check", "look"))
    newest = max((changed[t] for t in reads or () if t in changed), default=None)
    if newest is not None and newest > row.built_at + BEHIND and row.materialized != "view":
        text = f"silver has changed {ago(newest - row.built_at)} after it was built"
        findings.append(Finding("freshness", "warn", text, "gold"))
    return ModelHealth(name, tuple(findings), row.rows, row.built_at, row.materialized)


_OF_ENTITIES = "unnest(cast(:sources as text[]), cast(:names as text[])) as e(source, entity)"


def _bound(refs: Sequence[EntityRef]) -> dict[str, list[str]]:
    return {"sources": [r.source for r in refs], "names": [r.name for r in refs]}


def _last_loads(conn: sa.Connection, refs: Sequence[EntityRef]) -> dict[EntityRef, Any]:
    """The newest load of silver of each, also one that failed before it: whichever layer is last."""
    query = sa.text(
        f"select l.* from {_OF_ENTITIES} cross join lateral (select source, entity, layer, batch_id, status, error, "
        "finished_at from audit.load l where l.source = e.source and l.entity = e.entity and l.batch_id = "
        "greatest((select max(batch_id) from audit.load m where m.source = e.source and m.entity = e.entity "
        "and m.layer = 'silver'), (select max(batch_id) from audit.load m where m.source = e.source "
        "and m.entity = e.entity and m.layer = 'raw')) "
        "order by (status = 'failed') desc, finished_at desc limit 1) l"
    )
    rows = conn.execute(query, _bound(refs))
    return {EntityRef(row.source, row.entity): row for row in rows}


def _last_changes(conn: sa.Connection, refs: Sequence[EntityRef]) -> dict[str, datetime]:
    """When each table of silver last got something new, by `silver.table`, its current view and its name alone."""
    query = sa.text(
        f"select e.source, e.entity, l.finished_at from {_OF_ENTITIES} cross join lateral (select finished_at "
        "from audit.load l where l.source = e.source and l.entity = e.entity and l.layer = 'silver' "
        "and l.status = 'done' and inserted + updated + closed > 0 order by batch_id desc limit 1) l"
    )
    found: dict[str, datetime] = {}
    for row in conn.execute(query, _bound(refs)):
        table = EntityRef(row.source, row.entity).table
        found |= {f"{schema}.{table}": row.finished_at for schema in ("silver", "silver_current")}
    return found


def _good_runs(conn: sa.Connection, refs: Sequence[EntityRef]) -> dict[EntityRef, datetime]:
    """When each was last part of one of its source's newest runs that went well: one that found nothing counts, too."""
    query = sa.text(
        "select e.source, r.finished_at, parameters -> 'entities' as names from unnest(cast(:sources as text[])) "
        "as e(source) cross join lateral (select finished_at, parameters from audit.run r where r.source = e.source "
        "and r.status in ('done', 'done with warnings') and finished_at is not null "
        f"order by started_at desc limit {NEWEST}) r"
    )
    found: dict[EntityRef, datetime] = {}
    for row in conn.execute(query, {"sources": sorted({r.source for r in refs})}):
        for name in row.names or ():
            found.setdefault(EntityRef(row.source, name), row.finished_at)
    return found


def _failed_checks(
    conn: sa.Connection, refs: Sequence[EntityRef]
) -> dict[EntityRef, list[tuple[str, str, str]]]:
    """What did not pass of the newest checked batch of each."""
    query = sa.text(
        f'select c.source, c.entity, c."check", c.status, c.found from {_OF_ENTITIES} cross join lateral '
        "(select max(batch_id) as batch_id from audit.check_result c where c.source = e.source "
        "and c.entity = e.entity) n join audit.check_result c on c.source = e.source and c.entity = e.entity "
        "and c.batch_id = n.batch_id and c.status <> 'passed' order by c.id"
    )
    found: dict[EntityRef, list[tuple[str, str, str]]] = {}
    for row in conn.execute(query, _bound(refs)):
        found.setdefault(EntityRef(row.source, row.entity), []).append((row.check, row.status, row.found))
    return found


def _estimates(conn: sa.Connection) -> dict[str, int]:
    """About how many rows silver's tables hold, as Postgres knows without counting; live rows where it never looked."""
    query = sa.text(
        "select c.relname, case when c.reltuples < 0 then coalesce(s.n_live_tup, -1) else c.reltuples end::bigint "
        "from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_stat_all_tables s "
        "on s.relid = c.oid where n.nspname = 'silver' and c.relkind in ('r', 'p')"
    )
    return {name: int(number) for name, number in conn.execute(query)}
