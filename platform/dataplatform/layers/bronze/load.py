"""Loads one raw batch of one entity into bronze. Loading it again changes nothing."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace

import numpy as np
import xxhash

from dataplatform.layers.bronze import manifest as mf
from dataplatform.layers.bronze import quarantine
from dataplatform.layers.bronze.delivered import Lookup, RawBatch, RawPage
from dataplatform.layers.bronze.manifest import Difference
from dataplatform.layers.bronze.parse import Record, Rule, items_of, parse, parse_block
from dataplatform.layers.bronze.profile import Profile, mask_of, noted
from dataplatform.layers.bronze.quarantine import Bad
from dataplatform.layers.bronze.rules import page_rule
from dataplatform.layers.bronze.scrub import without
from dataplatform.layers.bronze.spread import Stored, Storing, document_of, first_of_each, joined
from dataplatform.layers.bronze.store import Bronze, Inserted
from dataplatform.metadata.source import Entity
from dataplatform.processes import ALONE, Processes, Team
from dataplatform.records import hashes as hs
from dataplatform.records.forgotten import NOBODY, Out
from dataplatform.records.holdings import DELETED, Held, Manifest
from dataplatform.records.record import content_id, content_ids
from dataplatform.storage.mongo import server_errors

MAX_CHAIN = 20  # manifests that lean on one another before a whole one is written again
_BLOCK = 5_000  # lines looked up together
# records handled together, and bytes of their lines: few enough to stay in the processor's cache, for out of it all
# that is done with them takes up to twice as long
_PIECE, _PIECE_BYTES = 500, 128_000


@dataclass
class _Work:
    """What grows while the pages go by; a few dozen bytes a record."""

    bronze: Bronze
    raw: RawBatch
    rule: Rule
    profile: Profile
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
    types: dict[str, str] = field(default_factory=dict)
    seen: set[bytes] | None = None  # versions so far, where some came twice
    records: int = 0
    new_versions: int = 0
    quarantined: int = 0
    unreadable: int = 0
    team: Team[_Piece, Stored | None] | None = None


def load(
    bronze: Bronze,
    raw: RawBatch,
    pages: Iterable[RawPage],
    entity: Entity,
    whole: frozenset[str],
    out: Out = NOBODY,
    processes: Processes = ALONE,
) -> Manifest:
    """Stores versions never seen before, then the batch's manifest.

    `whole`: paths that stay JSON values; `out`: records that are left out, whatever raw holds; `processes` share the
    work of a large first batch. Raises ServerError where MongoDB fails.
    """
    with server_errors():
        done = bronze.manifests.of(raw.ref)
        if done is not None:
            return done
        return _load(bronze, raw, without(pages, entity, out) if out else pages, entity, whole, processes)


def _load(
    bronze: Bronze,
    raw: RawBatch,
    pages: Iterable[RawPage],
    entity: Entity,
    whole: frozenset[str],
    processes: Processes,
) -> Manifest:
    stream = iter(pages)
    first = next(stream, None)
    rule = replace(page_rule(entity, first.header if first else {}), whole=whole)
    base = None
    if raw.load == "full":
        base = bronze.manifests.base(raw.ref, rule.identity())
    if base is not None and raw.fingerprint() and base.fingerprint == raw.fingerprint():
        return _same(bronze, raw, base)
    before = bronze.manifests.held(base) if base else Held()
    paths, kinds = (list(base.paths), dict(base.kinds)) if base else ([], {})
    work = _Work(bronze, raw, rule, Profile(whole, rule.textual, paths, kinds))
    work.first = bronze.count(raw.ref.entity) == 0
    lookup = Lookup(before)
    with processes.lent(raw.records if work.first else 0, Storing, bronze.url, raw.ref, rule) as work.team:
        for page in _chain(first, stream):
            _take(work, page, lookup)
        _settle(work)
    del lookup  # as large as half of what it looks in
    return _finish(work, base, before)


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
        state=raw.state,
        counts={},
    )
    held = bronze.manifests.held(base).held if base.quarantined else hs.EMPTY
    return bronze.manifests.put(same, Held(held=held), hs.EMPTY)


def _take(work: _Work, page: RawPage, lookup: Lookup) -> None:
    """One page, of whatever kind."""
    for name in page.header.get("columns") or ():
        work.columns.setdefault(name)
    types = page.header.get("types") or {}
    work.types |= types
    work.profile.whole |= {name for name, type_ in types.items() if type_ == "jsonb"}
    _rejects(work, page)
    if page.header["kind"] in ("deleted", "document"):
        _settle(work)  # paths are numbered in the order of the records
    if page.header["kind"] == "deleted":
        _deleted(work, page)
    elif page.header["kind"] == "document":
        _documents(work, page)
    else:
        _lines(work, page, lookup)


def _rejects(work: _Work, page: RawPage) -> None:
    bad = [
        Bad(_where(r.get("line")) + r["reason"], r["text"].encode(), page.file, page.line - 1)
        for r in page.header.get("rejects") or ()
    ]
    work.records += len(bad)
    _quarantine(work, bad)


def _where(line: int | None) -> str:
    """Where the source's text had it, if that has lines."""
    return "" if line is None else f"line {line}: "


