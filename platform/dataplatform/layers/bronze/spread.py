"""Pieces of a first load that other processes store: what comes back of each, and how it joins the rest.

A piece whose lines are not all plain comes back undone. Only where the collection was empty before the batch: then no
version can be known, and nothing of an earlier try is there.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dataplatform.layers.bronze.parse import Record, Rule, plain_block
from dataplatform.layers.bronze.profile import Profile, noted
from dataplatform.layers.bronze.store import Bronze
from dataplatform.layers.bronze.texts import to_bson
from dataplatform.records.columnar import Grouped
from dataplatform.records.holdings import Make
from dataplatform.records.kinds import NULL, join
from dataplatform.records.record import content_ids
from dataplatform.records.refs import BatchRef
from dataplatform.storage.mongo import server_errors

# lines, the paths that stay JSON, and what an onlooker wants made of the records, packed
Sent = tuple[list[bytes], frozenset[str], bytes]


@dataclass(frozen=True)
class Stored:
    """A piece that is in: 16 bytes a record of its keys and versions, its paths by their own numbers, its counts.

    `made`: what an onlooker wanted made of its records.
    """

    keys: bytes
    versions: bytes
    masks: list[int]
    paths: list[str]
    kinds: dict[str, str]
    counts: dict[str, dict[str, int]]
    new: int
    made: Any


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
        self.bronze, self.batch, self.rule = Bronze.opened(url), batch, rule

    def __call__(self, sent: Sent) -> Stored | None:
        lines, whole, text = sent
        records = plain_block(lines, self.rule)
        if records is None:
            return None
        profile = Profile(whole, self.rule.textual, [], {})
        docs = Grouped(record.doc for record in records)
        versions = content_ids(docs)
        with server_errors():
            documents = [
                document_of(v, r, self.batch.batch_id) for v, r in zip(versions, records, strict=True)
            ]
            new = self.bronze.insert(self.batch, documents, first=True).new
        masks = noted(profile, docs, first_of_each(versions, new))
        keys = [record.key for record in records]
        making = _unpacked(text)
        made = making(keys, docs) if making else None
        ids = b"".join(keys), b"".join(versions)
        return Stored(*ids, masks, profile.paths, profile.kinds, profile.counts, len(new), made)


def document_of(version: bytes, record: Record, batch_id: str) -> dict[str, Any]:
    """A version as bronze keeps it."""
    if record.exotic:
        doc = to_bson(record.doc)
        return {"_id": version, "key": record.key, "batch": batch_id, "exotic": True, "doc": doc}
    return {"_id": version, "key": record.key, "batch": batch_id, "doc": record.doc}


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
    for path, counts in stored.counts.items():
        total = profile.counts.setdefault(path, {})
        for kind, number in counts.items():
            total[kind] = total.get(kind, 0) + number
    if places == list(range(len(places))):
        return stored.masks
    moved = {mask: _moved(mask, places) for mask in set(stored.masks)}
    return [moved[mask] for mask in stored.masks]


def _moved(mask: int, places: list[int]) -> int:
    return sum(1 << place for bit, place in enumerate(places) if mask >> bit & 1)
