"""Connector `push`: records that others send, by `dataplatform push` or an HTTP route, landed in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Literal

import orjson
from pydantic import AfterValidator, Field

from dataplatform.connectors.contract import Deleted, Item, Records, Request, Since, encode, of_kind
from dataplatform.connectors.hooks import Hook
from dataplatform.metadata.base import Duration
from dataplatform.metadata.paths import MISSING, dig
from dataplatform.metadata.source import Connector, Entity, Name, Source


class PushConnector(Connector):
    """Records come to us: what is sent is kept at once, and becomes a batch by count or by time."""

    type: Literal["push"]
    count: int = Field(default=1_000, ge=1, description="So many records that wait are a batch.")
    every: Duration = Field(
        default=timedelta(minutes=1), description="After this time what waits is a batch, however little."
    )
    auth: Hook | None = Field(
        default=None, description="Who may send to `/hooks/<source>`; without it nobody may."
    )
    max_bytes: int = Field(default=1_000_000, ge=1, description="A longer body is refused.")
    per_minute: int = Field(default=60_000, ge=1, description="More requests than these are told to wait.")


def _delta(value: str) -> str:
    if value != "delta":
        raise ValueError("what is pushed is never all there is: `load: delta`, or nothing")
    return value


class PushEntity(Entity):
    """One kind of record that is sent."""

    load: Annotated[Literal["full", "delta"], AfterValidator(_delta)] = Field(
        default="delta", description="Always delta: what does not come has not gone."
    )
    deleted: str | None = Field(
        default=None, description="Field that is true in a record which says that its key has gone."
    )
    records: str | None = Field(
        default=None,
        description="Path of the records in what is posted; none: the body is one, or a list of them.",
    )


class PushSource(Source):
    """A source that sends."""

    connector: PushConnector = Field(description="How what comes is gathered.")
    entities: Mapping[Name, PushEntity] = Field(min_length=1, description="What it sends.")


SOURCE = PushSource
RECEIVES = True  # its records wait in the inbox, and go from there when their batch is noted


def extract(request: Request, since: Since) -> Iterator[Item]:
    """What the batch took from the inbox, in the order it came."""
    _, entity = of_kind(request, PushConnector, PushEntity)
    for lines in request.inbox():
        kept: list[bytes] = []
        for line in lines:
            gone = _is_gone(line, entity)
            if gone is None:
                kept.append(line)
                continue
            if kept:
                yield Records(kept, {"pushed": True})
                kept = []
            yield Deleted([gone], {"pushed": True})
        if kept:
            yield Records(kept, {"pushed": True})


def _is_gone(line: bytes, entity: PushEntity) -> bytes | None:
    """The key of a record that says it has gone."""
    if entity.deleted is None:
        return None
    record = orjson.loads(line)
    if dig(record, entity.deleted) not in (True, 1, "true"):
        return None
    names = [*entity.key, *([entity.effective_at] if entity.effective_at else [])]
    found = {name: value for name in names if (value := dig(record, name)) is not MISSING}
    return encode(found or record)
