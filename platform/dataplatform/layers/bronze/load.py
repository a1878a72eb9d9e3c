"""Loads one raw batch of one entity into bronze. Loading it again changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import xxhash

from dataplatform.layers.bronze import manifest as mf
from dataplatform.layers.bronze import quarantine
from dataplatform.layers.bronze.delivered import Lookup, RawBatch, RawPage
from dataplatform.layers.bronze.gathered import Gathered
from dataplatform.layers.bronze.manifest import Difference
from dataplatform.layers.bronze.parse import Record, items_of, parse, parse_block
from dataplatform.layers.bronze.profile import Profile, add_counts, mask_of, noted
from dataplatform.layers.bronze.quarantine import Bad
from dataplatform.layers.bronze.rules import page_rule
from dataplatform.layers.bronze.scrub import without
from dataplatform.layers.bronze.spread import (
    Repeated,
    Stored,
    Storing,
    document_of,
    first_of_each,
    joined,
    packed,
    repeated,
)
from dataplatform.layers.bronze.store import Bronze, Inserted
from dataplatform.layers.bronze.work import Entries, Piece, Work, held_of, manifest_of, tell
from dataplatform.metadata.source import Entity
from dataplatform.processes import ALONE, Processes
from dataplatform.records import hashes as hs
from dataplatform.records.columnar import Grouped
from dataplatform.records.forgotten import NOBODY, Out
from dataplatform.records.holdings import DELETED, Held, Manifest, Onlooker
from dataplatform.records.record import content_id, content_ids
from dataplatform.storage.mongo import server_errors

MAX_CHAIN = 20  # manifests that lean on one another before a whole one is written again
_BLOCK = 5_000  # lines looked up together
# records handled together, and bytes of their lines: few enough to stay in the processor's cache, for out of it all
# that is done with them takes up to twice as long
_PIECE, _PIECE_BYTES = 500, 128_000


def load(
    bronze: Bronze,
    raw: RawBatch,
    pages: Iterable[RawPage],
    entity: Entity,
    whole: frozenset[str],
    out: Out = NOBODY,
    processes: Processes = ALONE,
    onlooker: Onlooker | None = None,
) -> Manifest:
    """Stores versions never seen before, then the batch's manifest.

    `whole`: paths that stay JSON values; `out`: records that are left out, whatever raw holds; `processes` share the
    work of a large first batch; `onlooker`: is shown the records of a first one. Raises ServerError where MongoDB
    fails.
    """
    with server_errors():
        done = bronze.manifests.of(raw.ref)
        if done is not None:
            return done
        wanted = without(pages, entity, out) if out else pages
        return _load(bronze, raw, wanted, entity, whole, processes, onlooker)


def _load(
    bronze: Bronze,
    raw: RawBatch,
    pages: Iterable[RawPage],
    entity: Entity,
    whole: frozenset[str],
    processes: Processes,
    onlooker: Onlooker | None,
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
    with closing(Entries(bronze.scratch)) as entries:
        work = Work(bronze, raw, rule, Profile(whole, rule.textual, paths, kinds), entries)
        _read(work, _chain(first, stream), Lookup(before), processes, onlooker)
        return _finish(work, base, before)


def _read(
    work: Work, pages: Iterable[RawPage], lookup: Lookup, processes: Processes, onlooker: Onlooker | None
) -> None:
    """All pages; the lookup, as large as half of what it looks in, goes when they are read."""
    bronze, raw, rule = work.bronze, work.raw, work.rule
    first, gathered = bronze.empty(raw.ref.entity), Gathered(bronze.versions(raw.ref.entity), beside=True)
    work.gathered = gathered if first else None
    work.onlooker = onlooker if first and rule.key else None  # a row's key is known when all are
    with (
        closing(gathered),
        processes.lent(raw.records if first else 0, Storing, bronze.url, raw.ref, rule) as work.team,
    ):
        for page in pages:
            _take(work, page, lookup)
        lookup.let_go()
        _settle(work)
        _take_back(work, _repeated(work, gathered.rest()))
        for known in work.team.each(None) if work.team else ():
            _take_back(work, known)


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


def _take(work: Work, page: RawPage, lookup: Lookup) -> None:
    """One page, of whatever kind."""
    for name in page.header.get("columns") or ():
        work.columns.setdefault(name)
    types = page.header.get("types") or {}
    if not types.items() <= work.types.items():
        _store_fresh(work)  # what came before is read as it was
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


def _rejects(work: Work, page: RawPage) -> None:
    bad = [
        Bad(_where(r.get("line")) + r["reason"], r["text"].encode(), page.file, page.line - 1)
        for r in page.header.get("rejects") or ()
    ]
    work.records += len(bad)
    _quarantine(work, bad)


def _where(line: int | None) -> str:
    """Where the source's text had it, if that has lines."""
    return "" if line is None else f"line {line}: "


