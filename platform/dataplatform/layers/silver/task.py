"""What silver is asked to load, and the load in progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from dataplatform.errors import LoadError
from dataplatform.layers.silver.merge import Batch
from dataplatform.layers.silver.observe import Screen
from dataplatform.layers.silver.plan import Plan
from dataplatform.metadata.source import Entity
from dataplatform.records import hashes as hs

Found = list[tuple[bytes, dict[str, Any]]]


class BatchManifest(Protocol):
    """What silver needs to know of a batch in bronze."""

    @property
    def batch_id(self) -> str: ...
    @property
    def load(self) -> Any: ...
    @property
    def complete(self) -> bool: ...
    @property
    def unique(self) -> bool: ...
    @property
    def records(self) -> int: ...
    @property
    def quarantined(self) -> int: ...
    @property
    def kinds(self) -> dict[str, str]: ...
    @property
    def columns(self) -> list[str]: ...
    @property
    def paths(self) -> list[str]: ...
    @property
    def rule(self) -> str: ...


@dataclass(frozen=True)
class History:
    """Access to bronze, handed in by the pipeline: the layers do not know one another.

    `walk`: manifests and entries of batches, oldest first; `stored`: the entries of all batches, those
    that a batch has in common with the one it leans on counted once.
    """

    manifest: Callable[[str], BatchManifest]
    entries: Callable[[Any], Any]
    walk: Callable[[list[str]], Iterator[tuple[BatchManifest, Any]]]
    stored: Callable[[], int]
    documents: Callable[[hs.Hashes], Iterator[list[tuple[bytes, dict[str, Any]]]]]
    quarantine: Callable[[str, list[tuple[str, bytes, dict[str, Any]]]], None]
    set_aside: Callable[[], list[bytes]]


@dataclass(frozen=True)
class Task:
    """What is to be loaded. `applied`: batches that silver holds, oldest first.

    `unsettled`: it also holds traces of batches that are not among them, and are about to be loaded again.
    `screening` makes the screen that keeps bad records out, given the path of each column's name.
    """

    source: str
    name: str
    entity: Entity
    batch_id: str
    run_id: str
    applied: list[str]
    allow_deletes: bool = False
    unsettled: bool = False
    screening: Callable[[Mapping[str, str]], Screen | None] = lambda _: None


@dataclass
class Work:
    """One load in progress."""

    task: Task
    history: History
    plan: Plan
    conn: psycopg.Connection
    batch: Batch
    manifest: BatchManifest
    entries: Any
    bad: list[tuple[str, bytes, dict[str, Any]]]
    screen: Screen | None = None
    path: str = "merge"
    still_bad: int = 0
    rebuilt: int = 0


def still_bad(work: Work, unchanged: hs.Hashes) -> int:
    """How many of the unchanged records silver could not take before, and cannot now."""
    return int(hs.member(unchanged, hs.unique(hs.hashes(work.history.set_aside()))).sum())


def too_many(work: Work, gone: int, total: int) -> LoadError:
    task = work.task
    return LoadError(
        f"{task.source}.{task.name}: the batch lacks {gone:,} of {total:,} rows, more "
        f"than max_delete = {task.entity.max_delete:.0%}; nothing was deleted",
        f"if that is right: dataplatform run {task.source} {task.name} --allow-deletes",
    )
