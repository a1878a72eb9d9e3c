"""What bronze knows of some keys, as the observations that timeline folds into history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from dataplatform.layers.silver.convert import BadValue, moment
from dataplatform.layers.silver.items import Payload
from dataplatform.layers.silver.plan import Plan
from dataplatform.layers.silver.rows import Rows, child_rows, micros, typed, typed_rows
from dataplatform.layers.silver.runs import Run, Traced
from dataplatform.layers.silver.timeline import Absence, Observation, Seen
from dataplatform.metadata.paths import MISSING, dig
from dataplatform.metadata.source import Entity
from dataplatform.names import batch_time
from dataplatform.records import hashes as hs
from dataplatform.records.holdings import BadVersion, Ended, Held, History, Manifest
from dataplatform.records.record import Lists, dump, flatten

FIRST, LAST = micros(datetime.min.replace(tzinfo=UTC)), micros(datetime.max.replace(tzinfo=UTC))
BLOCK = 1_000  # keys whose records are read together

# columns by path and the number of records → why the record at a position is bad
Screen = Callable[[Mapping[str, Sequence[Any]], int], dict[int, str]]


@dataclass
class Reader:
    """Reads observations; `bad` collects versions with a value that does not fit its column."""

    entity: Entity
    plan: Plan
    history: History
    bad: list[BadVersion]
    screen: Screen | None = None


def present_paths(manifest: Manifest, entries: Held) -> frozenset[str]:
    """Paths that the batch knew of."""
    found = entries.present(manifest.paths) | set(manifest.columns)
    return frozenset(found)


@dataclass(frozen=True)
class About:
    """A batch: its id, its time in microseconds, the paths it knew of, and which of these have columns."""

    batch_id: str
    at: int
    present: frozenset[str]
    known: frozenset[str]


class Taken(NamedTuple):
    """A version as silver takes it: the record (or what ended it), its columns' values, its lists, what it names.

    `content`: the same for versions that silver's columns cannot tell apart.
    """

    doc: dict[str, Any]
    values: Mapping[str, str]
    lists: Lists
    said: frozenset[str]
    content: bytes
    at: int | None


def histories(work: Reader, keys: hs.Hashes, batches: list[str]) -> Iterator[tuple[bytes, Seen]]:
    """Everything observed of each key that says something, in the order of batches and positions."""
    about: list[About] = []
    traced = Traced(keys)
    for manifest, entries in work.history.walk(batches):
        present = present_paths(manifest, entries)
        goes_on = bool(about) and manifest.unique and about[-1].present == present
        at, known = micros(batch_time(manifest.batch_id)), present & work.plan.root.paths
        about.append(About(manifest.batch_id, at, present, known))
        traced.add(entries, manifest.complete, goes_on)
    for start in range(0, len(keys), BLOCK):
        block = hs.pieces(keys[start : start + BLOCK])
        yield from _observed(work, block, traced.runs(start, start + len(block)), about)


def _observed(
    work: Reader, keys: list[bytes], runs: list[list[Run]], about: list[About]
) -> Iterator[tuple[bytes, Seen]]:
    wanted = dict.fromkeys(r.version for some in runs for r in some if r.version is not None)
    read = dict(_read(work, list(wanted)))
    for key, some in zip(keys, runs, strict=True):
        yield key, [seen for run in some for seen in _seen(work, key, run, read, about)]


def _seen(
    work: Reader, key: bytes, run: Run, read: Mapping[bytes, Taken | None], about: list[About]
) -> Iterator[Observation | Absence]:
    first = about[run.first]
    if run.version is None:
        yield Absence(first.batch_id, first.at)
        return
    taken = read[run.version]
    if taken is None:
        return
    if isinstance(taken.doc, Ended):
        yield Absence(first.batch_id, first.at, taken.at)
        return
    for number in _numbers(work, run, taken.at):
        yield _observation(work, key, taken, about[number])


def _numbers(work: Reader, run: Run, effective: int | None) -> range:
    """Batches whose observation counts.

    Of the same content seen again only one that has no time of its own beside records that have one can say
    something: it is valid from the batch's time, and others may have become valid since.
    """
    again = work.entity.effective_at is not None and effective is None
    return range(run.first, run.last + 1 if again else run.first + 1)


def _read(work: Reader, ids: list[bytes]) -> Iterator[tuple[bytes, Taken | None]]:
    """Of each version what silver takes; None where a value does not fit its column."""
    for version, doc in (pair for block in work.history.documents(hs.hashes(ids)) for pair in block):
        if isinstance(doc, Ended):
            yield version, Taken(doc, {}, {}, frozenset(), b"", _ended_at(work.entity, doc))
            continue
        try:
            yield version, _taken(work, doc)
        except BadValue as error:
            work.bad.append((str(error), version, doc))
            yield version, None


def _taken(work: Reader, doc: dict[str, Any]) -> Taken:
    """Raises BadValue where a check keeps the record out, or a value does not fit its column."""
    plan = work.plan
    scalars, lists = flatten(doc, plan.whole)
    refused = work.screen({p: [v] for p, v in scalars.items()}, 1) if work.screen else None
    if refused:
        raise BadValue(refused[0])
    values, rows = typed(plan.root, scalars), _items(plan, b"", lists)
    said = frozenset([*scalars, *lists])
    content = b""  # of no use to the timeline where records have no time of their own
    if work.entity.effective_at:
        content = _content(values, rows, said if work.entity.partial else frozenset())
    return Taken(doc, values, lists, said, content, effective_at(work.entity, doc))


def _ended_at(entity: Entity, doc: Ended) -> int | None:
    """As `effective_at`; an end at a time that cannot be still is one, at the batch's time."""
    try:
        return effective_at(entity, doc)
    except BadValue:
        return None


def _items(plan: Plan, key: bytes, lists: Lists) -> Rows:
    """Rows of the lists of a record, their values typed."""
    if not plan.root.children:
        return {}
    rows: Rows = {}
    child_rows(plan.root, key, lists, plan.whole, rows)
    return typed_rows(plan.root, rows)


def _content(values: Mapping[str, str], rows: Rows, said: frozenset[str]) -> bytes:
    """Of records of one key: the same where their columns hold the same (and partial ones name the same)."""
    items = {
        name: sorted([row.key.hex(), sorted(row.values.items())] for row in found)
        for name, found in rows.items()
    }
    return blake2b(dump([dict(values), items, sorted(said)]), digest_size=16).digest()


def _observation(work: Reader, key: bytes, taken: Taken, about: About) -> Observation:
    present, known = about.present, about.known
    if work.entity.partial:
        present, known = taken.said, taken.said & work.plan.root.paths
    payload = Payload(_items(work.plan, key, taken.lists), present, work.entity.partial)
    return Observation(about.batch_id, about.at, taken.content, taken.at, taken.values, known, payload)


def effective_at(entity: Entity, doc: dict[str, Any]) -> int | None:
    """Valid time that the record itself claims, in microseconds; None where it claims none.

    Raises BadValue where no table can hold it.
    """
    if entity.effective_at is None:
        return None
    value = dig(doc, entity.effective_at)
    if value is MISSING or value is None:
        return None
    try:
        at = micros(moment(value))
    except BadValue:
        return None
    if not FIRST <= at <= LAST:
        raise BadValue(
            f"effective_at ({entity.effective_at}): {value!r} is beyond the years 1 to 9999 in UTC"
        )
    return at
