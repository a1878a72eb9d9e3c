"""What is so now: for each condition its subjects (a source, an entity; "" for SQL), each with why, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from dataplatform.audit import tables as t
from dataplatform.context import Platform
from dataplatform.errors import TerminalError
from dataplatform.layers.bronze import upkeep
from dataplatform.metadata.actions import Expiring, NoData, Waiting, When
from dataplatform.reading.checks import last_checks
from dataplatform.reading.expiring import endings
from dataplatform.records.refs import EntityRef
from dataplatform.storage.postgres import connected, raw_connection

SECONDS = 30  # a condition's query may take
SHOWN = 5  # rows of it that are told

Found = dict[str, str]


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns means the name; that of a source means its entities, too."""
    return any(fnmatchcase(name, p) or fnmatchcase(name.partition(".")[0], p) for p in patterns)


def found(platform: Platform, when: When) -> Found:
    """Raises TerminalError where a query is wrong or takes too long."""
    if when.failing is not None:
        return _failing(platform, when.failing)
    if when.no_data is not None:
        return _no_data(platform, when.no_data)
    if when.quarantine is not None:
        return _quarantine(platform, when.quarantine)
    if when.checks is not None:
        return _checks(platform, when.checks)
    if when.expiring is not None:
        return _expiring(platform, when.expiring)
    return _of_query(platform, when.sql or "")


def _entities(platform: Platform) -> Iterator[EntityRef]:
    for source in platform.catalog.sources.values():
        yield from (EntityRef(source.source, name) for name in source.entities)


def _failing(platform: Platform, patterns: Iterable[str]) -> Found:
    """By the newest run that has ended, of each source that there is."""
    c = t.run.c
    query = (
        sa.select(c.source, c.status, c.error)
        .where(c.finished_at.is_not(None))
        .ext(distinct_on(c.source))
        .order_by(c.source, c.started_at.desc())
    )
    with connected(platform.engine) as conn:
        rows = conn.execute(query).all()
    return {
        source: f"its last run failed: {error or 'see its page in Prefect'}"
        for source, status, error in rows
        if status == "failed" and source in platform.catalog.sources and matches(source, patterns)
    }


def _no_data(platform: Platform, wanted: NoData) -> Found:
    """By the newest load of silver that changed anything; of what was never loaded nothing is missed."""
    c = t.load.c
    changed = sa.func.max(c.finished_at).filter(c.inserted + c.updated + c.closed > 0)
    query = sa.select(c.source, c.entity, changed).where(c.layer == "silver").group_by(c.source, c.entity)
    with connected(platform.engine) as conn:
        newest = {EntityRef(source, entity): at for source, entity, at in conn.execute(query)}
    now, result = datetime.now(UTC), Found()
    for ref in _entities(platform):
        at = newest.get(ref)
        if at is not None and now - at > wanted.for_ and matches(str(ref), wanted.entities):
            result[str(ref)] = f"nothing new has come since {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return result


def _quarantine(platform: Platform, wanted: Waiting) -> Found:
    waiting = upkeep.waiting(platform.bronze)
    return {
        str(
            ref
        ): f"{waiting[ref]:,} records wait in quarantine: dataplatform quarantine list {ref.source} {ref.name}"
        for ref in _entities(platform)
        if waiting.get(ref, 0) > wanted.more_than and matches(str(ref), wanted.entities)
    }


def _checks(platform: Platform, patterns: Iterable[str]) -> Found:
    with connected(platform.engine) as conn:
        last = last_checks(conn)
    result = Found()
    for ref in _entities(platform):
        failed = [f"{c.check}: {c.found}" for c in last.get(ref, ()) if c.status == "failed"]
        if failed and matches(str(ref), patterns):
            result[str(ref)] = f"its checks failed: {'; '.join(failed)}"
    return result


def _expiring(platform: Platform, wanted: Expiring) -> Found:
    now, result = datetime.now(UTC), Found()
    for one in endings(platform):
        if matches(one.source, wanted.sources) and (one.at is None or one.at < now + wanted.within):
            result[one.source] = one.text(now)
    return result


def _of_query(platform: Platform, query: str) -> Found:
    """In a transaction that reads, and that Postgres ends after half a minute."""
    with connected(platform.engine) as conn:
        conn.execute(sa.text("set session characteristics as transaction read only"))
        conn.execute(sa.text(f"set statement_timeout = {SECONDS * 1000}"))
        conn.commit()
        try:
            # prepared, it is one statement: `commit; begin read write; …` is none
            cursor = raw_connection(conn).execute(query.encode(), prepare=True)
            rows = cursor.fetchmany(SHOWN + 1) if cursor.description else []
            names = [column.name for column in cursor.description or ()]
        except Exception as error:
            raise TerminalError(
                f"the query of a condition failed: {str(error).strip()}", f"correct it: {query}"
            ) from None
        finally:
            conn.invalidate()  # nobody else gets this session
    if not rows:
        return {}
    told = [", ".join(f"{n}: {v}" for n, v in zip(names, row, strict=True)) for row in rows[:SHOWN]]
    return {"": "; ".join([*told, *(["…"] if len(rows) > SHOWN else [])])}
