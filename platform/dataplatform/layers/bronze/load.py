"""Loads one raw batch of one entity into bronze. Loading it again changes nothing."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import xxhash

from dataplatform.layers.bronze import manifest as mf
from dataplatform.layers.bronze import quarantine
from dataplatform.layers.bronze.manifest import Difference
from dataplatform.layers.bronze.parse import Record, Rule, items_of, parse_block, to_bson
from dataplatform.layers.bronze.quarantine import Bad
from dataplatform.layers.bronze.store import Bronze
from dataplatform.metadata.cursor import later
from dataplatform.metadata.paths import dig
from dataplatform.metadata.source import Entity, cursor_of
from dataplatform.records import hashes as hs
from dataplatform.records.columnar import grouped
from dataplatform.records.holdings import Held, Manifest
from dataplatform.records.kinds import LISTS, NULL, TEXT, join, kind_of_values
from dataplatform.records.record import ITEM, content_id, item_fields, within
from dataplatform.records.refs import BatchRef
from dataplatform.storage.mongo import server_errors

MAX_CHAIN = 20  # manifests that lean on one another before a whole one is written again
_BLOCK = 5_000  # lines looked up together
_PIECE = 500  # records handled together: few enough to stay in the processor's cache


class RawBatch(Protocol):
    """What bronze needs to know of a landed batch."""

    @property
    def ref(self) -> BatchRef: ...
    @property
    def load(self) -> Literal["full", "delta"]: ...
    def fingerprint(self) -> str: ...


class RawPage(Protocol):
    """A page read back from raw."""

    @property
    def header(self) -> dict[str, Any]: ...
    @property
    def lines(self) -> list[bytes]: ...
    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...


@dataclass
class _Work:
    """What grows while the pages go by; a few dozen bytes a record."""

    rule: Rule
    entity: Entity
    whole: frozenset[str]
    paths: list[str]
    kinds: dict[str, str]
    bits: dict[str, int] = field(default_factory=dict)
    masks_of: dict[tuple[str, tuple[str, ...]], int] = field(default_factory=dict)
    keys: bytearray = field(default_factory=bytearray)  # 16 bytes a record, as the next two
    versions: bytearray = field(default_factory=bytearray)
    lines: bytearray = field(default_factory=bytearray)
    masks: list[int] = field(default_factory=list)
    seen_masks: dict[int, int] = field(
        default_factory=dict
    )  # a number that is there once takes no room again
    positions: array[int] = field(
        default_factory=lambda: array("q")
    )  # known lines of a block come before fresh ones
    delivered: int = 0
    first: bool = False
    held: list[bytes] = field(default_factory=list)
    columns: dict[str, None] = field(default_factory=dict)
    cursor: str | int | float | None = None
    records: int = 0
    new_versions: int = 0
    quarantined: int = 0
    unreadable: int = 0


def load(
    bronze: Bronze,
    raw: RawBatch,
    pages: Iterable[RawPage],
    entity: Entity,
    whole: frozenset[str],
) -> Manifest:
    """Stores versions never seen before, then the batch's manifest.

    `whole`: paths that stay JSON values. Raises ServerError where MongoDB fails.
    """
    with server_errors():
        done = bronze.manifest(raw.ref)
        return _load(bronze, raw, pages, entity, whole) if done is None else done


def _load(
    bronze: Bronze, raw: RawBatch, pages: Iterable[RawPage], entity: Entity, whole: frozenset[str]
) -> Manifest:
    stream = iter(pages)
    first = next(stream, None)
    rule = reading_rule(entity, bool(first and first.header.get("textual")))
    base = None
    if raw.load == "full":
        base = bronze.base(raw.ref, rule.identity())
    if base is not None and raw.fingerprint() and base.fingerprint == raw.fingerprint():
        return _same(bronze, raw, base)
    before = bronze.held(base) if base else Held()
    work = _Work(rule, entity, whole, list(base.paths) if base else [], dict(base.kinds) if base else {})
    work.first = bronze.count(raw.ref.entity) == 0
    work.bits = {path: i for i, path in enumerate(work.paths)}
    work.cursor = base.cursor if base else None
    lookup = _Lookup(before)
    for page in _chain(first, stream):
        for name in page.header.get("columns") or ():
            work.columns.setdefault(name)
        _rejects(bronze, raw, page, work)
        _page(bronze, raw, page, work, lookup)
    del lookup  # as large as half of what it looks in
    return _finish(bronze, raw, work, base, before)


def reading_rule(entity: Entity, textual: bool) -> Rule:
    default = ("",) if textual else ()
    nulls = default if entity.null_values is None else entity.null_values
    return Rule(entity.key, frozenset(nulls), textual)


def _chain(first: RawPage | None, rest: Iterator[RawPage]) -> Iterator[RawPage]:
    if first is not None:
        yield first
        yield from rest


def _same(bronze: Bronze, raw: RawBatch, base: Manifest) -> Manifest:
    """Nothing is different: the manifest only points at its base (or at what that points at)."""
    empty = base.base is not None and base.chunks == 0
    same = replace(
        base,
        ref=raw.ref,
        base=base.base if empty else base.id,
        depth=base.depth if empty else base.depth + 1,
        chunks=0,
        new_versions=0,
    )
    held = bronze.held(base).held if base.quarantined else hs.EMPTY
    return bronze.put(same, Held(held=held), hs.EMPTY)


class _Lookup:
    """Finds the entry of a raw line that an earlier batch held already."""

    def __init__(self, before: Held) -> None:
        self.before = before
        self.ordering = hs.prepared(before.lines) if len(before) else None

    def find(self, lines: list[bytes]) -> list[int]:
        if self.ordering is None:
            return [-1] * len(lines)
        found: list[int] = hs.find(hs.hashes(lines), self.before.lines, self.ordering).tolist()
        return found


def _rejects(bronze: Bronze, raw: RawBatch, page: RawPage, work: _Work) -> None:
    found = [
        Bad(f"line {r.get('line')}: {r['reason']}", r["text"].encode(), page.file, page.line - 1)
        for r in page.header.get("rejects") or ()
    ]
    work.records += len(found)
    _quarantine(bronze, raw, found, work)


def _quarantine(bronze: Bronze, raw: RawBatch, bad: list[Bad], work: _Work) -> None:
    quarantine.store(bronze.db, raw.ref, "bronze", bad)
    work.quarantined += len(bad)
    work.unreadable += sum(not b.readable for b in bad)
    work.held.extend(b.key for b in bad if b.key is not None)


def _page(bronze: Bronze, raw: RawBatch, page: RawPage, work: _Work, lookup: _Lookup) -> None:
    """Known lines are taken over without parsing; the others are parsed, stored and profiled."""
    document = page.header["kind"] == "document"
    for start in range(0, len(page.lines), _BLOCK):
        block = page.lines[start : start + _BLOCK]
        if document:
            for offset, line in enumerate(block):
                items = list(items_of(line, page.header.get("records_path"), work.rule))
                lines = [page.line + start + offset] * len(items)
                _parsed(bronze, raw, work, page.file, items, lines, range(len(items)), None)
                work.delivered += len(items)
            continue
        digests = [xxhash.xxh3_128_digest(line) for line in block]
        found = lookup.find(digests)
        _known(work, lookup.before, found)
        fresh = [i for i, place in enumerate(found) if place < 0]
        for at in range(0, len(fresh), _PIECE):
            places = fresh[at : at + _PIECE]
            parsed = parse_block([block[i] for i in places], work.rule)
            numbers = [page.line + start + i for i in places]
            _parsed(bronze, raw, work, page.file, parsed, numbers, places, [digests[i] for i in places])
        work.delivered += len(block)


def _known(work: _Work, before: Held, found: list[int]) -> None:
    """Entries taken over from the base; `work.paths` began as the base's, so masks keep their bits."""
    places = [place for place in found if place >= 0]
    if not places:
        return
    work.positions.extend(work.delivered + i for i, place in enumerate(found) if place >= 0)
    work.records += len(places)
    work.keys += before.keys[places].tobytes()
    work.versions += before.versions[places].tobytes()
    work.lines += before.lines[places].tobytes()
    words = before.masks[places].tolist()
    masks = (sum(word << (64 * i) for i, word in enumerate(row)) for row in words)
    work.masks.extend(work.seen_masks.setdefault(mask, mask) for mask in masks)