def _quarantine(work: _Work, bad: list[Bad]) -> None:
    quarantine.store(work.bronze.db, work.raw.ref, "bronze", bad)
    work.quarantined += len(bad)
    work.unreadable += sum(not b.readable for b in bad)
    work.held.extend(b.key for b in bad if b.key is not None)


@dataclass(frozen=True)
class _Piece:
    """Some records of a page. `numbers`: their lines in the raw file; `positions`: in the batch."""

    file: str
    numbers: Sequence[int]
    positions: Sequence[int]
    lines: Sequence[bytes] = ()
    digests: Sequence[bytes] | None = None


def _lines(work: _Work, page: RawPage, lookup: Lookup) -> None:
    """Known lines are taken over without parsing; the others are parsed, stored and profiled."""
    for start in range(0, len(page.lines), _BLOCK):
        block = page.lines[start : start + _BLOCK]
        digests = [xxhash.xxh3_128_digest(line) for line in block]
        known = lookup.find(digests)
        _known(work, lookup.before, known)
        fresh = [i for i, place in enumerate(known) if place < 0]
        size = _piece_size(block)
        for at in range(0, len(fresh), size):
            places = fresh[at : at + size]
            numbers = [page.line + start + i for i in places]
            positions = [work.delivered + i for i in places]
            lines, found = [block[i] for i in places], [digests[i] for i in places]
            _fresh_lines(work, _Piece(page.file, numbers, positions, lines, found))
        work.delivered += len(block)


def _fresh_lines(work: _Work, piece: _Piece) -> None:
    """Here or, where other processes share the work, there: then what comes back is that of an earlier piece."""
    if work.team is None:
        _parsed(work, piece, parse_block(list(piece.lines), work.rule))
        return
    for done in work.team.put(piece, (piece.lines, work.profile.whole)):
        _join(work, *done)


def _settle(work: _Work) -> None:
    """Waits for what is on its way."""
    for done in work.team.rest() if work.team else ():
        _join(work, *done)


def _join(work: _Work, piece: _Piece, stored: Stored | None) -> None:
    """A piece that another process has stored, or gave back for a closer look."""
    if stored is None:
        _parsed(work, piece, parse_block(list(piece.lines), work.rule))
        return
    work.records += len(piece.lines)
    work.new_versions += stored.new
    work.keys += stored.keys
    work.versions += stored.versions
    work.lines += b"".join(piece.digests or ())
    work.positions.extend(piece.positions)
    masks = joined(work.profile, stored)
    work.masks.extend(map(work.seen_masks.setdefault, masks, masks))


