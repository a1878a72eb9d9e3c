"""Connector `airbyte`: a source of Airbyte's from PyPI, or a manifest of your own, without Docker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from dataplatform.connectors.contract import Item, Wanted
from dataplatform.connectors.singer import check_pinned
from dataplatform.metadata.source import Connector, Entity, Name, Source


class AirbyteConnector(Connector):
    """A source of Airbyte's; nothing of Airbyte's is bundled, it is fetched on first use."""

    type: Literal["airbyte"]
    package: str | None = Field(default=None, description="`airbyte-source-NAME==VERSION` on PyPI.")
    manifest: str | None = Field(default=None, description="A manifest.yaml of your own, instead.")
    config: dict[str, object] = Field(
        default={}, description="Its configuration, as its `spec` asks for it; secrets as `{secret: name}`."
    )
    allow_code: bool = Field(
        default=False,
        description="Whether the source's own Python (components.py) may run, with what the platform may do.",
    )
    own_program: bool = Field(
        default=False,
        description="Whether the package's own program reads it, with the libraries that it pins, in place of `cdk`.",
    )
    cdk: str = Field(default="airbyte-cdk==7.39.1", description="What runs it: `airbyte-cdk==VERSION`.")
    packages: tuple[str, ...] = Field(
        default=(), description="What else is to be in its environment, such as `feedparser==6.0.10`."
    )

    @field_validator("package", "cdk")
    @classmethod
    def _pinned(cls, value: str | None) -> str | None:
        return check_pinned(value) if value is not None else None

    @field_validator("packages")
    @classmethod
    def _all_pinned(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_pinned(one) for one in value)

    @model_validator(mode="after")
    def _one(self) -> AirbyteConnector:
        if (self.package is None) == (self.manifest is None):
            raise ValueError("either `package` or `manifest`")
        if self.own_program and (self.package is None or not self.allow_code):
            raise ValueError("`own_program` is that of a `package`, and runs only with `allow_code: true`")
        return self


class AirbyteEntity(Entity):
    """One stream of an Airbyte source."""

    stream: str = Field(default="", description="Name of the stream, where it is not the entity's.")
    cursor_field: str | None = Field(
        default=None, description="delta: its cursor, where the stream leaves that to you."
    )


class AirbyteSource(Source):
    """A source of Airbyte's."""

    connector: AirbyteConnector = Field(description="How it is reached.")
    entities: Mapping[Name, AirbyteEntity] = Field(min_length=1, description="What it holds.")


SOURCE = AirbyteSource


def extract_together(wanted: Sequence[Wanted]) -> Iterator[tuple[str, Item]]:
    """All streams that are wanted, from one process."""
    from dataplatform.connectors.airbyte_source import read  # only where one is run

    yield from read(wanted)


def problems(source: Source, home: Path, base_dirs: tuple[Path, ...]) -> list[str]:
    """What the manifest's own `spec` says of the configuration, where the manifest is at hand; for `check`."""
    from dataplatform.connectors.airbyte_manifest import at_hand, spec_problems

    assert isinstance(source.connector, AirbyteConnector)
    found = at_hand(source.connector, home, base_dirs)
    return spec_problems(found, source.connector.config) if found else []
