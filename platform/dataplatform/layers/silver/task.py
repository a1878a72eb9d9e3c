"""What silver is asked to load, and the load in progress."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import psycopg

from dataplatform.layers.silver.ahead import Ahead
from dataplatform.layers.silver.lanes import Lanes
from dataplatform.layers.silver.making import Screening
from dataplatform.layers.silver.merge import Batch
from dataplatform.layers.silver.observe import Screen
from dataplatform.layers.silver.plan import Plan
from dataplatform.metadata.source import Entity
from dataplatform.processes import ALONE, Processes
from dataplatform.records.holdings import BadVersion, Flags, Held, History, Manifest
from dataplatform.records.refs import BatchRef, RunRef


class Mode(Enum):
    """What silver's table holds when the batch comes."""

    APPEND = "append"  # the batches named as applied, and nothing else
    RESTATED = "restated"  # nothing: it was emptied, and is made anew
    UNSETTLED = "unsettled"  # also traces of batches that are about to be loaded again


@dataclass(frozen=True)
class Task:
    """What is to be loaded. `applied`: batches that silver holds, oldest first.

    `screening` makes the screen that keeps bad records out, given the path of each column's name; `refused`: batches
    that silver would not take: versions that they brought first count for a column's type all the same; `processes`
    share the work of a large one; `ahead`: text that was made of the batch already.
    """

    batch: BatchRef
    entity: Entity
    run: RunRef
    applied: list[str]
    allow_deletes: bool = False
    mode: Mode = Mode.APPEND
    screening: Screening = lambda _: None
    refused: frozenset[str] = frozenset()
    processes: Processes = ALONE
    ahead: Ahead | None = None


@dataclass
class Work:
    """One load in progress. `skipped`: which entries were not looked at, being what they were before (empty:
    none); `lanes`: connections that share the copying, where the tables are new."""

    task: Task
    history: History
    plan: Plan
    conn: psycopg.Connection
    batch: Batch
    manifest: Manifest
    entries: Held
    bad: list[BadVersion]
    screen: Screen | None = None
    path: str = "merge"
    rebuilt: int = 0
    skipped: Flags = field(default_factory=lambda: np.zeros(0, bool))
    lanes: Callable[[int], AbstractContextManager[Lanes | None]] = lambda _: nullcontext()
