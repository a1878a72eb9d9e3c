"""The platform's work: runs without a process, schedules that did not fire, batches that wait, secrets, clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from dataplatform.audit import record as audit
from dataplatform.audit import tables as t
from dataplatform.context import Platform
from dataplatform.layers import raw
from dataplatform.metadata.source import CronTrigger, IntervalTrigger, Source
from dataplatform.metadata.triggers import RRuleTrigger
from dataplatform.names import batch_time
from dataplatform.reading.due import due_after
from dataplatform.reading.expiring import SOON, access
from dataplatform.reading.status import last_backup
from dataplatform.records.refs import EntityRef, RunRef
from dataplatform.runs.locks import dead_among
from dataplatform.runs.recover import process_waiting
from dataplatform.storage import FileStore
from dataplatform.storage.postgres import connected, transaction
from dataplatform.upkeep.backup.keep import archives
from dataplatform.upkeep.doctor.finding import Finding

DIED = "its process ended without a word; doctor closed it"
SKEW = 5.0  # seconds
OLD = timedelta(days=3)  # of a backup
GRACE = timedelta(minutes=30)  # that a schedule may be late


def work(platform: Platform, now: datetime | None = None) -> Iterator[Finding]:
    """`now` in UTC."""
    now = now or datetime.now(UTC)
    yield from clocks(platform, now)
    yield from runs(platform)
    yield from schedules(platform, now)
    yield from waiting(platform)
    yield from secrets(platform, now)
    yield from metadata(platform)
    yield backups(platform, now)


def backups(platform: Platform, now: datetime) -> Finding:
    """Whether one was made lately, and whether the newest try went well."""
    with connected(platform.engine) as conn:
        last = last_backup(conn)
    remedy = "dataplatform backup; while `up` runs, a flow makes one every night"
    there = archives(
        FileStore(platform.settings.backup_location)
    )  # one may be known to a database of before only
    made = [one.made_at for one in there] + ([last.succeeded_at] if last and last.succeeded_at else [])
    if not made:
        failed = f": {last.error}" if last is not None and last.error else ""
        return Finding("warning", "backup", f"there is none{failed}", remedy)
    age = now - max(made)
    text = f"the newest is {age.days} days old" if age.days else "the newest is less than a day old"
    if last is not None and last.error:
        return Finding("problem", "backup", f"{text}, and the last try failed: {last.error}", remedy)
    return Finding("warning" if age > OLD else "ok", "backup", text, remedy if age > OLD else "")


def metadata(platform: Platform) -> Iterator[Finding]:
    """Files of metadata that are out."""
    problems = platform.catalog.problems
    for one in problems:
        yield Finding("problem", "metadata", str(one), "dataplatform check")
    if not problems:
        yield Finding("ok", "metadata", f"{len(platform.catalog.sources)} sources")


def clocks(platform: Platform, now: datetime) -> Iterator[Finding]:
    """Ours against Postgres', and against the newest batch."""
    with connected(platform.engine) as conn:
        theirs = conn.execute(sa.text("select clock_timestamp()")).scalar_one()
    skew = abs((datetime.now(UTC) - theirs).total_seconds())
    newest = max(
        (b for s in platform.catalog.sources for b in raw.batches(platform.raw, s)[-1:]), default=None
    )
    if newest is not None and batch_time(newest) > now + timedelta(seconds=SKEW):
        yield Finding(
            "problem",
            "clock",
            f"the batch {newest} is of the future: this clock went back, or another machine's is ahead",
            "set the clock (NTP); batches until then would count as older than that one",
        )
    elif skew > SKEW:
        text = f"it is {skew:.0f} seconds off Postgres'"
        yield Finding("warning", "clock", text, "set both clocks by NTP: the order of batches is theirs")
    else:
        yield Finding("ok", "clock", f"{now:%Y-%m-%d %H:%M} UTC, as Postgres has it")


