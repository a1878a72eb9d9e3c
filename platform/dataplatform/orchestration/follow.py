"""Deployments follow the metadata while `up` runs: a file that is new, changed or gone is seen within seconds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Event

from dataplatform.errors import DataplatformError

EVERY = 2.0  # seconds between two looks, which cost a stat of each file

Seen = dict[str, tuple[int, int]]
log = logging.getLogger(__name__)


def seen(root: Path) -> Seen:
    """Time of change (ns) and size of every file that deployments are made from: the sources', and auto_dw's."""
    found = {}
    for path in [*sorted((root / "sources").glob("*.y*ml")), root / "auto_dw.yaml"]:
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue  # it went meanwhile, or was never there
        found[str(path)] = (stat.st_mtime_ns, stat.st_size)
    return found


def follow(root: Path, before: Seen, redeploy: Callable[[], None], stop: Event, every: float = EVERY) -> None:
    """Until `stop`: calls `redeploy` when the files are not as `before`, and have been the same at two looks.

    A file that an editor is still writing is not read. What fails is told, and tried again at the next look.
    """
    last = before
    while not stop.wait(every):
        now = seen(root)
        if now != before and now == last:
            before = now if _done(redeploy) else before
        last = now


def _done(redeploy: Callable[[], None]) -> bool:
    try:
        redeploy()
    except DataplatformError as error:
        log.error("the deployments could not be brought up to date: %s", error)
        return False
    except Exception:  # `up` must go on, whatever Prefect's client raises
        log.exception("the deployments could not be brought up to date")
        return False
    return True
