"""What is asked of a connector for a batch, and how the answer is to be landed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from dataplatform.audit import inbox
from dataplatform.audit import record as audit
from dataplatform.audit.forgotten import out_of
from dataplatform.connectors import Request, Since, Wanted
from dataplatform.context import Platform
from dataplatform.layers import raw as raw_layer
from dataplatform.layers.bronze.scrub import scrubbed
from dataplatform.metadata.cursor import step_back
from dataplatform.metadata.source import Entity, Source, cursor_of
from dataplatform.records.refs import BatchRef, EntityRef
from dataplatform.secrets.masking import Noted
from dataplatform.settings import Settings
from dataplatform.storage.postgres import connected


def reading(
    platform: Platform, batch: BatchRef, full: bool, force: bool, window: tuple[str, str] | None = None
) -> tuple[Wanted, raw_layer.Landing]:
    """What is asked of the connector, and how it is landed. `full`: all of it; `force`: also what did not change.

    `window`: a backfill of that time; what is not in it has not gone, and no state is kept.
    """
    entity = platform.catalog.source(batch.source).entities[batch.name]
    if window is not None:
        request = request_of(platform, batch.entity)
        landing = raw_layer.Landing(
            "delta", window[0], None, request.noted, screen_of(platform, batch.entity), stateless=True
        )
        return Wanted(request, Since(window=window)), landing
    before = None if force else _latest_manifest(platform, batch)
    full = full or _full_is_due(platform, batch, entity)
    since = Since() if full else _since(platform, batch.entity, entity)
    since = replace(since, digests=before.digests() if before else {})
    load: Literal["full", "delta"] = "full" if full else entity.load
    request = replace(request_of(platform, batch.entity), inbox=partial(inbox.taken, platform.engine, batch))
    landing = raw_layer.Landing(load, since.cursor, before, request.noted, screen_of(platform, batch.entity))
    return Wanted(request, since), landing


def screen_of(platform: Platform, ref: EntityRef) -> raw_layer.Screen | None:
    """Keeps out of raw what a person had forgotten; None where that is nothing."""
    entity = platform.catalog.source(ref.source).entities[ref.name]
    with connected(platform.engine) as conn:
        out = out_of(conn, ref)
    if not out:
        return None

    def screen(
        header: Mapping[str, Any], lines: Sequence[bytes]
    ) -> tuple[Mapping[str, Any], Sequence[bytes]]:
        left = scrubbed(entity, header, lines, out)
        return left.header, left.lines

    return screen


def request_of(platform: Platform, ref: EntityRef) -> Request:
    """What a connector is asked for."""
    source, noted = platform.catalog.source(ref.source), Noted(platform.secrets.noted)
    resolve = partial(platform.secrets.resolve, noted=noted)
    return request_by(platform.settings, source, ref.name, resolve, noted, platform.base_dirs)


def request_by(
    settings: Settings,
    source: Source,
    name: str,
    resolve: Callable[[Any], Any],
    noted: Noted,
    base_dirs: tuple[Path, ...],
) -> Request:
    """The same without a platform: for who only tries a source."""
    return Request(
        source,
        name,
        source.entities[name],
        resolve,
        base_dirs,
        {"DATAPLATFORM_HOME": str(settings.home_path)},
        settings.http_timeout,
        noted,
        settings.connectors,
        settings.home_path,
    )


def _full_is_due(platform: Platform, batch: BatchRef, entity: Entity) -> bool:
    """Whether a delta entity is to be reconciled: read as a whole, so that what is no longer there ends."""
    if entity.load == "full" or entity.full_every is None:
        return False
    with connected(platform.engine) as conn:
        last = audit.last_full(conn, batch.entity)
    return last is None or batch.time - BatchRef(batch.entity, last).time >= entity.full_every


def _since(platform: Platform, ref: EntityRef, entity: Entity) -> Since:
    with connected(platform.engine) as conn:
        state = audit.get_cursor(conn, ref)
    field = cursor_of(entity)
    if field is None:
        return Since(state=state)
    return Since(field.initial if state is None else step_back(state, field.overlap), state=state)


def _latest_manifest(platform: Platform, batch: BatchRef) -> raw_layer.RawManifest | None:
    """Of the newest batch that has one; only recent batches are looked at.

    Not of one that silver refused: what it brought counts as not delivered, and is read again.
    """
    with connected(platform.engine) as conn:
        refused = audit.refused_batches(conn, batch.entity)
    batches = raw_layer.batches(platform.raw, batch.source, batch.name)
    earlier = [b for b in batches if b < batch.batch_id and b not in refused]
    for batch_id in reversed(earlier[-20:]):
        manifest = raw_layer.manifest(platform.raw, replace(batch, batch_id=batch_id))
        if manifest is not None:
            return manifest
    return None