def _parsed(
    bronze: Bronze,
    raw: RawBatch,
    work: _Work,
    file: str,
    parsed: list[Record | Bad],
    numbers: list[int],
    places: Sequence[int],
    digests: list[bytes] | None,
) -> None:
    """Stores what is new. `numbers`: lines in the raw file, `places`: positions within the block."""
    work.records += len(parsed)
    bad: list[Bad] = []
    documents: list[dict[str, Any]] = []
    for i, item in enumerate(parsed):
        if isinstance(item, Bad):
            bad.append(Bad(item.reason, item.record, file, numbers[i], item.key, item.readable))
            continue
        version = content_id(item.doc)
        work.keys += item.key
        work.versions += version
        work.lines += digests[i] if digests is not None else version
        work.positions.append(work.delivered + places[i])
        documents.append(_document(version, item, raw.ref.batch_id))
    records = [item.doc for item in parsed if isinstance(item, Record)]
    work.masks.extend(_profile(work, records))
    cursor = cursor_of(work.entity)
    if cursor:
        for record in records:
            work.cursor = later(work.cursor, dig(record, cursor.field))
    work.new_versions += bronze.insert(raw.ref.entity, documents, work.first)
    if bad:
        _quarantine(bronze, raw, bad, work)


def _document(version: bytes, record: Record, batch_id: str) -> dict[str, Any]:
    document = {"_id": version, "key": record.key, "batch": batch_id}
    if record.exotic:
        return document | {"exotic": True, "doc": to_bson(record.doc)}
    return document | {"doc": record.doc}


