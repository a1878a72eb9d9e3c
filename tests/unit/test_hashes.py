"""Arrays of hashes do what lists and sets of bytes would."""

from __future__ import annotations

import numpy as np
import pytest
from dataplatform.records import hashes as hs
from hypothesis import given
from hypothesis import strategies as st

# few distinct halves, so that hashes meet that have the first one in common
half = st.integers(0, 3).map(lambda n: bytes([n]) * 8)
one = st.tuples(half, half).map(b"".join)
many = st.lists(one, max_size=12)


def test_bytes_and_back() -> None:
    found = [bytes(range(16)), bytes(16), b"\xff" * 16]
    assert hs.hashes(found).shape == (3, 2)
    assert hs.pieces(hs.hashes(found)) == found
    assert hs.pieces(hs.hashes(b"".join(found))) == found
    assert hs.hashes([]).shape == (0, 2) == hs.EMPTY.shape
    assert hs.pieces(hs.EMPTY) == []
    with pytest.raises(ValueError, match="buffer size"):
        hs.hashes(b"too short")


@given(many, many)
def test_find_gives_a_place_of_each(needles: list[bytes], haystack: list[bytes]) -> None:
    places = hs.find(hs.hashes(needles), hs.hashes(haystack)).tolist()
    assert [place >= 0 for place in places] == [n in haystack for n in needles]
    assert all(haystack[p] == n for p, n in zip(places, needles, strict=True) if p >= 0)


@given(many, many)
def test_a_prepared_order_finds_the_same(needles: list[bytes], haystack: list[bytes]) -> None:
    stack = hs.hashes(haystack)
    if len(stack):
        assert (
            hs.find(hs.hashes(needles), stack, hs.prepared(stack)) == hs.find(hs.hashes(needles), stack)
        ).all()


@given(many, many)
def test_member_is_in(needles: list[bytes], haystack: list[bytes]) -> None:
    assert hs.member(hs.hashes(needles), hs.hashes(haystack)).tolist() == [n in haystack for n in needles]


@given(many)
def test_single_and_unique(found: list[bytes]) -> None:
    assert hs.single(hs.hashes(found)).tolist() == [found.count(f) == 1 for f in found]
    distinct = hs.unique(hs.hashes(found))
    assert sorted(hs.pieces(distinct)) == sorted(set(found))
    assert hs.order(distinct).tolist() == list(range(len(distinct)))


def test_needles_are_found_across_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hs, "_PIECE", 3)
    stack = hs.hashes(n.to_bytes(16, "big") for n in range(0, 100, 2))
    needles = hs.hashes(n.to_bytes(16, "big") for n in range(100))
    assert hs.find(needles, stack).tolist() == [n // 2 if n % 2 == 0 else -1 for n in range(100)]
    assert not hs.find(needles, hs.EMPTY).tolist().count(0)
    assert not len(hs.find(hs.EMPTY, stack))


@given(many, st.booleans(), st.integers(1, 4))
def test_distinct_is_as_many_as_there_are(found: list[bytes], halves: bool, part: int) -> None:
    """Also where first halves are the same and the hashes are not, and where there are more than are compared at once."""
    hashes = hs.hashes(found if not halves else [b"8 bytes!" + item[8:] for item in found])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hs, "_PART", part)
        assert hs.distinct(hashes) == (len(set(hs.pieces(hashes))) == len(hashes))


def test_of_many_one_that_is_there_twice_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hs, "_PART", 1_000)
    found = np.random.default_rng(1).integers(0, 1 << 63, (20_000, 2), dtype=np.uint64) << np.uint64(1)
    assert hs.distinct(found)
    for twice in (0, 10_000, 19_999):
        assert not hs.distinct(np.concatenate([found, found[twice : twice + 1]]))


@pytest.mark.parametrize("part", [1_000, 1_000_000])
@pytest.mark.parametrize("bits", [64, 20, 8])
def test_of_many_each_is_found_where_it_stands_first(
    monkeypatch: pytest.MonkeyPatch, bits: int, part: int
) -> None:
    """Also where many have their last bits, or all of a first half, in common; in parts by their first bits, too."""
    monkeypatch.setattr(hs, "_PIECE", 1_000)
    monkeypatch.setattr(hs, "_PART", part)
    random = np.random.default_rng(bits)
    stack = random.integers(0, 1 << bits, (5_000, 2), dtype=np.uint64, endpoint=bits == 8)
    if bits == 20:
        stack[:, 0] <<= np.uint64(44)
    stack = np.concatenate([stack, stack[::3]])
    needles = np.concatenate([stack[::-2], random.integers(0, 1 << bits - 1, (5_000, 2), dtype=np.uint64)])
    first: dict[bytes, int] = {}
    for place, one in enumerate(hs.pieces(stack)):
        first.setdefault(one, place)
    wanted = [first.get(needle, -1) for needle in hs.pieces(needles)]
    assert hs.find(needles, stack).tolist() == wanted
    assert hs.find(needles, stack, hs.prepared(stack)).tolist() == wanted
    assert -1 in wanted


def test_rows_are_as_numpy_has_them() -> None:
    found = hs.hashes(n.to_bytes(16, "big") for n in range(10))
    flags, places = np.arange(10) % 3 == 0, np.array([9, 0, 0, -1])
    for which in (flags, places, slice(2, 5), [1, 2], np.empty(0, np.intp)):
        assert (hs.rows(found, which) == found[which]).all()
        assert hs.rows(found, which).shape == found[which].shape


@pytest.mark.parametrize("share", [0.0, 0.01, 0.7, 1.0])
def test_rows_under_a_mask_of_many_are_those_of_the_array(
    monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(hs, "PASSED", 1_000)
    random = np.random.default_rng(1)
    found = random.integers(0, 1 << 63, (3_500, 3), dtype=np.uint64)
    mask = random.random(3_500) < share
    assert hs.rows(found, mask).tolist() == found[mask].tolist()
