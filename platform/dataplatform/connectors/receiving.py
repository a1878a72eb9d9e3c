"""Receives what is pushed: `dataplatform push` and the HTTP route call `receive`, from any process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy.engine import Engine

from dataplatform.audit import inbox
from dataplatform.connectors.contract import encode
from dataplatform.connectors.json_text import one_line
from dataplatform.connectors.mqtt import MqttConnector
from dataplatform.connectors.push import PushConnector
from dataplatform.errors import MetadataError, SourceError
from dataplatform.metadata.source import Source
from dataplatform.records.refs import EntityRef
from dataplatform.storage.postgres import connected, transaction

LONGEST_KEY = 500


@dataclass(frozen=True)
class Received:
    """What became of it: `records` are on the disk. `repeated`: they were before, by their idempotency key."""

    records: int
    repeated: bool = False


def receive(
    engine: Engine,
    source: Source,
    entity: str,
    records: Iterable[Mapping[str, Any] | bytes | str],
    idempotency_key: str | None = None,
) -> Received:
    """Keeps records of a push source until they are landed: when it returns they are on the disk, all of them or none.

    A record is a mapping, or the JSON text of an object. Sent again with the same `idempotency_key` (within two weeks)
    they count once. Raises MetadataError for a source or an entity that receives nothing, SourceError for what is no
    record; the server's errors are ours, and after them the same may be sent again.
    """
    ref = _ref(source, entity)
    if idempotency_key is not None and not 0 < len(idempotency_key) <= LONGEST_KEY:
        raise SourceError(f"an idempotency key has 1 to {LONGEST_KEY} characters", "a UUID will do")
    lines = [_line(number, record) for number, record in enumerate(records, 1)]
    with transaction(engine) as conn:
        before = inbox.put(conn, ref, lines, idempotency_key)
    return Received(len(lines)) if before is None else Received(before, repeated=True)


def due(engine: Engine, source: Source, now: datetime | None = None) -> list[str]:
    """Entities of which enough waits, or for long enough, to be landed now."""
    connector = source.connector
    if not isinstance(connector, PushConnector | MqttConnector):
        return []
    with connected(engine) as conn:
        there = inbox.waiting(conn, source.source)
    moment = now or datetime.now(UTC)
    return [
        name
        for name in source.entities
        if (one := there.get(name)) is not None
        and (
            one.records >= connector.count
            or (one.since is not None and moment - one.since >= connector.every)
        )
    ]


def _ref(source: Source, entity: str) -> EntityRef:
    if not isinstance(source.connector, PushConnector):
        raise MetadataError(
            f"the source {source.source} receives nothing: its connector is `{source.connector.type}`",
            "only `connector: {type: push}` does",
        )
    if entity not in source.entities:
        raise MetadataError(
            f"the source {source.source} has no entity {entity!r}",
            f"its entities: {', '.join(source.entities)}",
        )
    return EntityRef(source.source, entity)


def _line(number: int, record: Mapping[str, Any] | bytes | str) -> bytes:
    if isinstance(record, Mapping):
        return encode(record)
    text = record.encode("utf-8", "surrogatepass") if isinstance(record, str) else record
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise SourceError(
            f"record {number} is not JSON: {error.msg} at column {error.colno}",
            "nothing was kept; send one object a line",
        ) from None
    if not isinstance(found, dict):
        raise SourceError(f"record {number} is no object but {type(found).__name__}", "nothing was kept")
    return one_line(text)
