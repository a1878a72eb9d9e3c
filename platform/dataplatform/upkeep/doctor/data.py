"""The data against one another: raw against its checksums, bronze against raw, silver against bronze."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

from dataplatform import pipeline
from dataplatform.audit import record as audit
from dataplatform.context import Platform
from dataplatform.errors import DataplatformError
from dataplatform.layers import raw
from dataplatform.layers.bronze.parse import Record
from dataplatform.layers.bronze.scrub import records_of
from dataplatform.layers.raw.holdings import RawManifest, RawPart
from dataplatform.layers.silver import verify
from dataplatform.metadata.source import Entity
from dataplatform.quality.records import screening as screening_of
from dataplatform.records import hashes as hs
from dataplatform.records.record import content_id
from dataplatform.records.refs import BatchRef, EntityRef
from dataplatform.storage.postgres import connected
from dataplatform.upkeep.doctor.finding import Finding

SAMPLE = 5  # batches of an entity whose files are read
LINES = 5_000  # records of a batch that are looked for in bronze
KEYS = 300  # records of an entity whose history is made anew and compared


def data(platform: Platform, everything: bool = False) -> Iterator[Finding]:
    """Of each entity a sample, or all of it."""
    for name, source in platform.catalog.sources.items():
        for own, entity in source.entities.items():
            ref = EntityRef(name, own)
            yield from _caught(ref, _of_entity(platform, ref, entity, everything))


def _caught(ref: EntityRef, findings: Iterator[Finding]) -> Iterator[Finding]:
    """What breaks off the looking is itself a finding."""
    try:
        yield from findings
    except DataplatformError as error:
        yield Finding("problem", str(ref), error.message, error.remedy or "")


def _of_entity(platform: Platform, ref: EntityRef, entity: Entity, everything: bool) -> Iterator[Finding]:
    with connected(platform.engine) as conn:
        applied = audit.loaded_batches(conn, ref, "silver")
        landed = audit.loaded_batches(conn, ref, "raw")
    if not landed:
        return
    chosen = landed if everything else sorted({*landed[-1:], *_some(landed, SAMPLE - 1)})
    loaded = [b for b in chosen if b in set(applied)]
    looks = (
        _lost(platform, ref, landed),
        _raw(platform, ref, chosen),
        _bronze(platform, ref, entity, loaded, everything),
        _silver(platform, ref, entity, applied, everything),
    )
    found = [finding for look in looks for finding in _caught(ref, look)]
    yield from found
    if not found:
        what = "all of it" if everything else f"{len(chosen)} of {len(landed)} batches, {KEYS} records"
        yield Finding("ok", str(ref), f"raw, bronze and silver agree ({what})")


def _some(batches: list[str], number: int) -> list[str]:
    return random.sample(batches, min(number, len(batches)))


def _lost(platform: Platform, ref: EntityRef, landed: list[str]) -> Iterator[Finding]:
    there = set(raw.batches(platform.raw, ref.source, ref.name))
    lost = [batch for batch in landed if batch not in there]
    if lost:
        text = f"raw no longer holds {len(lost)} of {len(landed)} batches, {lost[0]} first"
        yield Finding(
            "problem", str(ref), text, "put them back from a backup: a replay would lose what they brought"
        )


def _raw(platform: Platform, ref: EntityRef, batches: list[str]) -> Iterator[Finding]:
    """Files that are damaged, or are not what their manifest says."""
    seen: set[tuple[str, int]] = set()
    for batch_id in batches:
        found = raw.manifest(platform.raw, BatchRef(ref, batch_id))
        for part in found.parts if found else ():
            if (part.file, part.offset) not in seen:
                seen.add((part.file, part.offset))
                yield from _file(platform, ref, part)


def _file(platform: Platform, ref: EntityRef, part: RawPart) -> Iterator[Finding]:
    remedy = "put it back from a backup, or from the archive"
    try:
        checksum = raw.checksum_of(platform.raw, part)
    except DataplatformError as error:
        yield Finding("problem", str(ref), error.message, error.remedy or remedy)
        return
    if part.checksum and checksum != part.checksum:
        place = platform.raw.location(part.file)
        yield Finding(
            "problem", str(ref), f"{place} is not what was landed: its checksum is another one", remedy
        )


def _bronze(
    platform: Platform, ref: EntityRef, entity: Entity, batches: list[str], everything: bool
) -> Iterator[Finding]:
    replay = f"make bronze and silver anew from raw: dataplatform replay {ref.source}"
    there = {head.batch_id: head for head in platform.bronze.manifests.all(ref)}
    for batch_id in batches:
        landed = raw.manifest(platform.raw, BatchRef(ref, batch_id))
        if batch_id not in there:
            yield Finding("problem", str(ref), f"bronze does not hold the batch {batch_id}", replay)
        elif landed is not None:
            held = platform.bronze.manifests.held(there[batch_id])
            lacking = _lacking(platform, landed, entity, hs.unique(held.versions), everything)
            gone = platform.bronze.lacking(ref, hs.unique(held.versions))
            if lacking or gone:
                text = f"bronze lacks {lacking or gone} versions that the batch {batch_id} held"
                yield Finding("problem", str(ref), text, replay)


def _lacking(
    platform: Platform, landed: RawManifest, entity: Entity, held: hs.Hashes, everything: bool
) -> int:
    """How many records of raw the batch's manifest does not name."""
    found: list[bytes] = []
    for page in raw.read(platform.raw, landed):
        if page.header["kind"] != "deleted":
            records = records_of(page.header, page.lines, entity)
            found += [content_id(one.doc) for one in records if isinstance(one, Record)]
        if len(found) >= LINES and not everything:
            break
    return int((~hs.member(hs.hashes(found), held)).sum())


def _silver(
    platform: Platform, ref: EntityRef, entity: Entity, applied: list[str], everything: bool
) -> Iterator[Finding]:
    if not applied:
        return
    with connected(platform.engine) as conn:
        screening = partial(screening_of, entity.checks, entity=str(ref))
        history = pipeline.history_of(platform, ref)
        wrong = verify.differing(conn, ref, entity, history, applied, screening, None if everything else KEYS)
    if wrong:
        text = f"{wrong} records of silver are not what their batches say"
        remedy = f"somebody changed the table by hand? make it anew: dataplatform replay {ref.source}"
        yield Finding("problem", str(ref), text, remedy)
