"""Connector `mqtt`: what a broker passes on (OwnTracks, Home Assistant, Zigbee2MQTT), kept as it comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from dataplatform.connectors.contract import Item, Records, Request, Since, of_kind
from dataplatform.metadata.base import Duration, Text
from dataplatform.metadata.source import Connector, Entity, Name, Source


class MqttConnector(Connector):
    """A broker; `up`, `serve` or `dataplatform listen` listens to it."""

    type: Literal["mqtt"]
    host: str = Field(description="The broker's name.")
    port: int | None = Field(default=None, description="8883 with `tls`, else 1883.")
    tls: bool = Field(default=False, description="Whether the connection is encrypted.")
    ca_file: str | None = Field(default=None, description="Certificates to trust, for a broker of one's own.")
    username: Text | None = Field(default=None, description="Who signs in.")
    password: Text | None = Field(default=None, description="The password, better as a secret.")
    client_id: str | None = Field(
        default=None, description="By it the broker knows us again; `dataplatform-<source>`, when absent."
    )
    count: int = Field(default=1_000, ge=1, description="So many records that wait are a batch.")
    every: Duration = Field(
        default=timedelta(minutes=1), description="After this time what waits is a batch, however little."
    )


def _delta(value: str) -> str:
    if value != "delta":
        raise ValueError("what a broker passes on is never all there is: `load: delta`, or nothing")
    return value


def _topics(value: tuple[str, ...]) -> tuple[str, ...]:
    for topic in value:
        levels = topic.split("/")
        if (
            not topic
            or "#" in levels[:-1]
            or any(len(one) > 1 and ("#" in one or "+" in one) for one in levels)
        ):
            raise ValueError(f"{topic!r} is no topic: `+` stands for one level, `#` at the end for all below")
    return value


class MqttEntity(Entity):
    """Messages of topics."""

    topics: Annotated[tuple[str, ...], AfterValidator(_topics)] = Field(
        min_length=1, description="Topics, with `+` and `#`."
    )
    retained: bool = Field(
        default=False,
        description="Also the last message of each topic that the broker repeats at every sign-in.",
    )
    load: Annotated[Literal["full", "delta"], AfterValidator(_delta)] = Field(
        default="delta", description="Always delta: what does not come has not gone."
    )


class MqttSource(Source):
    """A broker."""

    connector: MqttConnector = Field(description="How it is reached.")
    entities: Mapping[Name, MqttEntity] = Field(min_length=1, description="What it passes on.")


SOURCE = MqttSource
RECEIVES = True  # its records wait in the inbox, and go from there when their batch is noted


def extract(request: Request, since: Since) -> Iterator[Item]:
    """What the batch took from the inbox, in the order it came."""
    of_kind(request, MqttConnector, MqttEntity)
    for lines in request.inbox():
        yield Records(lines, {"received": True})


def problems(source: MqttSource, home: Path, base_dirs: tuple[Path, ...]) -> list[str]:
    """What `check` says."""
    if find_spec("paho") is None:
        return ["MQTT needs paho-mqtt: pip install 'dataplatform[mqtt]'"]
    return []
