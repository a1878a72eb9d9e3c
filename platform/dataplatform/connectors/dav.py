"""Connector `dav`: calendars and address books of a server (CalDAV, CardDAV): Nextcloud, Radicale, iCloud, Fastmail…"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, field_validator, model_validator

from dataplatform.connectors.auth import TokenAuth
from dataplatform.connectors.contract import Item, Request, Since
from dataplatform.metadata.base import Text
from dataplatform.metadata.source import Connector, Entity, Name, Source

_KEY = ("href",)


class DavConnector(Connector):
    """A server with calendars or address books."""

    type: Literal["dav"]
    url: Text = Field(
        description="Of the server, the user or one collection; the collections are found from it."
    )
    username: Text | None = Field(default=None, description="Who signs in.")
    password: Text | None = Field(default=None, description="The password, better as a secret.")
    auth: TokenAuth | None = Field(default=None, description="A token in place of name and password.")
    ca_file: str | None = Field(default=None, description="Certificates to trust, for a server of one's own.")
    hosts: tuple[str, ...] = Field(
        default=(),
        description="Patterns of other hosts that it may send us on to with the password or the token: `*.icloud.com`.",
    )
    page_size: int = Field(default=50, ge=1, description="Objects that are asked for at once.")

    @model_validator(mode="after")
    def _one_way(self) -> DavConnector:
        if (self.username is None) != (self.password is None):
            raise ValueError("`username` and `password` go together")
        if self.auth is not None and self.username is not None:
            raise ValueError("either `username` and `password`, or `auth`: how is it let in?")
        return self


class DavEntity(Entity):
    """Objects of collections of one kind."""

    kind: Literal["calendar", "addressbook"] = Field(description="What the collections hold.")
    key: tuple[str, ...] = Field(
        default=_KEY, description="Always `href`: by it the server says what has gone."
    )
    load: Literal["full", "delta"] = Field(
        default="delta", description="delta: what was changed or has gone since the last run."
    )
    collections: tuple[str, ...] = Field(
        default=("*",),
        min_length=1,
        description="Patterns of their names, or of the last part of their addresses.",
    )

    @field_validator("key")
    @classmethod
    def _fixed(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value != _KEY:
            raise ValueError("an object of DAV is known by its `href`; leave `key` out")
        return value


class DavSource(Source):
    """A server with calendars or address books."""

    connector: DavConnector = Field(description="How it is reached.")
    entities: Mapping[Name, DavEntity] = Field(min_length=1, description="What it holds.")


SOURCE = DavSource


def extract(request: Request, since: Since) -> Iterator[Item]:
    """Collection by collection: what has gone, what is new or changed; then where each stands."""
    from dataplatform.connectors.dav_objects import read  # imports httpx: only where a server is asked

    yield from read(request, since)
