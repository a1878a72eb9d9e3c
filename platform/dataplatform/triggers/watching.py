"""Files that are dropped, Postgres' NOTIFY, and what was pushed: watched while the platform is up; runs are asked for.

Nothing is kept: what changed while nobody looked is seen at the start, by comparing the files with the source's last
run; what was notified meanwhile nobody knows, so a source that listens runs once at the start.
"""

from __future__ import annotations

import glob
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import TypeVar

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.engine import Engine

from dataplatform.audit import tables as t
from dataplatform.connectors.receiving import due
from dataplatform.connectors.registry import receives
from dataplatform.metadata import load_catalog
from dataplatform.metadata.source import Source
from dataplatform.metadata.triggers import FileTrigger, NotifyTrigger
from dataplatform.orchestration.follow import seen
from dataplatform.orchestration.rest import Rest
from dataplatform.settings import PrefectApi
from dataplatform.storage.postgres import OPTIONS, connected

EVERY = 2.0  # seconds between two looks

Files = dict[str, tuple[int, int]]
T = TypeVar("T")
WAITS = ("SCHEDULED", "PENDING")  # it has not looked yet, so it will see what is there now
TAG = "triggered"  # of runs that were asked for here
log = logging.getLogger(__name__)


@dataclass
class _Watched:
    """A file trigger of a source: as its files were when it last ran, and as they are since when (monotonic)."""

    source: str
    trigger: FileTrigger
    done: Files
    now: Files
    since: float


@dataclass
class Watching:
    """Looks and listens. `ask(source, unless)` has a run of it made; `base` is where relative paths of files begin."""

    root: Path
    engine: Engine
    ask: Callable[[str, Sequence[str]], None]
    base: Path = field(default_factory=Path.cwd)
    _metadata: dict[str, tuple[int, int]] = field(default_factory=dict)
    _files: list[_Watched] = field(default_factory=list)
    _channels: dict[str, list[str]] = field(default_factory=dict)
    _pushed: list[Source] = field(default_factory=list)
    _listening: psycopg.Connection | None = None

    def run(self, stop: Event, every: float = EVERY) -> None:
        """Until `stop`. What fails is told once, and tried again at the next look."""
        silent = False
        try:
            while not stop.is_set():
                try:
                    self._read()
                    self._look()
                    self._listen(0.0)
                    self._gather()
                    silent = False
                except (
                    Exception
                ) as error:  # a server that went away, files that went meanwhile: they come back
                    if not silent:
                        log.warning("files and notifications are not watched now: %s", error)
                    silent = True
                    self._close()
                stop.wait(every)
        finally:
            self._close()

    def _read(self) -> None:
        """The triggers anew, where metadata have changed."""
        now = seen(self.root)
        if now == self._metadata:
            return
        sources = load_catalog(self.root).sources
        known = {(one.source, one.trigger): one for one in self._files}
        last = self._last_runs()
        self._files = [
            known.get((source.source, trigger)) or self._begun(source, trigger, last.get(source.source))
            for source, trigger in _of_kind(sources, FileTrigger)
        ]
        self._pushed = [source for source in sources.values() if receives(source)]
        channels: dict[str, list[str]] = {}
        for source, trigger in _of_kind(sources, NotifyTrigger):
            channels.setdefault(trigger.channel, []).append(source.source)
        if channels != self._channels:
            self._channels = channels
            self._close()
        self._metadata = now

    def _last_runs(self) -> dict[str, datetime]:
        c = t.run.c
        with connected(self.engine) as conn:
            query = sa.select(c.source, sa.func.max(c.started_at)).group_by(c.source)
            return {row[0]: row[1] for row in conn.execute(query)}

    def _begun(self, source: Source, trigger: FileTrigger, last: datetime | None) -> _Watched:
        """Where a file is newer than the last run, something has come while nobody looked."""
        files = self._there(trigger)
        newest = max((changed for changed, _ in files.values()), default=0)
        missed = bool(files) and (last is None or newest > last.timestamp() * 1e9)
        return _Watched(source.source, trigger, {} if missed else files, files, time.monotonic())

    def _there(self, trigger: FileTrigger) -> Files:
        found: Files = {}
        for path in glob.glob(str(self.base / os.path.expanduser(trigger.path)), recursive=True):
            try:
                stat = os.stat(path)
            except OSError:
                continue  # it went meanwhile
            if not os.path.isdir(path):
                found[path] = (max(stat.st_mtime_ns, stat.st_ctime_ns), stat.st_size)  # or moved here
        return found

    def _look(self) -> None:
        for one in self._files:
            now = self._there(one.trigger)
            if now != one.now:
                one.now, one.since = now, time.monotonic()
            elif now != one.done and time.monotonic() - one.since >= one.trigger.settle.total_seconds():
                self.ask(one.source, WAITS)
                one.done = now

    def _listen(self, wait: float) -> None:
        """What was notified, each source once; all of them when listening begins."""
        if not self._channels:
            return
        asked: dict[str, None] = {}
        if self._listening is None:
            url = self.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
            self._listening = psycopg.connect(url, autocommit=True, options=OPTIONS)
            for channel in self._channels:
                self._listening.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
            asked = dict.fromkeys(name for names in self._channels.values() for name in names)
        for notice in self._listening.notifies(timeout=wait):
            asked |= dict.fromkeys(self._channels.get(notice.channel, ()))
        for source in asked:
            self.ask(source, WAITS)

    def _gather(self) -> None:
        """What was pushed, where enough of it waits or for long enough."""
        for source in self._pushed:
            if due(self.engine, source):
                self.ask(source.source, [*WAITS, "RUNNING"])  # one that goes on takes it, or we ask again

    def _close(self) -> None:
        if self._listening is not None:
            self._listening.close()
        self._listening = None


def _of_kind(sources: dict[str, Source], kind: type[T]) -> Iterator[tuple[Source, T]]:
    for source in sources.values():
        yield from ((source, trigger) for trigger in source.triggers if isinstance(trigger, kind))


def asking(api: PrefectApi) -> Callable[[str, Sequence[str]], None]:
    """Has a run of a source's deployment made, unless one that was asked for is in such a state already."""
    rest = Rest(api)

    def ask(source: str, unless: Sequence[str]) -> None:
        deployment = rest.get(f"/deployments/name/ingest/{source}")
        waiting = {"state": {"type": {"any_": list(unless)}}, "tags": {"all_": [TAG]}}
        asked = {"deployments": {"id": {"any_": [deployment["id"]]}}, "flow_runs": waiting, "limit": 1}
        if deployment["paused"] or rest.post("/flow_runs/filter", asked):
            return  # that one will see what is there then
        order = {"name": f"{source} triggered", "tags": [TAG]}
        rest.post(f"/deployments/{deployment['id']}/create_flow_run", order)
        log.info("%s: a run was asked for by its trigger", source)

    return ask
