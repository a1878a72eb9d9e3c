"""Manifests: the difference to an earlier batch, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dataplatform.errors import StorageError
from dataplatform.layers.bronze.manifest import (
    Difference,
    Held,
    Manifest,
    applied,
    difference,
    joined,
    widened,
)
from dataplatform.records.hashes import EMPTY, hashes, pieces
from dataplatform.records.refs import BatchRef, EntityRef
from hypothesis import given
from hypothesis import strategies as st

Entries = dict[int, tuple[int, int, int]]  # key → version, line, mask


def name(kind: str, number: int) -> bytes:
    return kind.encode() * 8 + number.to_bytes(8, "big")


def held(entries: Entries, bad: tuple[int, ...] = (), words: int = 1) -> Held:
    return Held(
        hashes(name("k", key) for key in entries),
        hashes(name("v", version) for version, _, _ in entries.values()),
        hashes(name("l", line) for _, line, _ in entries.values()),
        np.array([[mask] * words for _, _, mask in entries.values()], np.uint64).reshape(-1, words),
        hashes(name("k", key) for key in bad),
    )


def told(found: Held) -> dict[bytes, tuple[bytes, bytes, list[int]]]:
    """What it says of each key, whatever the order; words of a mask that are zero at its end say nothing."""
    rows = zip(
        pieces(found.keys), pieces(found.versions), pieces(found.lines), found.masks.tolist(), strict=True
    )
    return {key: (version, line, mask if any(mask[1:]) else mask[:1]) for key, version, line, mask in rows}


entries = st.dictionaries(
    st.integers(0, 8), st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 3)), max_size=8
)


@given(entries, entries, st.sampled_from([1, 2]), st.sampled_from([1, 2]), st.sampled_from([2, 1_000]))
def test_applying_the_difference_gives_the_batch(
    base: Entries, new: Entries, one: int, other: int, together: int
) -> None:
    # a version's mask follows from its content: the same version has the same mask
    base, new = ({k: (v, line, v + 1) for k, (v, line, _) in e.items()} for e in (base, new))
    old, wanted = held(base, words=one), held(new, (90, 91), words=other)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dataplatform.records.holdings.PASSED", together)
        change = difference(old, wanted, most=float("inf"))
    assert change is not None
    made = applied(old, change, wanted.held)
    # an entry that did not change keeps the mask of the base, of as many words as that has
    assert {k: v[:2] for k, v in told(made).items()} == {k: v[:2] for k, v in told(wanted).items()}
    if one == other:
        assert told(made) == told(wanted)
    assert len(made) == len(wanted)
    assert pieces(made.held) == [name("k", 90), name("k", 91)]


@given(entries, entries)
def test_a_difference_holds_what_changed_and_no_more(base: Entries, new: Entries) -> None:
    change = difference(held(base), held(new), most=float("inf"))
    assert change is not None
    changed = {k for k, v in new.items() if k not in base or base[k][:2] != v[:2]}
    assert set(pieces(change.entries.keys)) == {name("k", k) for k in changed}
    assert set(pieces(change.gone)) == {name("k", k) for k in base.keys() - new.keys()}


def test_nothing_changed_is_an_empty_difference_and_leaves_the_entries_as_they_are() -> None:
    base = held({1: (1, 1, 1), 2: (2, 2, 3)})
    change = difference(base, held({2: (2, 2, 3), 1: (1, 1, 1)}), most=1)
    assert change is not None
    assert (len(change.entries), len(change.gone)) == (0, 0)
    made = applied(base, change, EMPTY)
    assert made.keys is base.keys
    assert len(made.held) == 0


@pytest.mark.parametrize(("most", "worth"), [(1, False), (2, False), (3, True)])
def test_a_difference_that_is_too_large_is_none(most: int, worth: bool) -> None:
    """One changed and one gone: two."""
    base, new = held({1: (1, 1, 1), 2: (1, 1, 1), 3: (1, 1, 1)}), held({1: (2, 2, 1), 3: (1, 1, 1)})
    assert (difference(base, new, most) is not None) is worth


def test_a_line_written_otherwise_is_a_change_although_its_version_is_the_same() -> None:
    change = difference(held({1: (1, 1, 1)}), held({1: (1, 2, 1)}), most=9)
    assert change is not None
    assert pieces(change.entries.lines) == [name("l", 2)]


def test_masks_say_which_paths_are_there() -> None:
    paths = [f"p{n}" for n in range(70)]
    masks = np.array([[0b101, 0], [0, 1 << 5]], np.uint64)
    found = Held(*[hashes([bytes(16), b"x" * 16])] * 3, masks=masks)
    assert found.present(paths) == {"p0", "p2", "p69"}
    assert Held().present(paths) == set()
    assert found.take([0]).present(paths) == {"p0", "p2"}
    assert widened(masks[:, :1], 2).tolist() == [[0b101, 0], [0, 0]]
    assert widened(masks, 1) is masks


def test_unique_keys() -> None:
    twice = Held(*[hashes([bytes(16), bytes(16)])] * 3, masks=np.ones((2, 1), np.uint64))
    assert not twice.is_unique()
    assert twice.take([1]).is_unique()
    assert Held().is_unique()


def manifest(**more: Any) -> Manifest:
    given_ = {
        "ref": BatchRef(EntityRef("s", "e"), "b"), "load": "full", "rule": "", "base": None,
        "depth": 0, "chunks": 2, "records": 0, "entries": 0, "new_versions": 0, "quarantined": 0, "unreadable": 0,
        "unique": True, "paths": ["a"], "columns": [], "kinds": {}, "fingerprint": "",
    }  # fmt: skip
    return Manifest(**(given_ | more))


def piece(number: int, found: Held, gone: bytes = b"") -> dict[str, Any]:
    names = ("keys", "versions", "lines", "masks", "held")
    return {"_id": f"s/e/b/{number}", "gone": gone} | {n: getattr(found, n).tobytes() for n in names}


@pytest.mark.parametrize("turned", [False, True])
def test_pieces_are_joined_in_the_order_of_their_numbers(turned: bool) -> None:
    """2 before 10, which text alone would turn round."""
    made = [piece(2, held({1: (1, 1, 1)})), piece(10, held({2: (2, 2, 1)}, (5,)), name("k", 9))]
    found = joined(manifest(), reversed(made) if turned else made)
    assert isinstance(found, Difference)
    assert pieces(found.entries.keys) == [name("k", 1), name("k", 2)]
    assert pieces(found.entries.held) == [name("k", 5)]
    assert pieces(found.gone) == [name("k", 9)]


def test_a_piece_that_is_missing_is_an_error_with_its_remedy() -> None:
    with pytest.raises(StorageError, match="lacks 1 of 2 pieces of the manifest s/e/b") as caught:
        joined(manifest(), [piece(0, held({1: (1, 1, 1)}))])
    assert caught.value.remedy.endswith("dataplatform replay s")


@pytest.mark.parametrize(
    ("load", "unreadable", "complete"), [("full", 0, True), ("full", 1, False), ("delta", 0, False)]
)
def test_absence_says_something_only_in_a_full_batch_of_which_every_line_was_read(
    load: str, unreadable: int, complete: bool
) -> None:
    assert manifest(load=load, unreadable=unreadable).complete is complete
