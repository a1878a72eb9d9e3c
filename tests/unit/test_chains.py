"""Work as data: moves that travel, errors that survive it, chains that run side by side."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable

import pytest
from dataplatform.errors import (
    CheckFailedError,
    DataplatformError,
    LoadError,
    RunFailedError,
    ServerError,
    SourceUnavailableError,
)
from dataplatform.pipeline import Flags, Move
from dataplatform.records.counts import Counts
from dataplatform.records.refs import BatchRef, EntityRef, RunRef
from dataplatform.runs.chains import Chain, drive, threads
from dataplatform.runs.run import layers

A, B, C = (EntityRef("s", name) for name in "abc")
RUN = RunRef("r")


def chain(ref: EntityRef, *batches: str) -> Chain:
    return Chain(ref, [layers(BatchRef(ref, batch), RUN, Flags()) for batch in batches])


def driven(
    perform: Callable[[Move], Counts], *chains: Chain, most: int = 2
) -> tuple[dict[str, tuple[int, str | None]], list[str]]:
    """Result of each entity (records read, error) and the titles of the moves that failed."""
    failed: list[str] = []
    with threads(most, perform) as submit:
        found = drive(
            chains, most, submit, lambda move, _: failed.append(f"{move.batch.batch_id} {move.title}")
        )
    return {ref.name: (r.counts.read, r.error) for ref, r in found.items()}, failed


def test_a_move_and_everything_in_it_travels() -> None:
    move = Move("silver", BatchRef(A, "b1"), RunRef("r1"), Flags(full=True, allow_deletes=True))
    assert pickle.loads(pickle.dumps(move)) == move
    assert move.title == "a: bronze → silver"
    assert hash(move) == hash(pickle.loads(pickle.dumps(move)))


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (LoadError("m", "r"), {}),
        (RunFailedError("m", "r", {"status": "failed"}), {"result": {"status": "failed"}}),
        (SourceUnavailableError("m", "r", 7.5), {"retry_after": 7.5}),
        (CheckFailedError("m", "r", (("not_null a", "failed", "1 null"),)), {"results": (("not_null a", "failed", "1 null"),)}),
    ],
)  # fmt: skip
def test_an_error_survives_the_way_with_all_it_holds(
    error: DataplatformError, kept: dict[str, object]
) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert (str(back), back.message, back.remedy) == (str(error), "m", "r")
    assert {name: getattr(back, name) for name in kept} == kept


def test_the_moves_of_an_entity_follow_one_another() -> None:
    done: list[tuple[str, str, str]] = []

    def perform(move: Move) -> Counts:
        done.append((move.batch.name, move.batch.batch_id, move.layer))
        return Counts(read=len(done))

    result, failed = driven(perform, chain(A, "1", "2"), most=1)
    assert done == [("a", batch, layer) for batch in "12" for layer in ("raw", "bronze", "silver")]
    assert (result, failed) == ({"a": (6, None)}, [])


def test_entities_do_not_wait_for_each_other() -> None:
    both = threading.Barrier(2, timeout=10)

    def perform(move: Move) -> Counts:
        if move.layer == "raw":
            both.wait()  # breaks unless two raw moves are under way at once
        return Counts(read=1)

    result, _ = driven(perform, chain(A, "1"), chain(B, "1"))
    assert result == {"a": (1, None), "b": (1, None)}


def test_no_more_than_so_many_at_a_time() -> None:
    under_way, most, lock = 0, 0, threading.Lock()

    def perform(move: Move) -> Counts:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        threading.Event().wait(0.005)
        with lock:
            under_way -= 1
        return Counts()

    driven(perform, chain(A, "1"), chain(B, "1"), chain(C, "1"), most=2)
    assert most == 2


def test_an_entity_that_fails_stops_no_other_and_a_batch_that_fails_no_later_one() -> None:
    done: list[str] = []

    def perform(move: Move) -> Counts:
        if (move.batch.name, move.batch.batch_id, move.layer) == ("a", "1", "bronze"):
            raise LoadError("refused")
        if (move.batch.name, move.layer) == ("b", "raw"):
            raise ServerError("gone", "start it")
        done.append(f"{move.batch.batch_id} {move.title}")
        return Counts(read=2)

    result, failed = driven(perform, chain(A, "1", "2"), chain(B, "1"), most=1)
    assert result == {"a": (2, None), "b": (0, "gone\n  → start it")}
    assert failed == ["1 a: raw → bronze", "1 b: source → raw"]
    assert done == [
        "1 a: source → raw", "2 a: source → raw", "2 a: raw → bronze", "2 a: bronze → silver",
    ]  # fmt: skip


def test_a_defect_is_raised_when_the_others_have_ended() -> None:
    done: list[str] = []

    def perform(move: Move) -> Counts:
        if move.batch.name == "a":
            raise ZeroDivisionError("ours")
        done.append(move.layer)
        return Counts()

    with pytest.raises(ZeroDivisionError, match="ours"):
        driven(perform, chain(A, "1"), chain(B, "1"), most=1)
    assert done == ["raw", "bronze", "silver"]


def test_nothing_to_do() -> None:
    assert driven(lambda move: Counts(read=1)) == ({}, [])
    assert driven(lambda move: Counts(read=1), Chain(A, [])) == ({"a": (0, None)}, [])
