"""Where the versions of text that was made ahead are among those that silver wants."""

from __future__ import annotations

from typing import Any

import pytest
from dataplatform.layers.silver.ahead import _Piece, _placed
from dataplatform.records import hashes as hs


def name(number: int) -> bytes:
    return number.to_bytes(16, "big")


def a_piece(*numbers: int) -> _Piece:
    """Where its versions begin: at the first one's number."""
    plan: Any = None
    return _Piece(plan, len(numbers), numbers[0], {})


def read(piece: _Piece) -> hs.Hashes:
    return hs.hashes(map(name, range(piece.versions, piece.versions + piece.records)))


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ([1, 2, 3, 4, 5], [[0, 1], [2], [3, 4]]),
        ([1, 2, 3, 4, 5, 6], [[0, 1], [2], [3, 4]]),
        ([1, 2, 3, 5, 4], [[0, 1], [2], [4, 3]]),
        ([3, 1, 2, 4, 5], [[1, 2], [0], [3, 4]]),
        ([1, 2, 4, 5], [[0, 1], [-1], [2, 3]]),
        ([1], [[0, -1], [-1], [-1, -1]]),
        ([], [[-1, -1], [-1], [-1, -1]]),
    ],
)
def test_each_piece_is_found_in_order_or_not(wanted: list[int], places: list[list[int]]) -> None:
    pieces = [a_piece(1, 2), a_piece(3), a_piece(4, 5)]
    found = list(_placed(pieces, read, hs.hashes(map(name, wanted))))
    assert [piece for piece, _ in found] == pieces
    assert [at.tolist() for _, at in found] == places
