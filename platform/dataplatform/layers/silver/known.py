"""What is known of an entity's paths: which kinds of values they have, counted over all versions, since which batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace

from dataplatform.metadata.source import Entity
from dataplatform.records import kinds as k
from dataplatform.records.holdings import Manifest


@dataclass(frozen=True)
class KnownPath:
    """What is known of a path: the kind of its values, the oldest batch that had it, the newest that lacked it.

    `counts`: how many values of which kind all versions have, sorted; `said`: the type that the source says it has.
    `settled`: those of the counts whose versions retention took: no batch tells of them any more.
    """

    kind: str
    first_batch: str
    column: str = ""
    table: str = ""
    type: str | None = None
    silent_batch: str = ""
    counts: tuple[tuple[str, int], ...] = ()
    said: str | None = None
    settled: tuple[tuple[str, int], ...] = ()


def tallied(
    known: Mapping[str, KnownPath],
    manifests: Iterable[Manifest],
    entity: Entity,
    refused: Iterable[Manifest] = (),
) -> dict[str, KnownPath]:
    """What is known, with the values of these batches and of no others counted.

    `refused`: batches that silver would not take; they bring no columns, but their values count in those there are.
    """
    result = {path: replace(one, counts=one.settled) for path, one in known.items()}
    for manifest in manifests:
        result = _counted(result, manifest)
    for manifest in refused:
        result = {path: one for path, one in _counted(result, manifest).items() if path in result}
    return {path: _decided(one, k.NULL, entity) for path, one in result.items()}


def settled(known: Mapping[str, KnownPath], manifests: Iterable[Manifest]) -> dict[str, dict[str, int]]:
    """By path, what counts beyond the values of these batches: how many of which kind."""
    told = {path: replace(one, counts=()) for path, one in known.items()}
    for manifest in manifests:
        told = _counted(told, manifest)
    beyond = {
        path: Counter(dict(one.counts)) - Counter(dict(told[path].counts)) for path, one in known.items()
    }
    return {path: dict(counts) for path, counts in beyond.items() if counts}


def merged(
    before: Mapping[str, KnownPath],
    manifest: Manifest,
    entity: Entity,
    counted: bool = False,
    refused: Iterable[Manifest] = (),
) -> dict[str, KnownPath]:
    """What is known after a batch; a kind is decided by the values of all versions, whatever their order.

    `counted`: the batch's values are among those that count already. `refused`: see `tallied`.
    """
    kinds = dict.fromkeys(manifest.columns, k.NULL) | manifest.kinds
    result = dict(before)
    for path in kinds:
        old = result.get(path) or KnownPath(k.NULL, manifest.batch_id)
        said = k.join_types(old.said, manifest.types.get(path))
        result[path] = replace(old, first_batch=min(old.first_batch, manifest.batch_id), said=said)
    if not counted:
        result = _counted(result, manifest)
    for other in refused:
        result = {path: one for path, one in _counted(result, other).items() if path in result}
    return {path: _decided(one, kinds.get(path, k.NULL), entity) for path, one in result.items()}


def _counted(known: Mapping[str, KnownPath], manifest: Manifest) -> dict[str, KnownPath]:
    result = dict(known)
    counts = manifest.counts
    if counts is None:  # of an older release: its values count as what they were together
        counts = {path: {kind: max(1, manifest.new_versions)} for path, kind in manifest.kinds.items()}
    for path, more in counts.items():
        old = result.get(path) or KnownPath(k.NULL, manifest.batch_id)
        total = dict(old.counts)
        for kind, number in more.items():
            if kind not in (k.NULL, k.LISTS):
                total[kind] = total.get(kind, 0) + number
        result[path] = replace(old, counts=tuple(sorted(total.items())))
    return result


def _decided(known: KnownPath, kind: str, entity: Entity) -> KnownPath:
    """`kind`: of its values in the batch; of no use but to tell lists from nothing at all."""
    if known.counts:
        return replace(known, kind=k.decided(dict(known.counts), entity.max_misfits))
    lists = k.LISTS in (known.kind, kind)
    return replace(known, kind=k.LISTS if lists else k.NULL)


def silenced(
    before: Mapping[str, KnownPath],
    after: Mapping[str, KnownPath],
    present: Set[str],
    batch_id: str,
    newest: str,
) -> dict[str, KnownPath]:
    """Notes of every path whether this batch lacks it; of a new one, that all batches up to `newest` did."""
    result = {}
    for path, known in after.items():
        silent = before[path].silent_batch if path in before else newest
        result[path] = replace(known, silent_batch=silent if path in present else max(silent, batch_id))
    return result
