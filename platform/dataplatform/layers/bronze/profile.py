"""What the records of a batch are like: the kinds of each path's values, and which record has which paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dataplatform.records.columnar import grouped
from dataplatform.records.kinds import LISTS, NULL, join, join_all, kinds_of_values
from dataplatform.records.record import ITEM, item_fields, within

Counts = dict[str, dict[str, int]]  # by path and kind


@dataclass
class Profile:
    """Grows while the records go by. `whole`: paths that stay JSON; bit i of a mask stands for `paths[i]`.

    `kinds`: of all values of a path together; `counts`: how many values of which kind the versions have that this
    batch brought first, so that over all batches each version counts once.
    """

    whole: frozenset[str]
    textual: bool
    paths: list[str]
    kinds: dict[str, str]
    bits: dict[str, int] = field(init=False)
    masks_of: dict[tuple[str, tuple[str, ...]], int] = field(default_factory=dict)
    counts: Counts = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bits = {path: i for i, path in enumerate(self.paths)}


def noted(
    profile: Profile, records: Sequence[Mapping[str, Any]], fresh: Sequence[bool], prefix: str = ""
) -> list[int]:
    """Notes the kinds of the records' values, column by column; returns the mask of each's paths.

    `fresh`: which of the records are versions that this batch brought first.
    """
    whole = within(profile.whole, prefix) if prefix and profile.whole else profile.whole
    nested: dict[str, tuple[list[Any], list[int]]] = {}
    masks = [0] * len(records)
    if prefix and records:
        profile.kinds[prefix] = LISTS  # a list that held items has a table, if they have no field at all
    for group in grouped(records, whole):
        # an item may have no field at all: that it is there is a path of its own
        mask = mask_of(profile, prefix, ("", *group.scalars) if prefix else tuple(group.scalars))
        counted = [fresh[number] for number in group.places]
        rest = None if all(counted) else counted
        for path, column in group.scalars.items():
            _note_kinds(profile, prefix + path, column, group.types[path], rest)
        for path, column in group.lists.items():
            mask |= mask_of(profile, prefix, (path,))
            into = nested.setdefault(path, ([], []))
            for number, items in zip(group.places, column, strict=True):
                into[0].extend(map(item_fields, items))
                into[1].extend([number] * len(items))
        for number in group.places:
            masks[number] = mask
    for path, (items, owners) in nested.items():
        profile.kinds[prefix + path] = join(profile.kinds.get(prefix + path, NULL), LISTS)
        inner = noted(profile, items, [fresh[owner] for owner in owners], prefix + path + ITEM)
        for owner, mask in zip(owners, inner, strict=True):
            masks[owner] |= mask
    return masks


def _note_kinds(
    profile: Profile, path: str, column: Sequence[Any], types: frozenset[type], fresh: Sequence[bool] | None
) -> None:
    counts = kinds_of_values(column, profile.textual, types)
    profile.kinds[path] = join_all([profile.kinds.get(path, NULL), *counts])
    if fresh is not None:
        values = [value for value, first in zip(column, fresh, strict=True) if first]
        counts = kinds_of_values(values, profile.textual)
    add_counts(profile.counts, {path: counts})


def add_counts(total: Counts, counts: Counts, sign: int = 1) -> None:
    """Adds them, or takes them back; a kind of which nothing is left goes."""
    for path, numbers in counts.items():
        into = total.setdefault(path, {})
        for kind, number in numbers.items():
            into[kind] = into.get(kind, 0) + sign * number
            if not into[kind]:
                del into[kind]


def counts_of(records: Sequence[Mapping[str, Any]], whole: frozenset[str], textual: bool) -> Counts:
    """What `noted` counts of such versions."""
    profile = Profile(whole, textual, [], {})
    noted(profile, records, [True] * len(records))
    return profile.counts


def mask_of(profile: Profile, prefix: str, paths: tuple[str, ...]) -> int:
    """Bits of the paths; each set of paths is worked out once."""
    known = profile.masks_of.get((prefix, paths))
    if known is not None:
        return known
    mask = 0
    for path in paths:
        bit = profile.bits.get(prefix + path)
        if bit is None:
            bit = profile.bits[prefix + path] = len(profile.paths)
            profile.paths.append(prefix + path)
        mask |= 1 << bit
    if len(profile.masks_of) < 100_000:
        profile.masks_of[prefix, paths] = mask
    return mask