def _profile(work: _Work, records: Sequence[Mapping[str, Any]], prefix: str = "") -> list[int]:
    """Notes the kinds of the records' values, column by column; returns the mask of each's paths."""
    whole = within(work.whole, prefix) if prefix and work.whole else work.whole
    nested: dict[str, tuple[list[Any], list[int]]] = {}
    masks = [0] * len(records)
    if prefix and records:
        work.kinds[prefix] = LISTS  # a list that held items has a table, if they have no field at all
    for group in grouped(records, whole):
        # an item may have no field at all: that it is there is a path of its own
        mask = _mask(work, prefix, ("", *group.scalars) if prefix else tuple(group.scalars))
        for path, column in group.scalars.items():
            _note_kind(work, prefix + path, column)
        for path, column in group.lists.items():
            mask |= _mask(work, prefix, (path,))
            found = nested.setdefault(path, ([], []))
            for number, items in zip(group.places, column, strict=True):
                found[0].extend(map(item_fields, items))
                found[1].extend([number] * len(items))
        for number in group.places:
            masks[number] = mask
    for path, (items, owners) in nested.items():
        work.kinds[prefix + path] = join(work.kinds.get(prefix + path, NULL), LISTS)
        inner = _profile(work, items, prefix + path + ITEM)
        for owner, mask in zip(owners, inner, strict=True):
            masks[owner] |= mask
    return masks


def _note_kind(work: _Work, path: str, column: Iterable[Any]) -> None:
    known = work.kinds.get(path, NULL)
    if known != TEXT:
        work.kinds[path] = join(known, kind_of_values(column, work.rule.textual))


def _mask(work: _Work, prefix: str, paths: tuple[str, ...]) -> int:
    """Bits of the paths; each set of paths is worked out once."""
    known = work.masks_of.get((prefix, paths))
    if known is not None:
        return known
    mask = 0
    for path in paths:
        bit = work.bits.get(prefix + path)
        if bit is None:
            bit = work.bits[prefix + path] = len(work.paths)
            work.paths.append(prefix + path)
        mask |= 1 << bit
    if len(work.masks_of) < 100_000:
        work.masks_of[prefix, paths] = mask
    return mask


def _finish(bronze: Bronze, raw: RawBatch, work: _Work, base: Manifest | None, before: Held) -> Manifest:
    held = _held(work)
    unique = held.is_unique()
    change, parent = Difference(held, hs.EMPTY), None
    if base is not None and unique and base.unique and base.depth < MAX_CHAIN:
        smaller = mf.difference(before, held, len(held) / 2)
        if smaller is not None:
            parent, change = base, smaller
    manifest = Manifest(
        ref=raw.ref,
        load=raw.load,
        rule=work.rule.identity(),
        base=parent.id if parent else None,
        depth=parent.depth + 1 if parent else 0,
        chunks=0,
        records=work.records,
        entries=len(held),
        new_versions=work.new_versions,
        quarantined=work.quarantined,
        unreadable=work.unreadable,
        unique=unique,
        paths=work.paths,
        columns=list(work.columns),
        kinds=work.kinds,
        cursor=work.cursor,
        fingerprint=raw.fingerprint(),
    )
    return bronze.put(manifest, change.entries, change.gone)


def _held(work: _Work) -> Held:
    """The entries, in the order of delivery. One array after the other, so that two of each are never there."""
    words = max(1, -(-len(work.paths) // 64))
    masks, work.masks = _mask_array(work.masks, words), []
    positions, work.positions = np.array(work.positions, np.int64), array("q")
    order = None if (positions[1:] >= positions[:-1]).all() else np.argsort(positions, kind="stable")

    def ordered(found: hs.Hashes) -> hs.Hashes:
        return found if order is None else found[order]

    keys, work.keys = ordered(hs.hashes(work.keys)), bytearray()
    versions, work.versions = ordered(hs.hashes(work.versions)), bytearray()
    lines, work.lines = ordered(hs.hashes(work.lines)), bytearray()
    return Held(keys, versions, lines, ordered(masks), hs.unique(hs.hashes(work.held)))


def _mask_array(masks: list[int], words: int) -> hs.Hashes:
    if words == 1:
        return np.array(masks, np.uint64).reshape(-1, 1)
    low = (1 << 64) - 1
    columns = [[(m >> (64 * i)) & low for m in masks] for i in range(words)]
    return np.array(columns, np.uint64).T.reshape(-1, words)
