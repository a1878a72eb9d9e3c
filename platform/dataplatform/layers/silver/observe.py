"""What bronze knows of some keys, as the observations that timeline folds into history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dataplatform import hashes as hs
from dataplatform.layers.silver.convert import BadValue, moment
from dataplatform.layers.silver.items import Payload
from dataplatform.layers.silver.plan import Plan
from dataplatform.layers.silver.rebuild import Seen
from dataplatform.layers.silver.rows import Rows, child_rows, micros, texts
from dataplatform.layers.silver.timeline import Absence, Observation
from dataplatform.metadata.paths import MISSING, dig
from dataplatform.metadata.source import Entity
from dataplatform.names import batch_time
from dataplatform.records import flatten

# columns by path and the number of records → why the record at a position is bad
Screen = Callable[[Mapping[str, Sequence[Any]], int], dict[int, str]]


@dataclass
class Reader:
    """Reads observations; `bad` collects versions with a value that does not fit its column."""

    entity: Entity
    plan: Plan
    history: Any
    bad: list[tuple[str, bytes, dict[str, Any]]]
    screen: Screen | None = None


def present_paths(manifest: Any, entries: Any) -> frozenset[str]:
    """Paths that the batch knew of."""
    found = entries.present(manifest.paths) | set(manifest.columns)
    return frozenset(found)


def histories(work: Reader, keys: hs.Hashes, batches: list[str]) -> Iterator[tuple[bytes, Seen]]:
    """Everything ever observed of each key, in the order of batches and positions."""
    seen: list[list[tuple[int, bytes | None]]] = [[] for _ in range(len(keys))]
    about: list[tuple[str, int, frozenset[str]]] = []
    ordering = hs.prepared(keys)
    for number, batch_id in enumerate(batches):
        manifest = work.history.manifest(batch_id)
        entries = work.history.entries(manifest)
        present = present_paths(manifest, entries)
        about.append((batch_id, micros(batch_time(batch_id)), present))
        at = hs.find(entries.keys, keys, ordering)
        mine = np.flatnonzero(at >= 0)
        for place, version in zip(at[mine].tolist(), hs.pieces(entries.versions[mine]), strict=True):
            seen[place].append((number, version))
        if manifest.complete:
            absent = ~hs.member(keys, entries.keys) & ~hs.member(keys, entries.held)
            for place in np.flatnonzero(absent).tolist():
                if seen[place]:
                    seen[place].append((number, None))
    yield from _observed(work, hs.pieces(keys), seen, about)


def _observed(
    work: Reader,
    keys: list[bytes],
    seen: list[list[tuple[int, bytes | None]]],
    about: list[tuple[str, int, frozenset[str]]],
) -> Iterator[tuple[bytes, Seen]]:
    size = 1_000
    root_paths = work.plan.root.paths
    known = [present & root_paths for _, _, present in about]
    for start in range(0, len(keys), size):
        block = seen[start : start + size]
        ids = list(dict.fromkeys(v for items in block for _, v in items if v is not None))
        read = dict(_read(work, ids))
        for key, items in zip(keys[start : start + size], block, strict=True):
            result: Seen = []
            for number, version in items:
                batch_id, batch_at, present = about[number]
                if version is None:
                    result.append(Absence(batch_id, batch_at))
                    continue
                found = read[version]
                if found is None:
                    continue
                result.append(_observation(
                    work, key, version, found, batch_id, batch_at, present, known[number]
                ))  # fmt: skip
            yield key, result


def _read(work: Reader, ids: list[bytes]) -> Iterator[tuple[bytes, tuple[dict[str, Any], Any, Any] | None]]:
    """Version id → record, its scalars and lists; None where a value does not fit its column."""
    for version, doc in (found for block in work.history.documents(hs.hashes(ids)) for found in block):
        scalars, lists = flatten(doc, work.plan.whole)
        refused = work.screen({p: [v] for p, v in scalars.items()}, 1) if work.screen else None
        try:
            if refused:
                raise BadValue(refused[0])
            texts(work.plan.root, scalars)
            children: Rows = {}
            if work.plan.root.children:
                child_rows(work.plan.root, b"", lists, work.plan.whole, children)
                for table in work.plan.root.tables():
                    for row in children.get(table.name, ()) if table.is_child else ():
                        texts(table, row.values)
        except BadValue as error:
            work.bad.append((str(error), version, doc))
            yield version, None
            continue
        yield version, (doc, scalars, lists)


def _observation(
    work: Reader, key: bytes, version: bytes, found: Any, batch_id: str, batch_at: int,
    present: frozenset[str], known: frozenset[str],
) -> Observation:  # fmt: skip
    doc, scalars, lists = found
    rows: Rows = {}
    if work.plan.root.children:
        child_rows(work.plan.root, key, lists, work.plan.whole, rows)
    if work.entity.partial:
        present = frozenset([*scalars, *lists])
        known = present & work.plan.root.paths
    return Observation(
        batch_id, batch_at, version, effective_at(work.entity, doc), scalars, known,
        Payload(rows, present, work.entity.partial),
    )  # fmt: skip


def effective_at(entity: Entity, doc: dict[str, Any]) -> int | None:
    """Valid time that the record itself claims, in microseconds; None where it claims none."""
    if entity.effective_at is None:
        return None
    value = dig(doc, entity.effective_at)
    if value is MISSING or value is None:
        return None
    try:
        return micros(moment(value))
    except BadValue:
        return None
