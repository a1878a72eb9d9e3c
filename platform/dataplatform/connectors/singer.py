"""Connector `singer`: any Singer tap from PyPI, in an environment of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pydantic import Field, field_validator

from dataplatform.connectors.contract import Item, Wanted
from dataplatform.metadata.source import Connector, Entity, Name, Source


class SingerConnector(Connector):
    """A Singer tap: a program that reads a source and tells of it in Singer's messages."""

    type: Literal["singer"]
    tap: str = Field(
        description="`NAME==VERSION` on PyPI, or one of your own: a folder to install, or a program (`./tap-mine`)."
    )
    executable: str = Field(default="", description="Its program, where that is not called like the package.")
    packages: tuple[str, ...] = Field(
        default=(), description="What else is to be in its environment, such as `dbf==0.99`."
    )
    config: dict[str, object] = Field(
        default={}, description="Its configuration, with secrets as `{secret: name}`."
    )

    @field_validator("tap")
    @classmethod
    def _pinned(cls, value: str) -> str:
        return check_pinned(value)


def check_pinned(value: str) -> str:
    """`NAME==VERSION`, or a folder; raises ValueError for what would be another program tomorrow."""
    if "/" in value or re.fullmatch(r"[A-Za-z0-9][\w.-]*(\[[\w,-]+\])?==[\w.!+-]+", value):
        return value
    raise ValueError(
        f"{value!r} is not `NAME==VERSION`: without its version it would be another program tomorrow"
    )


class SingerEntity(Entity):
    """One stream of a tap."""

    stream: str = Field(default="", description="Name of the stream, where it is not the entity's.")
    select: tuple[str, ...] = Field(
        default=(), description="Fields to read, patterns such as `addr*`; none: all."
    )
    deselect: tuple[str, ...] = Field(default=(), description="Fields to leave out, also patterns.")
    replication_method: Literal["FULL_TABLE", "INCREMENTAL", "LOG_BASED"] | None = Field(
        default=None, description="How the tap reads it, where it asks."
    )
    replication_key: str | None = Field(
        default=None, description="Field by which it knows what is new, where it asks."
    )


class SingerSource(Source):
    """What a Singer tap reads."""

    connector: SingerConnector = Field(description="How it is reached.")
    entities: Mapping[Name, SingerEntity] = Field(min_length=1, description="What it holds.")


SOURCE = SingerSource


def extract_together(wanted: Sequence[Wanted]) -> Iterator[tuple[str, Item]]:
    """All streams that are wanted, from one run of the tap."""
    from dataplatform.connectors.singer_tap import read  # only where a tap is run

    yield from read(wanted)
