"""Pieces of a first load that other processes store: what comes back of each, and how it joins the rest.

A piece whose lines are not all plain comes back undone. Only where the collection was empty before the batch: then no
version can be known, and nothing of an earlier try is there.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from dataplatform.layers.bronze.gathered import Gathered
from dataplatform.layers.bronze.parse import Record, Rule, plain_block
from dataplatform.layers.bronze.profile import Counts, Profile, add_counts, counts_of, noted
from dataplatform.layers.bronze.store import Bronze, records_of
from dataplatform.layers.bronze.texts import to_bson
from dataplatform.records.columnar import Grouped
from dataplatform.records.holdings import Make
from dataplatform.records.kinds import NULL, join
from dataplatform.records.record import content_ids
from dataplatform.records.refs import BatchRef
from dataplatform.storage.mongo import server_errors

# lines, the paths that stay JSON, and what an onlooker wants made of the records, packed; None: write what is gathered
Sent = tuple[list[bytes], frozenset[str], bytes] | None


@dataclass(frozen=True)
class Repeated:
    """Versions that turned out to be there: how many, and what had been counted of them."""

    number: int = 0
    counts: Counts = field(default_factory=dict)


@dataclass(frozen=True)
class Stored:
    """A piece that is on its way in: 16 bytes a record of its keys and versions, its paths by their own numbers, its
    counts.

    `made`: what an onlooker wanted made of its records; `repeated`: of this piece and those before it.
    """

    keys: bytes
    versions: bytes
    masks: list[int]
    paths: list[str]
    kinds: dict[str, str]
    counts: dict[str, dict[str, int]]
    new: int
    made: Any
    repeated: Repeated


@lru_cache(maxsize=2)
def packed(making: Make | None) -> bytes:
    """It goes along with every piece, so it is packed once, and unpacked once."""
    return pickle.dumps(making, pickle.HIGHEST_PROTOCOL)


@lru_cache(maxsize=2)
def _unpacked(text: bytes) -> Make | None:
    making: Make | None = pickle.loads(text)
    return making


class Storing:
    """Stores pieces, in a process of its own."""

    def __init__(self, url: str, batch: BatchRef, rule: Rule) -> None:
        self.batch, self.rule = batch, rule
        self.gathered = Gathered(Bronze.opened(url).versions(batch.entity), beside=False)
        self.whole: frozenset[str] = frozenset()

    def __call__(self, sent: Sent) -> Stored | Repeated | None:
        if sent is None:
            with server_errors():
                return repeated(self.gathered.rest(), self.whole, self.rule.textual)
        lines, self.whole, text = sent
        plain = plain_block(lines, self.rule)
        if plain is None:
            return None
        keys, docs = plain[0], Grouped(plain[1])
        versions = content_ids(docs)
        batch, found = self.batch.batch_id, zip(versions, keys, docs, strict=True)
        with server_errors():
            known = self.gathered.add([_plain_document(v, key, doc, batch) for v, key, doc in found])
        return self._stored(versions, keys, docs, _unpacked(text), known)

    def _stored(
        self, versions: list[bytes], keys: list[bytes], docs: Grouped, making: Make | None, known: list[bytes]
    ) -> Stored:
        profile, new = Profile(self.whole, self.rule.textual, [], {}), set(versions)
        masks = noted(profile, docs, first_of_each(versions, new))
        made = making(keys, docs) if making else None
        back = repeated(known, self.whole, self.rule.textual)
        ids = b"".join(keys), b"".join(versions)
        return Stored(*ids, masks, profile.paths, profile.kinds, profile.counts, len(new), made, back)


def repeated(documents: list[bytes], whole: frozenset[str], textual: bool) -> Repeated:
    """Of versions that were there, as BSON."""
    if not documents:
        return Repeated()
    records = [record for _, record in records_of(b"".join(documents))]
    return Repeated(len(records), counts_of(records, whole, textual))


def document_of(version: bytes, record: Record, batch_id: str) -> dict[str, Any]:
    """A version as bronze keeps it."""
    if record.exotic:
        doc = to_bson(record.doc)
        return {"_id": version, "key": record.key, "batch": batch_id, "exotic": True, "doc": doc}
    return _plain_document(version, record.key, record.doc, batch_id)


def _plain_document(version: bytes, key: bytes, doc: dict[str, Any], batch_id: str) -> dict[str, Any]:
    return {"_id": version, "key": key, "batch": batch_id, "doc": doc}


def first_of_each(versions: Sequence[bytes], fresh: Set[bytes]) -> list[bool]:
    """Which records are versions that count; the same version twice counts once."""
    flags = [version in fresh for version in versions]
    if len(fresh) < len(versions):
        first = {version: i for i, version in reversed(list(enumerate(versions)))}
        flags = [flags[i] and first[version] == i for i, version in enumerate(versions)]
    return flags


def joined(profile: Profile, stored: Stored) -> list[int]:
    """Takes a piece's paths, kinds and counts over; its masks, by the numbers that the paths have here."""
    for path in stored.paths:
        if path not in profile.bits:
            profile.bits[path] = len(profile.paths)
            profile.paths.append(path)
    places = [profile.bits[path] for path in stored.paths]
    for path, kind in stored.kinds.items():
        profile.kinds[path] = join(profile.kinds.get(path, NULL), kind)
    add_counts(profile.counts, stored.counts)
    if places == list(range(len(places))):
        return stored.masks
    moved = {mask: _moved(mask, places) for mask in set(stored.masks)}
    return [moved[mask] for mask in stored.masks]


def _moved(mask: int, places: list[int]) -> int:
    return sum(1 << place for bit, place in enumerate(places) if mask >> bit & 1)