def _quarantine(work: Work, bad: list[Bad]) -> None:
    quarantine.store(work.bronze.db, work.raw.ref, "bronze", bad)
    work.quarantined += len(bad)
    work.unreadable += sum(not b.readable for b in bad)
    work.held.extend(b.key for b in bad if b.key is not None)


def _lines(work: Work, page: RawPage, lookup: Lookup) -> None:
    """Known lines are taken over without parsing; the others wait until they make a piece."""
    if work.fresh.file != page.file:
        _store_fresh(work)
        work.fresh.file = page.file
    for start in range(0, len(page.lines), _BLOCK):
        block = page.lines[start : start + _BLOCK]
        digests = [xxhash.xxh3_128_digest(line) for line in block]
        known = lookup.find(digests)
        _known(work, lookup.before, known)
        fresh = np.flatnonzero(known < 0).tolist()
        work.fresh.add(
            [page.line + start + i for i in fresh],
            [work.delivered + i for i in fresh],
            [block[i] for i in fresh],
            [digests[i] for i in fresh],
        )
        work.delivered += len(block)
        size = _piece_size(work.fresh.lines)
        while len(work.fresh.lines) >= size:
            _fresh_lines(work, work.fresh.taken(size, work.making()))


def _store_fresh(work: Work) -> None:
    """Those that are too few for a piece."""
    size = _piece_size(work.fresh.lines)
    while work.fresh.lines:
        _fresh_lines(work, work.fresh.taken(size, work.making()))


def _fresh_lines(work: Work, piece: Piece) -> None:
    """Here or, where other processes share the work, there: then what comes back is that of an earlier piece.

    An onlooker that knows of no record yet cannot say what is to be made of others.
    """
    if work.team is None or (work.onlooker and not work.told):
        _parsed(work, piece, parse_block(list(piece.lines), work.rule))
        return
    for done in work.team.put(piece, (piece.lines, work.profile.whole, packed(piece.making))):
        _join(work, *done)


def _settle(work: Work) -> None:
    """Stores what waits, and waits for what is on its way."""
    _store_fresh(work)
    for done in work.team.rest() if work.team else ():
        _join(work, *done)


def _join(work: Work, piece: Piece, stored: Stored | None) -> None:
    """A piece that another process has stored, or gave back for a closer look."""
    if stored is None:
        _parsed(work, piece, parse_block(list(piece.lines), work.rule))
        return
    work.records += len(piece.lines)
    work.new_versions += stored.new
    lines, masks = b"".join(piece.digests or ()), joined(work.profile, stored)
    work.entries.add(stored.keys, stored.versions, lines, piece.positions, masks)
    _take_back(work, stored.repeated)
    if work.onlooker is not None:
        tell(work)
        work.onlooker.put(stored.versions, piece.making, stored.made, stored.kinds.keys())


