"""The history of one key, as its definition: `events` orders what was observed, `fold` makes versions of it."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from dataplatform.layers.silver.timeline import Absence, Event, Observation, Version, events, fold
from hypothesis import given
from hypothesis import strategies as st

NONE: frozenset[str] = frozenset()


def seen(batch: int, *, at: int | None = None, known: str = "", **values: Any) -> Observation:
    """Batch n was at time 10·n; it knew of the fields given, and of `known`."""
    content = json.dumps([values, at], sort_keys=True).encode()
    return Observation(f"b{batch}", batch * 10, content, at, values, frozenset(values) | set(known.split()))


def gone(batch: int) -> Absence:
    return Absence(f"b{batch}", batch * 10)


def ended(batch: int, at: int | None = None) -> Absence:
    """The source says that it is gone."""
    return Absence(f"b{batch}", batch * 10, at)


def versions(*found: Observation | Absence, scd1: str = "") -> list[tuple[Any, ...]]:
    return [
        (v.valid_from, v.valid_to, v.values, v.deleted) for v in fold(events(found), frozenset(scd1.split()))
    ]


def test_a_b_a_gives_three_versions() -> None:
    assert versions(seen(1, v="A"), seen(2, v="B"), seen(3, v="A")) == [
        (10, 20, {"v": "A"}, False), (20, 30, {"v": "B"}, False), (30, None, {"v": "A"}, False),
    ]  # fmt: skip


def test_the_same_again_is_no_version_and_touches_nothing() -> None:
    [only] = fold(events([seen(1, v="A"), seen(2, v="A"), seen(3, v="A")]), NONE)
    assert only == Version(10, "b1", "b1", {"v": "A"})


def test_nothing_observed_is_no_history() -> None:
    assert versions() == []
    assert versions(gone(1), gone(2)) == []


def test_a_delete_ends_the_version_without_a_tombstone_and_a_return_leaves_a_gap() -> None:
    assert versions(seen(1, v="A"), gone(2)) == [(10, 20, {"v": "A"}, True)]
    assert versions(seen(1, v="A"), gone(2), gone(3), seen(4, v="A")) == [
        (10, 20, {"v": "A"}, True), (40, None, {"v": "A"}, False),
    ]  # fmt: skip


def test_a_said_end_has_its_own_time_and_its_place_within_the_batch() -> None:
    assert versions(seen(1, v="A"), ended(3, at=17)) == [(10, 17, {"v": "A"}, True)]
    assert versions(seen(1, v="A"), ended(3, at=5)) == [(10, 11, {"v": "A"}, True)], "not before it began"
    before_and_after = versions(seen(1, v="A"), seen(2, v="B"), ended(2), seen(2, v="C"))
    assert before_and_after == [
        (10, 20, {"v": "A"}, False), (20, 21, {"v": "B"}, True), (22, None, {"v": "C"}, False),
    ]  # fmt: skip
    assert versions(ended(1), seen(2, v="A")) == [(20, None, {"v": "A"}, False)], "nothing was there to end"


def test_who_ended_a_version_touched_it_last() -> None:
    first, second = fold(events([seen(1, v="A"), seen(2, v="B"), gone(3)]), NONE)
    assert (first.batch, first.updated_batch, second.batch, second.updated_batch) == ("b1", "b2", "b2", "b3")


def test_a_record_found_missing_before_its_own_time_lasts_a_microsecond() -> None:
    assert versions(seen(1, at=500, v="A"), gone(2)) == [(500, 501, {"v": "A"}, True)]


def test_a_return_comes_after_the_delete_whatever_its_clock_says() -> None:
    for clock, begins in ((5, 30), (20, 30), (25, 25), (40, 40)):
        found = versions(seen(1, at=5, v="A"), gone(2), seen(3, at=clock, v="B"))
        assert found == [(5, 20, {"v": "A"}, True), (begins, None, {"v": "B"}, False)], clock


def test_a_return_comes_after_a_delete_that_itself_lies_ahead() -> None:
    assert versions(seen(1, at=500, v="A"), gone(2), seen(3, v="B")) == [
        (500, 501, {"v": "A"}, True), (502, None, {"v": "B"}, False),
    ]  # fmt: skip


def test_versions_begin_at_the_sources_own_time() -> None:
    assert versions(seen(1, at=3, v="A"), seen(2, at=1, v="B")) == [
        (1, 3, {"v": "B"}, False), (3, None, {"v": "A"}, False),
    ]  # fmt: skip


def test_a_change_that_does_not_move_the_clock_begins_with_its_batch() -> None:
    assert versions(seen(1, at=3, v="A"), seen(2, at=3, v="B")) == [
        (3, 20, {"v": "A"}, False), (20, None, {"v": "B"}, False),
    ]  # fmt: skip


def test_of_two_in_one_batch_the_last_for_a_time_wins() -> None:
    assert versions(seen(1, v="A"), seen(1, v="B")) == [(10, None, {"v": "B"}, False)]
    assert versions(seen(1, at=4, v="A"), seen(1, at=2, v="B"), seen(1, at=4, v="C")) == [
        (2, 4, {"v": "B"}, False), (4, None, {"v": "C"}, False),
    ]  # fmt: skip


def test_overwritten_columns_change_the_open_version_only() -> None:
    assert versions(seen(1, v="A", w=1), seen(2, v="B", w=1), seen(3, v="B", w=2), scd1="w") == [
        (10, 20, {"v": "A", "w": 1}, False), (20, None, {"v": "B", "w": 2}, False),
    ]  # fmt: skip


def test_a_new_column_fills_in_place_and_null_to_a_value_is_a_change() -> None:
    assert versions(seen(1, v=1), seen(2, v=1, new=5)) == [(10, None, {"v": 1, "new": 5}, False)]
    assert versions(seen(1, v=1, new=None), seen(2, v=1, new=5)) == [
        (10, 20, {"v": 1, "new": None}, False), (20, None, {"v": 1, "new": 5}, False),
    ]  # fmt: skip


def test_a_dropped_column_keeps_its_last_value_and_a_missing_field_is_null() -> None:
    assert versions(seen(1, v=1, old=5), seen(2, v=2)) == [
        (10, 20, {"v": 1, "old": 5}, False), (20, None, {"v": 2, "old": 5}, False),
    ]  # fmt: skip
    assert versions(seen(1, v=1, old=5), seen(2, known="old", v=1)) == [
        (10, 20, {"v": 1, "old": 5}, False), (20, None, {"v": 1, "old": None}, False),
    ]  # fmt: skip


def test_events_carry_what_the_observation_brought() -> None:
    one = Observation("b1", 10, b"c", None, {"v": 1}, frozenset({"v"}), payload="row")
    assert events([one, gone(2)]) == [
        Event(10, "b1", {"v": 1}, frozenset({"v"}), "row"),
        Event(20, "b2", None),
    ]
    assert fold(events([one]), NONE)[0].payload == "row"


# laws


@st.composite
def histories(draw: st.DrawFn, clock: bool = True) -> list[Observation | Absence]:
    found: list[Observation | Absence] = []
    for batch in range(1, draw(st.integers(1, 6)) + 1):
        if draw(st.booleans()):
            found.append(gone(batch))
            continue
        for _ in range(draw(st.integers(1, 2))):
            fields = draw(st.dictionaries(st.sampled_from("vwx"), st.integers(0, 2), max_size=3))
            at = draw(st.none() | st.integers(0, 70)) if clock else None
            found.append(seen(batch, at=at, known=draw(st.sampled_from(["", "v", "v w"])), **fields))
    return found


@given(histories())
def test_versions_follow_one_another(found: list[Observation | Absence]) -> None:
    made = fold(events(found), frozenset("x"))
    for one, following in pairwise(made):
        assert one.valid_to is not None
        assert one.valid_from < one.valid_to <= following.valid_from
        assert one.deleted or one.valid_to == following.valid_from
    assert sum(v.valid_to is None for v in made[-1:]) == sum(v.valid_to is None for v in made)
    last = found[-1]
    if made and isinstance(last, Absence):
        assert made[-1].deleted


@given(histories())
def test_events_are_in_valid_time_and_never_more_than_what_was_seen(
    found: list[Observation | Absence],
) -> None:
    made = events(found)
    assert [e.at for e in made] == sorted(e.at for e in made)
    assert len(made) <= len(found)


@given(histories(), st.data())
def test_a_batch_seen_again_later_without_news_changes_no_row(
    found: list[Observation | Absence], data: st.DataObject
) -> None:
    """Without clocks: the next batch holds what the last one held."""
    plain = [
        item if isinstance(item, Absence) else seen(int(item.batch[1:]), **item.values)
        for item in found
    ]  # fmt: skip
    last = plain[-1]
    again = gone(9) if isinstance(last, Absence) else seen(9, **last.values)
    assert fold(events([*plain, again]), NONE) == fold(events(plain), NONE)


@given(histories(clock=False), st.integers(0, 5))
def test_what_was_observed_later_changes_nothing_before_it(
    found: list[Observation | Absence], number: int
) -> None:
    """Without clocks, history up to a batch is the history of the batches up to it: a late one fits in between."""
    until = [item for item in found if item.batch_at <= number * 10]
    early, whole = fold(events(until), NONE), fold(events(found), NONE)
    before = [(v.valid_from, v.batch) for v in whole if v.valid_from <= number * 10]
    assert [(v.valid_from, v.batch) for v in early] == before