def _piece_size(lines: list[bytes]) -> int:
    """How many such lines make a piece."""
    return max(1, min(_PIECE, _PIECE_BYTES * len(lines) // max(1, sum(map(len, lines)))))


def _documents(work: _Work, page: RawPage) -> None:
    """Records within a document."""
    for offset, line in enumerate(page.lines):
        items = list(items_of(line, page.header.get("records_path"), work.rule))
        numbers = [page.line + offset] * len(items)
        positions = range(work.delivered, work.delivered + len(items))
        _parsed(work, _Piece(page.file, numbers, positions), items)
        work.delivered += len(items)


def _deleted(work: _Work, page: RawPage) -> None:
    """Keys that ended: entries like records, whose mask says what they are; they are no records."""
    parsed = [parse(line, work.rule) for line in page.lines]
    bad = [
        replace(item, raw_file=page.file, raw_line=page.line + i, reason=f"a deletion: {item.reason}")
        for i, item in enumerate(parsed)
        if isinstance(item, Bad)
    ]
    if not work.rule.key:
        why = "a deletion, but records without a key cannot be named"
        places = enumerate(page.lines, page.line)
        bad = [Bad(why, line, page.file, number, readable=True) for number, line in places]
        parsed = []
    documents = []
    for i, item in enumerate(parsed):
        if isinstance(item, Record):
            version = content_id({DELETED: item.doc})
            _enter(work, item.key, version, version, work.delivered + i)
            documents.append({**document_of(version, item, work.raw.ref.batch_id), "deleted": True})
    work.masks.extend([mask_of(work.profile, "", (DELETED,))] * len(documents))
    work.delivered += len(parsed)
    work.records += len(bad)
    work.bronze.insert(work.raw.ref, documents, work.first)
    _quarantine(work, bad)


def _enter(work: _Work, key: bytes, version: bytes, line: bytes, position: int) -> None:
    work.keys += key
    work.versions += version
    work.lines += line
    work.positions.append(position)


def _known(work: _Work, before: Held, found: list[int]) -> None:
    """Entries taken over from the base; the paths began as the base's, so masks keep their bits."""
    places = [place for place in found if place >= 0]
    if not places:
        return
    work.positions.extend(work.delivered + i for i, place in enumerate(found) if place >= 0)
    work.records += len(places)
    work.keys += before.keys[places].tobytes()
    work.versions += before.versions[places].tobytes()
    work.lines += before.lines[places].tobytes()
    masks = mf.mask_numbers(before.masks[places])
    work.masks.extend(map(work.seen_masks.setdefault, masks, masks))


def _parsed(work: _Work, piece: _Piece, parsed: Sequence[Record | Bad]) -> None:
    """Stores what is new."""
    work.records += len(parsed)
    before, batch = len(work.versions), work.raw.ref
    good = [(i, item) for i, item in enumerate(parsed) if isinstance(item, Record)]
    records = [item.doc for _, item in good]
    versions = content_ids(records)
    work.keys += b"".join([item.key for _, item in good])
    work.versions += b"".join(versions)
    work.lines += b"".join(versions if piece.digests is None else [piece.digests[i] for i, _ in good])
    work.positions.extend([piece.positions[i] for i, _ in good])
    found = zip(versions, good, strict=True)
    documents = [document_of(version, item, batch.batch_id) for version, (_, item) in found]
    inserted = work.bronze.insert(batch, documents, work.first)
    fresh = _fresh(work, inserted, before)
    work.masks.extend(noted(work.profile, records, first_of_each(versions, fresh)))
    work.new_versions += len(inserted.new)
    bad = [(i, item) for i, item in enumerate(parsed) if isinstance(item, Bad)]
    if bad:
        _quarantine(work, [replace(b, raw_file=piece.file, raw_line=piece.numbers[i]) for i, b in bad])


def _fresh(work: _Work, inserted: Inserted, before: int) -> Set[bytes]:
    """Versions that this batch brought first, and that did not count yet. `before`: bytes of versions until here.

    Where the batch had brought one already, it was an earlier try that broke off, or the same record stood before.
    """
    if inserted.mine and work.seen is None:
        work.seen = set(hs.pieces(hs.hashes(bytes(work.versions[:before]))))
    if work.seen is None:
        return inserted.new
    fresh = inserted.new | (inserted.mine - work.seen)
    work.seen |= fresh
    return fresh


def _finish(work: _Work, base: Manifest | None, before: Held) -> Manifest:
    raw, held = work.raw, _held(work)
    if not work.rule.key:
        held = replace(held, keys=hs.numbered(held.versions))
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
        paths=work.profile.paths,
        columns=list(work.columns),
        kinds=work.profile.kinds,
        fingerprint=raw.fingerprint(),
        state=raw.state,
        types=work.types,
        counts=work.profile.counts,
    )
    return work.bronze.manifests.put(manifest, change.entries, change.gone)


def _held(work: _Work) -> Held:
    """The entries, in the order of delivery. One array after the other, so that two of each are never there."""
    words = max(1, -(-len(work.profile.paths) // 64))
    masks, work.masks = mf.mask_array(work.masks, words), []
    positions, work.positions = np.array(work.positions, np.int64), array("q")
    order = None if (positions[1:] >= positions[:-1]).all() else np.argsort(positions, kind="stable")

    def ordered(found: hs.Hashes) -> hs.Hashes:
        return found if order is None else found[order]

    keys, work.keys = ordered(hs.hashes(work.keys)), bytearray()
    versions, work.versions = ordered(hs.hashes(work.versions)), bytearray()
    lines, work.lines = ordered(hs.hashes(work.lines)), bytearray()
    return Held(keys, versions, lines, ordered(masks), hs.unique(hs.hashes(work.held)))
