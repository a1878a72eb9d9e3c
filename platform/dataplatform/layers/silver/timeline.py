"""The history of one key as a pure function of everything ever observed of it.

This is the definition of what silver holds. The fast path (merge) is a short cut to the same result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Observation:
    """A record as one batch held it. Times are microseconds since 1970.

    `effective`: the source's own valid time, or None. `known`: paths the batch knew of (a path it did not know
    says nothing). `values`: what the columns hold, so that what is equal there is equal here; `content` likewise
    is the same for records that their columns cannot tell apart.
    """

    batch: str
    batch_at: int
    content: bytes
    effective: int | None
    values: Values
    known: frozenset[str]
    payload: Any = None


@dataclass(frozen=True, slots=True)
class Absence:
    """A batch that says the key is gone: a full one that did not hold it, or one whose source said so.

    `effective`: the source's own time of the end, or None.
    """

    batch: str
    batch_at: int
    effective: int | None = None


Seen = list[Observation | Absence]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became true at a time; `values` None: the record was gone."""

    at: int
    batch: str
    values: Values | None
    known: frozenset[str] = frozenset()
    payload: Any = None


@dataclass(slots=True)
class Version:
    """One row to be. `values` are the last known ones; `updated_batch` touched it last."""

    valid_from: int
    batch: str
    updated_batch: str
    values: dict[str, Any]
    valid_to: int | None = None
    deleted: bool = False
    payload: Any = None


def events(seen: Iterable[Observation | Absence]) -> list[Event]:
    """From observations in the order of batches and positions to events in valid time.

    An observation is valid from its effective time. Three cases fall back on the batch's time: it has
    none; another content was observed for the same effective time by an earlier batch (the source
    changed a record without moving its clock); or the record had been deleted since.
    Within one batch and effective time the last position wins.
    """
    result: list[Event] = []
    contents: dict[int, bytes] = {}
    latest: int | None = None  # greatest valid time so far
    deleted_at: int | None = None  # set while the last batch said: gone
    for item in _last_per_time(seen):
        if isinstance(item, Absence):
            if latest is not None and deleted_at is None:
                # a version that claims to begin after it was found missing lasts a microsecond
                ended = item.batch_at if item.effective is None else item.effective
                deleted_at = latest = max(ended, latest + 1)
                result.append(Event(deleted_at, item.batch, None))
            continue
        at = item.batch_at if item.effective is None else item.effective
        if deleted_at is not None:
            at = max(at if at > deleted_at else item.batch_at, deleted_at + 1)  # a return comes after
        elif item.effective is not None and at in contents:
            if contents[at] == item.content:
                continue
            at = max(item.batch_at, at)
        if item.effective is not None:
            contents[item.effective] = item.content
        deleted_at = None
        latest = at if latest is None else max(latest, at)
        result.append(Event(at, item.batch, item.values, item.known, item.payload))
    result.sort(key=lambda event: event.at)  # stable: batches and positions keep their order
    return result


def _last_per_time(seen: Iterable[Observation | Absence]) -> Iterator[Observation | Absence]:
    """Of several observations by one batch for one effective time, the last; ordered by that time.

    Where the batch also says that the key ended, what stands before that and what stands after it is taken apart.
    """
    for _, batch in groupby(seen, lambda item: item.batch):
        for is_absence, items in groupby(batch, lambda item: isinstance(item, Absence)):
            if is_absence:
                yield from items
                continue
            last: dict[int, Observation] = {}
            for item in items:
                assert isinstance(item, Observation)
                last[item.batch_at if item.effective is None else item.effective] = item
            for at in sorted(last):
                yield last[at]


def fold(happened: Iterable[Event], scd1: frozenset[str]) -> list[Version]:
    """Versions of one key from its events in valid time.

    A column is compared with its last known value; one never known before is filled in in place.
    """
    state: dict[str, Any] = {}
    result: list[Version] = []
    open_: Version | None = None
    for at, group in groupby(happened, lambda event: event.at):
        before, present, mover = dict(state), open_ is not None, None
        for event in group:
            if _apply(event, state, present):
                mover = event
            present = event.values is not None
        if mover is None:
            continue  # the same seen again
        if open_ is not None and not present:
            open_.valid_to, open_.deleted, open_.updated_batch = at, True, mover.batch
            open_ = None
        elif present:
            new = open_ is None or _changed(before, state, scd1)
            if open_ is not None and new:
                open_.valid_to, open_.updated_batch = at, mover.batch
            if new:
                open_ = Version(at, mover.batch, mover.batch, dict(state), payload=mover.payload)
                result.append(open_)
            elif open_ is not None and _different(before, state):
                open_.values, open_.updated_batch = dict(state), mover.batch
    return result


def _apply(event: Event, state: dict[str, Any], present: bool) -> bool:
    """Brings the state up to date; True where the event changed it or whether the record is there."""
    if event.values is None:
        return present
    moved = not present
    for path in event.known:
        value = event.values.get(path)
        moved = moved or state.get(path) != value
        state[path] = value
    return moved


def _changed(before: Values, after: Values, scd1: frozenset[str]) -> bool:
    """Whether a column with history, known before, has another value now."""
    return any(path not in scd1 and value != after[path] for path, value in before.items())


def _different(before: Values, after: Values) -> bool:
    """Whether any value is another one; null and never known are the same to see."""
    return any(before.get(path) != value for path, value in after.items())
