"""What the records of a batch are like: the kinds of each path's values, and which record has which paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dataplatform.records.columnar import grouped
from dataplatform.records.kinds import LISTS, NULL, TEXT, join, kind_of_values
from dataplatform.records.record import ITEM, item_fields, within


@dataclass
class Profile:
    """Grows while the records go by. `whole`: paths that stay JSON; bit i of a mask stands for `paths[i]`."""

    whole: frozenset[str]
    textual: bool
    paths: list[str]
    kinds: dict[str, str]
    bits: dict[str, int] = field(init=False)
    masks_of: dict[tuple[str, tuple[str, ...]], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bits = {path: i for i, path in enumerate(self.paths)}


def noted(profile: Profile, records: Sequence[Mapping[str, Any]], prefix: str = "") -> list[int]:
    """Notes the kinds of the records' values, column by column; returns the mask of each's paths."""
    whole = within(profile.whole, prefix) if prefix and profile.whole else profile.whole
    nested: dict[str, tuple[list[Any], list[int]]] = {}
    masks = [0] * len(records)
    if prefix and records:
        profile.kinds[prefix] = LISTS  # a list that held items has a table, if they have no field at all
    for group in grouped(records, whole):
        # an item may have no field at all: that it is there is a path of its own
        mask = mask_of(profile, prefix, ("", *group.scalars) if prefix else tuple(group.scalars))
        for path, column in group.scalars.items():
            _note_kind(profile, prefix + path, column)
        for path, column in group.lists.items():
            mask |= mask_of(profile, prefix, (path,))
            found = nested.setdefault(path, ([], []))
            for number, items in zip(group.places, column, strict=True):
                found[0].extend(map(item_fields, items))
                found[1].extend([number] * len(items))
        for number in group.places:
            masks[number] = mask
    for path, (items, owners) in nested.items():
        profile.kinds[prefix + path] = join(profile.kinds.get(prefix + path, NULL), LISTS)
        inner = noted(profile, items, prefix + path + ITEM)
        for owner, mask in zip(owners, inner, strict=True):
            masks[owner] |= mask
    return masks


def _note_kind(profile: Profile, path: str, column: Iterable[Any]) -> None:
    known = profile.kinds.get(path, NULL)
    if known != TEXT:
        profile.kinds[path] = join(known, kind_of_values(column, profile.textual))


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