def runs(platform: Platform) -> Iterator[Finding]:
    """Those that say they run, and whose process does not live."""
    with connected(platform.engine) as conn:
        dead = sorted(dead_among(conn, audit.running(conn)))
    if not dead:
        yield Finding("ok", "runs", "none hangs")
        return
    text = f"{len(dead)} say that they run and have no process: {', '.join(dead[:3])}"
    remedy = "dataplatform doctor --fix closes them; the next run of the source goes on with what they left"
    yield Finding("problem", "runs", text, remedy, lambda: _close(platform, dead))


def _close(platform: Platform, dead: list[str]) -> str:
    with transaction(platform.engine) as conn:
        for run_id in dead:
            audit.finish_dead_run(conn, RunRef(run_id), DIED)
    return f"{len(dead)} runs closed"


def schedules(platform: Platform, now: datetime) -> Iterator[Finding]:
    """Sources that should have run since they did."""
    with connected(platform.engine) as conn:
        query = sa.select(t.run.c.source, sa.func.max(t.run.c.started_at)).group_by(t.run.c.source)
        last = {row[0]: row[1] for row in conn.execute(query)}
    late = {
        name: due
        for name, source in platform.catalog.sources.items()
        if name in last and (due := _due(source, last[name])) is not None and due + GRACE < now
    }
    never = [
        name
        for name, source in platform.catalog.sources.items()
        if any(isinstance(t, CronTrigger | IntervalTrigger | RRuleTrigger) for t in source.triggers)
        and name not in last
    ]
    for name, due in sorted(late.items()):
        text = f"{name} was due at {due:%Y-%m-%d %H:%M} UTC and has not run since {last[name]:%Y-%m-%d %H:%M}"
        yield Finding(
            "problem", "schedules", text, "is `dataplatform up` (or the worker) running? then: deploy"
        )
    for name in sorted(never):
        yield Finding(
            "warning", "schedules", f"{name} has a trigger and never ran", "dataplatform up, or deploy"
        )
    if not late and not never:
        yield Finding("ok", "schedules", "none is late")


def _due(source: Source, last: datetime) -> datetime | None:
    """When a source should have run next after a time."""
    found = [due for trigger in source.triggers if (due := due_after(trigger, last)) is not None]
    return min(found, default=None)


def waiting(platform: Platform) -> Iterator[Finding]:
    """Batches that are landed and not loaded."""
    found: dict[EntityRef, list[str]] = {}
    with connected(platform.engine) as conn:
        for name in platform.catalog.sources:
            found |= audit.unprocessed(conn, name)
    number = sum(map(len, found.values()))
    if not number:
        yield Finding("ok", "batches", "none waits to be loaded")
        return
    text = f"{number} are landed and not in silver: {', '.join(map(str, sorted(found)[:3]))}"
    names = sorted({ref.source for ref in found})
    remedy = "the sweep does it while `up` runs; else: dataplatform doctor --fix, or run the source"
    yield Finding("warning", "batches", text, remedy, lambda: _load(platform, names))


def _load(platform: Platform, names: list[str]) -> str:
    done = [batch for name in names for batch in process_waiting(platform, name, RunRef())]
    return f"{len(done)} batches loaded"


def secrets(platform: Platform, now: datetime) -> Iterator[Finding]:
    """Those that sources name: there, and not about to end; connections, too."""
    found = access(platform)
    for one in found.missing:
        yield Finding("problem", "secrets", f"{one.source}: {one.error}", one.remedy)
    for end in found.endings:
        if end.at is None or end.at < now + SOON:
            over = end.at is None or end.at < now
            when = f"{'ended' if over else 'ends'} on {end.at:%Y-%m-%d}" if end.at else "has ended"
            text = f"{end.what} of {end.source} {when}"
            yield Finding("problem" if over else "warning", "secrets", text, end.remedy)
    if not found.missing:
        yield Finding("ok", "secrets", "all that sources name are there")
