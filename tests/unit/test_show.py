"""A record's history in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from dataplatform.cli.show import _lines, _value
from dataplatform.reading.history import Change, Version
from dataplatform.reading.runs import Touch


def moment(day: int, second: int = 0) -> datetime:
    return datetime(2026, 1, day, 10, 0, second, tzinfo=UTC)


def version(start: int, end: int | None, *changes: Change, deleted: bool = False, last: str = "") -> Version:
    written = Touch(f"b{start}", f"r{start}")
    touched = Touch(last, None) if last else written
    until = moment(end) if end else None
    return Version(
        moment(start), until, end is None, deleted, {"id": 1, "title": "a"}, changes, written, touched
    )


def test_a_line_for_each_change_and_each_deletion() -> None:
    versions = (
        version(1, 3),
        version(3, 5, Change("title", "a", "b"), Change("n", None, 2), deleted=True, last="b5"),
        version(7, None, last="b8"),
    )
    assert list(_lines(versions)) == [
        '2026-01-01 10:00  id: 1, title: "a"  (batch b1, run r1)',
        '2026-01-03 10:00  title: "a" → "b", n: null → 2  (batch b3, run r3)',
        "2026-01-05 10:00  deleted  (batch b5, run unknown)",
        "2026-01-07 10:00  back, as it was  (batch b7, run r7)",
        "                  last changed in place  (batch b8, run unknown)",
    ]


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "null"), ("", '""'), ("a[b]", '"a[b]"'), (True, "true"), (1.5, "1.5"), ([1], "[1]"),
     (datetime(2026, 1, 31, tzinfo=UTC), "2026-01-31T00:00:00+00:00")],
)  # fmt: skip
def test_values_can_be_told_apart(value: Any, words: str) -> None:
    assert _value(value) == words
