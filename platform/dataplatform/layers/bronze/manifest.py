"""How manifests are stored: as the difference to another's where that is smaller.

A mask says which paths a record has: bit i of word i // 64 stands for `paths[i]`; masks have the
shape (n, words).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dataplatform.errors import StorageError
from dataplatform.records.growing import PASSED, Data, Growing, let_go, passing, written
from dataplatform.records.hashes import Hashes, hashes, member, rows
from dataplatform.records.holdings import Held, Manifest, apart


@dataclass(frozen=True)
class Difference:
    """What turns one batch's entries into another's."""

    entries: Held
    gone: Hashes


def widened(masks: Hashes, words: int) -> Hashes:
    """The masks with at least `words` words each."""
    missing = words - masks.shape[1]
    return masks if missing <= 0 else np.pad(masks, ((0, 0), (0, missing)))


def mask_array(masks: list[int], words: int) -> Hashes:
    """Masks as arrays of so many words."""
    if words == 1:
        return np.array(masks, np.uint64).reshape(-1, 1)
    low = (1 << 64) - 1
    columns = [[(m >> (64 * i)) & low for m in masks] for i in range(words)]
    return np.array(columns, np.uint64).T.reshape(-1, words)


def mask_numbers(masks: Hashes) -> list[int]:
    """The inverse."""
    if masks.shape[1] == 1:
        return list(masks[:, 0].tolist())
    return [sum(word << (64 * i) for i, word in enumerate(row)) for row in masks.tolist()]


def difference(base: Held, new: Held, most: float) -> Difference | None:
    """Both have each key once. Entries that are new or not the same, and keys that are gone.

    None where these are `most` or more.
    """
    changed, gone = apart(new, base, lines=True)
    if int(changed.sum()) + int(gone.sum()) >= most:
        return None
    return Difference(new.take(changed), rows(base.keys, gone))


def applied(base: Held, change: Difference, held: Hashes, scratch: Path | None = None) -> Held:
    """The inverse of `difference`; in the order of the base, then that of the change. `scratch`: as in `joined`."""
    if not len(change.entries) and not len(change.gone):
        return replace(base, held=held)
    entries = change.entries
    stays = ~member(base.keys, np.concatenate([entries.keys, change.gone]))
    words = max(base.masks.shape[1], entries.masks.shape[1])
    return Held(
        _staying(base.keys, stays, entries.keys, scratch),
        _staying(base.versions, stays, entries.versions, scratch),
        _staying(base.lines, stays, entries.lines, scratch) if len(base.lines) else entries.lines,
        _staying(base.masks, stays, entries.masks, scratch, words),
        held,
    )


def _staying(
    base: Hashes, stays: npt.NDArray[np.bool_], more: Hashes, scratch: Path | None, words: int = 2
) -> Hashes:
    """The rows that stay, of so many words, and then some more; where they are many, on disk."""
    kept = (
        rows(some, stays[at * PASSED : (at + 1) * PASSED]) for at, some in enumerate(passing(base, PASSED))
    )
    parts = (widened(some, words) for some in chain(kept, [more]))
    return np.frombuffer(written(parts, scratch), np.uint64).reshape(-1, words)


def joined(
    manifest: Manifest, pieces: Iterable[Mapping[str, Any]], scratch: Path | None = None
) -> Difference:
    """What is stored of a manifest, from its pieces in any order (their ids end in /0, /1, …).

    Raises StorageError where one is missing. `scratch`: folder for the arrays, where they are large.
    """
    names = ("keys", "versions", "lines", "masks", "held", "gone")
    with ExitStack() as stack:
        parts = {name: stack.enter_context(closing(Growing(scratch))) for name in names}
        return _joined(manifest, pieces, parts, scratch)


def _joined(
    manifest: Manifest,
    pieces: Iterable[Mapping[str, Any]],
    parts: Mapping[str, Growing],
    scratch: Path | None,
) -> Difference:
    names = [*parts]
    lengths: dict[int, list[int]] = {}
    for piece in pieces:
        found = [bytes(piece.get(name) or b"") for name in names]
        lengths[int(piece["_id"].rpartition("/")[2])] = [*map(len, found)]
        for grown, data in zip(parts.values(), found, strict=True):
            grown.add(data)
    if len(lengths) != manifest.chunks:
        raise StorageError(
            f"bronze lacks {manifest.chunks - len(lengths)} of {manifest.chunks} pieces of the manifest {manifest.id}",
            f"rebuild it from raw: dataplatform replay {manifest.ref.source}",
        )

    def whole(name: str) -> Data:
        own = {number: all_[names.index(name)] for number, all_ in lengths.items()}
        return _in_order(parts[name].whole(), own, scratch)

    words = max(1, -(-len(manifest.paths) // 64))
    keys, versions, lines, held, gone = (
        hashes(whole(name)) for name in ("keys", "versions", "lines", "held", "gone")
    )
    masks = np.frombuffer(whole("masks"), np.uint64).reshape(-1, words)
    return Difference(Held(keys, versions, lines, masks, held), gone)


def _in_order(found: Data, lengths: Mapping[int, int], scratch: Path | None) -> Data:
    """Pieces that came as they were asked for, by their ids: /10 before /2. `lengths`: of each, as they came."""
    if [*lengths] == sorted(lengths):
        return found
    starts = dict(zip(lengths, accumulate(lengths.values(), initial=0), strict=False))
    pieces = np.frombuffer(found, np.uint8)

    def ordered() -> Iterator[npt.NDArray[np.uint8]]:
        for number in sorted(lengths):
            yield pieces[starts[number] : starts[number] + lengths[number]]
            let_go(pieces)

    return written(ordered(), scratch)
