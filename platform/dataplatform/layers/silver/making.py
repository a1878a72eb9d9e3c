"""COPY text of plain records, made in any process. What is not plain the process that loads has to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dataplatform.errors import LoadError
from dataplatform.layers.silver.columns import Block, Text, copy_lines
from dataplatform.layers.silver.convert import BadValue
from dataplatform.layers.silver.observe import Screen, effective_at
from dataplatform.layers.silver.plan import Plan, Sendable
from dataplatform.layers.silver.rows import moment_text
from dataplatform.metadata.source import Entity
from dataplatform.records.columnar import grouped

Screening = Callable[[Mapping[str, str]], Screen | None]


@dataclass(frozen=True, eq=False)
class Making(Sendable):
    """Makes COPY text for the columns of a plan. `at`: the batch's time, microseconds; `paths`: what the plan knows."""

    plan: Plan
    entity: Entity
    at: int
    screening: Screening
    paths: frozenset[str] = frozenset()

    @cached_property
    def screen(self) -> Screen | None:
        return self.screening(paths_of(self.plan))

    def __call__(self, keys: Sequence[bytes], docs: Sequence[dict[str, Any]]) -> Text | None:
        """None where a record wants a closer look: a value does not fit, a check keeps it out or names a column that no
        record has had yet (whoever knows them all says so where none ever has)."""
        try:
            if refused(self.screen, docs, self.plan.whole):
                return None
            lines = copy_lines(
                self.plan, Block(docs, keys, starts(self.entity, self.at, docs, self.plan.timed))
            )
        except (BadValue, LoadError):
            return None
        return {
            name: (("\n".join(found) + "\n").encode(), len(found)) for name, found in lines.items() if found
        }


def paths_of(plan: Plan) -> dict[str, str]:
    """The path of each column that a check may name."""
    return {key: column.path for column in plan.root.columns for key in (column.name, column.path)}


def starts(entity: Entity, at: int, docs: Sequence[dict[str, Any]], timed: bool) -> list[str]:
    """When each record became valid, as COPY wants it; none where that is not asked for. `at`: the batch's time,
    microseconds.

    Raises BadValue where one says an impossible time.
    """
    if not timed:
        return []
    usual = moment_text(at)
    if entity.effective_at is None:
        return [usual] * len(docs)
    times = [effective_at(entity, doc) for doc in docs]
    return [usual if time is None else moment_text(time) for time in times]


def refused(screen: Screen | None, docs: Sequence[dict[str, Any]], whole: frozenset[str]) -> dict[int, str]:
    """Places of records that a check keeps out, and why."""
    bad: dict[int, str] = {}
    for group in grouped(docs, whole) if screen else ():
        assert screen is not None
        failed = screen(group.scalars, len(group.places))
        bad |= {group.places[at]: reason for at, reason in failed.items()}
    return bad
