"""Connector `dlt`: any dlt source or resource, without dlt's loader, in an environment of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pydantic import Field, field_validator

from dataplatform.connectors.contract import Item, Wanted
from dataplatform.connectors.singer import check_pinned
from dataplatform.metadata.source import Connector, Entity, Name, Source


class DltConnector(Connector):
    """A dlt source: a function that gives resources, dlt's own, a package's or in a file of yours."""

    type: Literal["dlt"]
    source: str = Field(
        description="`module.function` of the source or resource: in a file under connectors/, or of a "
        "package, such as "
        "`dlt.sources.rest_api.rest_api_source`."
    )
    version: str = Field(
        default="dlt==1.31.0", description="`dlt==VERSION`, with extras such as `dlt[sql_database]==1.31.0`."
    )
    packages: tuple[str, ...] = Field(
        default=(), description="What else is to be in its environment, such as a driver."
    )
    config: dict[str, object] = Field(
        default={}, description="Arguments of the function, with secrets as `{secret: name}`."
    )

    @field_validator("version")
    @classmethod
    def _pinned(cls, value: str) -> str:
        return check_pinned(value)

    @field_validator("source")
    @classmethod
    def _place(cls, value: str) -> str:
        if "." not in value or not all(part.isidentifier() for part in value.split(".")):
            raise ValueError(f"{value!r} is no `module.function`")
        return value


class DltEntity(Entity):
    """One resource of a dlt source."""

    resource: str = Field(default="", description="Name of the resource, where it is not the entity's.")


class DltSource(Source):
    """What a dlt source reads."""

    connector: DltConnector = Field(description="How it is reached.")
    entities: Mapping[Name, DltEntity] = Field(min_length=1, description="What it holds.")


SOURCE = DltSource


def extract_together(wanted: Sequence[Wanted]) -> Iterator[tuple[str, Item]]:
    """All resources that are wanted, from one process."""
    from dataplatform.connectors.dlt_source import read  # only where one is run

    yield from read(wanted)
