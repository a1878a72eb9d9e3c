"""Nobody else is at an entity while it is loaded: locks of the database server, one for each entity."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dataplatform.context import Platform
from dataplatform.errors import BusyError
from dataplatform.records.refs import EntityRef
from dataplatform.storage.postgres import held


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
