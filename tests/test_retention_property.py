"""What retention leaves is a function of the batches too: random histories, an horizon anywhere, replays, late batches."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from conftest import MakeWorld, World, move_of
from dataplatform import pipeline
from dataplatform.errors import LoadError
from dataplatform.layers.silver import horizon
from dataplatform.metadata.source import Retention
from dataplatform.records.record import key_hash
from dataplatform.runs.replay import replay
from dataplatform.upkeep import retention
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from oracle import KEY, LISTS, history, items, keyed
from test_silver_property import (
    START,
    YAML,
    Example,
    Steps,
    as_oracle,
    as_stored,
    histories,
    keys_as_stored,
    ordered,
    reset,
    shown,
    table,
    tables_of_lists,
    types,
    visible,
)

KEEPS = {
    "raw": Retention(raw=timedelta(0)),
    "rows": Retention(silver_history=timedelta(0)),
    "bronze": Retention(bronze=timedelta(0)),
    "all": Retention(raw=timedelta(0), bronze=timedelta(0), silver_history=timedelta(0)),
}


@dataclass(frozen=True)
class Kept:
    """A history, and when retention runs: after which batches, for what is older than how many days before them.

    `late`: the batches come in another order."""

    example: Example
    keeps: str
    times: tuple[tuple[int, int], ...]
    late: bool


@st.composite
def kept(draw: st.DrawFn) -> Kept:
    example = draw(histories(most=7))
    number = st.integers(0, len(example.batches) - 1)
    times = draw(
        st.lists(st.tuples(number, st.integers(0, 4)), min_size=1, max_size=3, unique_by=lambda t: t[0])
    )
    return Kept(example, draw(st.sampled_from(sorted(KEEPS))), tuple(sorted(times)), draw(st.booleans()))


def retain(world: World, entity: str, keeps: str, at: datetime) -> None:
    """Retention of one entity, as of a time, by what KEEPS says."""
    ref = Steps(world, entity).ref({"id": "x"}).entity
    one = retention.plan_of(world.platform, ref, KEEPS[keeps], at)
    (done,) = retention.apply(world.platform, [one])
    assert done.error is None, done


def check(world: World, entity: str, batches: list[dict[str, Any]], after: datetime | None) -> None:
    """Rows are those that the oracle makes of all batches, what ended before apart."""
    held = [as_stored(world, entity, batch) for batch in batches]
    found = {tuple(r[f] for f in KEY) for b in held for r in b["records"] if keyed(r) and "gone" not in r}
    rows, lists, stored = table(world, entity), tables_of_lists(world, entity), types(world, entity)
    total = 0
    for key in sorted(found, key=str):
        digest = key_hash(key)
        mine = visible_after([as_oracle(r) for r in rows if r["dp_key"].bytes == digest], after)
        wanted = [
            keys_as_stored(shown(r), stored) for r in visible_after(history(copy.deepcopy(held), key), after)
        ]
        assert mine == wanted, f"key {key}, types {stored}"
        total += len(mine)
        for path, all_rows in items(copy.deepcopy(held), key).items():
            own = visible_after([r for root, r in lists[path] if root == digest], after)
            seen = [{**shown(r), "item": visible(path, r["item"])} for r in visible_after(all_rows, after)]
            assert ordered(own) == ordered(seen), (key, path)
    assert len(visible_after([as_oracle(row) for row in rows], after)) == total


def settled(world: World, entity: str, before: datetime | None) -> list[str]:
    """What ended by then, as it stands."""
    names = [entity, *(f"{entity}__{path.replace('[].', '__')}" for path in LISTS)]
    rows = [row for name in names for row in table(world, name) if before and row["dp_valid_to"]]
    own = ("dp_key", "dp_valid_from", "dp_valid_to", "dp_batch_id", "dp_hash1", "dp_hash2", "dp_id")
    return sorted(str([row[c] for c in own]) for row in rows if before and row["dp_valid_to"] <= before)


def in_order(seen: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    return [seen[number] for number in sorted(seen)]


def too_late(world: World, steps: Steps, batch: dict[str, Any]) -> bool:
    with world.platform.engine.connect() as conn:
        until = horizon.of(conn, steps.ref(batch).entity).taken_until
    return until is not None and batch["id"] <= until


def visible_after(rows: list[dict[str, Any]], after: datetime | None) -> list[dict[str, Any]]:
    return [r for r in rows if after is None or r["to"] is None or r["to"] > after]


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(s=YAML)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_retention_leaves_is_what_the_history_says(world: World) -> None:
    @settings(
        max_examples=max(10, settings().max_examples // 6),
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(kept())
    def holds(drawn: Kept) -> None:
        reset(world)
        entity, times = drawn.example.entity, dict(drawn.times)
        steps, seen, after, stays = Steps(world, entity), dict[int, dict[str, Any]](), None, list[str]()
        for number in drawn.example.orders[drawn.late][1]:
            batch = drawn.example.batches[number]
            for move in (steps.land, steps.bronze):
                move(batch, False)
            if too_late(world, steps, batch):
                with pytest.raises(LoadError, match="comes too late") as refused:
                    steps.silver(batch, False)
                pipeline.record_failure(world.platform, move_of("silver", entity, batch["id"]), refused.value)
                continue
            steps.silver(batch, False)
            seen[number] = copy.deepcopy(batch)
            if number in times:
                at = START + timedelta(days=number - times[number], hours=1)
                retain(world, entity, drawn.keeps, at)
                if drawn.keeps != "raw":
                    after = max(after or at, at)
                stays = settled(world, entity, after)
                assert not stays or drawn.keeps == "bronze", "rows that ended are still there"
                check(world, entity, in_order(seen), after)
        check(world, entity, in_order(seen), after)
        replay_entity(world, entity)
        check(world, entity, in_order(seen), after)
        assert settled(world, entity, after) == stays, "what was settled has changed"

    holds()


def replay_entity(world: World, entity: str) -> None:
    result = replay(world.platform, "s").entities[entity]
    assert result.error is None, result
