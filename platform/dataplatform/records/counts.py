"""How many records a load read, and what it did with them."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Counts:
    """What a load did, in rows. `read`: records that came in.

    >>> Counts(read=2, inserted=1) + Counts(read=1, unchanged=1)
    Counts(read=3, inserted=1, updated=0, closed=0, unchanged=1, quarantined=0)
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    closed: int = 0
    unchanged: int = 0
    quarantined: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))