def _piece_size(lines: list[bytes]) -> int:
    """How many such lines make a piece."""
    return max(1, min(_PIECE, _PIECE_BYTES * len(lines) // max(1, sum(map(len, lines)))))


def _documents(work: Work, page: RawPage) -> None:
    """Records within a document."""
    for offset, line in enumerate(page.lines):
        items = list(items_of(line, page.header.get("records_path"), work.rule))
        numbers = [page.line + offset] * len(items)
        positions = range(work.delivered, work.delivered + len(items))
        _parsed(work, Piece(page.file, numbers, positions), items)
        work.delivered += len(items)


def _deleted(work: Work, page: RawPage) -> None:
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
    documents, mask = [], mask_of(work.profile, "", (DELETED,))
    for i, item in enumerate(parsed):
        if isinstance(item, Record):
            version = content_id({DELETED: item.doc})
            work.entries.add(item.key, version, version, [work.delivered + i], [mask])
            documents.append({**document_of(version, item, work.raw.ref.batch_id), "deleted": True})
    work.delivered += len(parsed)
    work.records += len(bad)
    work.bronze.insert(work.raw.ref, documents, first=work.gathered is not None)
    _quarantine(work, bad)


def _known(work: Work, before: Held, found: hs.Indexes) -> None:
    """Entries taken over from the base; the paths began as the base's, so masks keep their bits."""
    known = found >= 0
    places = found[known]
    if not len(places):
        return
    work.records += len(places)
    keys, versions, lines = (
        hs.rows(array, places).tobytes() for array in (before.keys, before.versions, before.lines)
    )
    positions = (work.delivered + np.flatnonzero(known)).tolist()
    work.entries.add(keys, versions, lines, positions, mf.mask_numbers(hs.rows(before.masks, places)))


def _parsed(work: Work, piece: Piece, parsed: Sequence[Record | Bad]) -> None:
    """Stores what is new."""
    work.records += len(parsed)
    batch = work.raw.ref
    good = [(i, item) for i, item in enumerate(parsed) if isinstance(item, Record)]
    records, keys = Grouped(item.doc for _, item in good), [item.key for _, item in good]
    versions = content_ids(records)
    found = zip(versions, good, strict=True)
    documents = [document_of(version, item, batch.batch_id) for version, (_, item) in found]
    new, known = _inserted(work, versions, documents)
    masks = noted(work.profile, records, first_of_each(versions, new))
    lines = versions if piece.digests is None else [piece.digests[i] for i, _ in good]
    positions = [piece.positions[i] for i, _ in good]
    work.entries.add(b"".join(keys), b"".join(versions), b"".join(lines), positions, masks)
    _take_back(work, known)
    _show(work, versions, keys, records)
    bad = [(i, item) for i, item in enumerate(parsed) if isinstance(item, Bad)]
    if bad:
        _quarantine(work, [replace(b, raw_file=piece.file, raw_line=piece.numbers[i]) for i, b in bad])


def _show(work: Work, versions: list[bytes], keys: list[bytes], records: list[dict[str, Any]]) -> None:
    if work.onlooker is None or not records:
        return
    tell(work)
    making = work.making()
    if making is not None:
        work.onlooker.put(b"".join(versions), making, making(keys, records), work.profile.kinds.keys())


def _inserted(
    work: Work, versions: list[bytes], documents: list[dict[str, Any]]
) -> tuple[Set[bytes], Repeated]:
    """Versions that count as this batch's, and what has to be taken back of earlier ones."""
    known = Repeated()
    if work.gathered is not None:
        new: Set[bytes] = set(versions)
        known = _repeated(work, work.gathered.add(documents))
    else:
        new = _fresh(work, work.bronze.insert(work.raw.ref, documents, first=False))
    work.new_versions += len(new)
    return new, known


def _repeated(work: Work, documents: list[bytes]) -> Repeated:
    return repeated(documents, work.profile.whole, work.rule.textual)


def _take_back(work: Work, known: Repeated) -> None:
    """Versions that had come before, which is found only when they are written."""
    work.new_versions -= known.number
    add_counts(work.profile.counts, known.counts, -1)


def _fresh(work: Work, inserted: Inserted) -> Set[bytes]:
    """Versions that this batch brought first, and that did not count yet.

    Where the batch had brought one already, it was an earlier try that broke off, or the same record stood before.
    """
    if inserted.mine and work.seen is None:
        work.seen = set(hs.pieces(hs.hashes(work.entries.versions.so_far())))
    if work.seen is None:
        return inserted.new
    fresh = inserted.new | (inserted.mine - work.seen)
    work.seen |= fresh
    return fresh


def _finish(work: Work, base: Manifest | None, before: Held) -> Manifest:
    manifest, held = manifest_of(work), held_of(work)
    if not work.rule.key:
        held = replace(held, keys=hs.numbered(held.versions))
    unique = held.is_unique()
    change, parent = Difference(held, hs.EMPTY), None
    if base is not None and unique and base.unique and base.depth < MAX_CHAIN:
        smaller = mf.difference(before, held, len(held) / 2)
        if smaller is not None:
            parent, change = base, smaller
    if parent is not None:
        manifest = replace(manifest, base=parent.id, depth=parent.depth + 1)
    return work.bronze.manifests.put(replace(manifest, unique=unique), change.entries, change.gone)
