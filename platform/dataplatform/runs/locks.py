"""Locks of the database server: nobody else is at an entity while it is loaded, and a run's process is alive."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.context import Platform
from dataplatform.errors import BusyError, ServerError
from dataplatform.records.refs import EntityRef, RunRef
from dataplatform.storage.postgres import held, held_again_and_again, held_by_anyone

LOOK = 5.0  # seconds between two looks whether the connection that holds a run's lock is still there

log = logging.getLogger(__name__)


@contextmanager
def locked(platform: Platform, refs: list[EntityRef]) -> Iterator[list[EntityRef]]:
    """Keeps others from the entities that nobody else is at, and yields these.

    Raises BusyError where there is none.
    """
    with held(platform.engine, map(str, refs)) as busy:
        free = [ref for ref in refs if str(ref) not in busy]
        if not free:
            raise BusyError(
                f"{', '.join(sorted(busy))} is running already",
                "wait until that run has ended, then run again",
            )
        yield free


@contextmanager
def alive(engine: Engine, run: RunRef) -> Iterator[None]:
    """Shows for the block that the process of this run lives; however it ends, its lock goes with its connection.

    A thread holds the lock, and takes it again when Postgres has been away.
    """
    stop, holds = threading.Event(), threading.Event()
    keeping = threading.Thread(target=_keep, args=(engine, run, stop, holds), name="alive", daemon=True)
    keeping.start()
    holds.wait(LOOK)
    try:
        yield
    finally:
        stop.set()
        keeping.join(LOOK)


def dead_among(connection: sa.Connection, runs: Iterable[str]) -> set[str]:
    """Ids of those runs whose process does not live."""
    names = {_name(run): run for run in runs}
    return set(names.values()) - {names[name] for name in held_by_anyone(connection, names)}


def _name(run: str) -> str:
    return f"run {run}"


def _keep(engine: Engine, run: RunRef, stop: threading.Event, holds: threading.Event) -> None:
    while not stop.is_set():
        try:
            with held_again_and_again(engine, _name(run.run_id)) as look:
                while look():
                    holds.set()
                    if stop.wait(LOOK):
                        return
        except ServerError:
            log.debug("the lock of run %s is lost; it is taken again", run.run_id)
        stop.wait(1.0)
