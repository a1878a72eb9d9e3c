"""What silver reads of bronze's manifests, without servers: leaving out repeats changes no history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from dataplatform.layers.silver import plan as planning
from dataplatform.layers.silver.known import KnownPath
from dataplatform.layers.silver.observe import Reader, effective_at, histories
from dataplatform.layers.silver.restate import concerned
from dataplatform.layers.silver.rows import micros
from dataplatform.layers.silver.task import Task, Work
from dataplatform.layers.silver.timeline import Absence, Observation, Version, events, fold
from dataplatform.metadata.source import Entity
from dataplatform.names import BATCH_TIME, batch_time
from dataplatform.records import hashes as hs
from dataplatform.records.holdings import Held
from dataplatform.records.refs import BatchRef, EntityRef, RunRef
from hypothesis import given
from hypothesis import strategies as st

START = datetime(2026, 1, 10, tzinfo=UTC)
PATHS = ["e", "a", "b"]  # the order of the bits of the masks
KEYS = [bytes([n] * 16) for n in range(4)]
# the moments lie within the batches' days, before and after them
MOMENTS = [None, *((START + timedelta(hours=12 * n)).isoformat() for n in range(-1, 9, 2))]
DOCS = [{"e": e, "a": a} | b for e in MOMENTS for a in (1, 2) for b in ({}, {"b": 1})]


documents = st.integers(0, len(DOCS) - 1) | st.integers(0, 7)  # often one of the first, without a moment


def version(number: int) -> bytes:
    return bytes([100 + number] * 16)


@dataclass(frozen=True)
class Batch:
    """A manifest with its entries: pairs of the number of a key and of a document."""

    batch_id: str
    complete: bool
    pairs: list[tuple[int, int]]
    held: list[int]
    columns: tuple[str, ...] = ()
    paths: tuple[str, ...] = tuple(PATHS)

    @property
    def unique(self) -> bool:
        return len({key for key, _ in self.pairs}) == len(self.pairs)

    @property
    def entries(self) -> Held:
        masks = [sum(1 << i for i, p in enumerate(PATHS) if p in DOCS[d]) for _, d in self.pairs]
        keys, versions = [KEYS[k] for k, _ in self.pairs], [version(d) for _, d in self.pairs]
        held = hs.hashes([KEYS[k] for k in self.held])
        return Held(
            hs.hashes(keys),
            hs.hashes(versions),
            hs.hashes(versions),
            np.array(masks, np.uint64).reshape(-1, 1),
            held,
        )


@st.composite
def batches(draw: st.DrawFn) -> list[Batch]:
    """Most of a batch is as it was in the one before it, or in the one before that."""
    found: list[Batch] = []
    columns = draw(st.sampled_from([(), tuple(PATHS)]))  # a header names them, whatever the records have
    for number in range(draw(st.integers(1, 7))):
        earlier = found[max(0, number - draw(st.integers(1, 2)))].pairs if found else []
        pairs = [p for p in earlier if draw(st.integers(0, 4))]
        more = draw(st.lists(st.tuples(st.integers(0, 3), documents), max_size=2))
        once = list({**dict(pairs), **dict(more)}.items())
        pairs = once if draw(st.booleans()) else pairs + more
        held = draw(st.sets(st.integers(0, 3), max_size=1)) - {key for key, _ in pairs}
        at = START + timedelta(days=number)
        found.append(
            Batch(f"{at.strftime(BATCH_TIME)}-0000", draw(st.booleans()), pairs, sorted(held), columns)
        )
    return found


def observed(entity: Entity, found: list[Batch], key: int) -> Iterator[Observation | Absence]:
    """Everything, one by one, as timeline.py defines history."""
    for batch in found:
        at = micros(batch_time(batch.batch_id))
        present = frozenset(p for _, d in batch.pairs for p in DOCS[d]) | set(batch.columns)
        mine = [d for k, d in batch.pairs if k == key]
        for d in mine:
            known = frozenset(DOCS[d]) if entity.partial else present
            values = {path: str(value) for path, value in DOCS[d].items() if value is not None}
            yield Observation(batch.batch_id, at, version(d), effective_at(entity, DOCS[d]), values, known)
        if batch.complete and not mine and key not in batch.held:
            yield Absence(batch.batch_id, at)


def read(entity: Entity, found: list[Batch]) -> dict[bytes, list[Observation | Absence]]:
    """What the sure path reads."""
    kinds = {path: KnownPath("text", found[0].batch_id) for path in PATHS}
    history = SimpleNamespace(
        walk=lambda ids: ((b, b.entries) for b in found if b.batch_id in ids),
        documents=lambda ids: [[(v, DOCS[v[0] - 100]) for v in hs.pieces(hs.unique(ids))]],
    )
    plan = planning.make_plan(EntityRef("s", "e"), entity, kinds, found[0].batch_id)
    reader = Reader(entity, plan, history, [])
    return dict(histories(reader, hs.hashes(KEYS), [b.batch_id for b in found]))


def shown(versions: list[Version]) -> list[tuple[Any, ...]]:
    return [(v.valid_from, v.valid_to, v.deleted, v.batch, v.updated_batch, v.values) for v in versions]


@pytest.mark.parametrize("options", [{}, {"effective_at": "e"}, {"effective_at": "e", "partial": True}])
@given(batches())
def test_repeats_that_are_left_out_say_nothing(options: dict[str, Any], found: list[Batch]) -> None:
    columns = {"e": {"type": "text"}, "b": {"scd": 1}}
    entity = Entity.model_validate({"key": ["k"], "load": "delta", "columns": columns, **options})
    happened = read(entity, found)
    for number, key in enumerate(KEYS):
        expected = fold(events(observed(entity, found, number)), frozenset({"b"}))
        assert shown(fold(events(happened[key]), frozenset({"b"}))) == shown(expected), number


@pytest.mark.parametrize("options", [{}, {"effective_at": "e"}])
@given(batches())
def test_a_late_batch_says_nothing_new_of_keys_that_it_does_not_concern(
    options: dict[str, Any], found: list[Batch]
) -> None:
    entity = Entity.model_validate({"key": ["k"], "load": "full", **options})
    whole = [fold(events(observed(entity, found, n)), frozenset()) for n in range(len(KEYS))]
    for late in found:
        others = [batch for batch in found if batch is not late]
        touched = touched_by(entity, found, late)
        for number, key in enumerate(KEYS):
            without = fold(events(observed(entity, others, number)), frozenset())
            assert key in touched or shown(without) == shown(whole[number]), number


def touched_by(entity: Entity, found: list[Batch], late: Batch) -> list[bytes]:
    applied = [batch.batch_id for batch in found if batch is not late]
    history: Any = SimpleNamespace(
        walk=lambda ids: ((b, b.entries) for b in found if b.batch_id in ids),
        entries=lambda batch: batch.entries, set_aside=list,
        manifest=lambda batch_id: next(b for b in found if b.batch_id == batch_id),
    )  # fmt: skip
    task, unused = (
        Task(BatchRef(EntityRef("s", "e"), late.batch_id), entity, RunRef("r"), applied),
        cast(Any, None),
    )
    return hs.pieces(concerned(Work(task, history, unused, unused, unused, late, late.entries, [])))


def test_a_thousand_batches_that_hold_the_same_are_one_observation() -> None:
    days = [(START + timedelta(days=n)).strftime(BATCH_TIME) for n in range(1_000)]
    found = [Batch(f"{day}-0000", True, [(0, 0), (1, 3)], []) for day in days]
    happened = read(Entity.model_validate({"key": ["k"]}), found)
    assert [len(happened[key]) for key in KEYS] == [1, 1, 0, 0]
