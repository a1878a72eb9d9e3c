"""Connector `rest`: JSON APIs over HTTP, with paging, authentication and patient retries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field

from dataplatform.connectors.auth import Auth, NoAuth
from dataplatform.connectors.contract import Item, Request, Since
from dataplatform.connectors.paging import Paginator, SinglePage
from dataplatform.metadata.base import Duration, Metadata, Scalar, SecretRef, Text
from dataplatform.metadata.source import Connector, CursorField, Entity, Name, Source


class RestRequest(Metadata):
    """The request of a REST entity."""

    path: str = Field(description="Appended to the connector's base_url.")
    method: Literal["GET", "POST"] = Field(default="GET", description="HTTP method.")
    params: dict[str, Scalar | list[Scalar]] = Field(default={}, description="Query parameters.")
    headers: dict[str, str | SecretRef] = Field(default={}, description="Further headers.")
    body: dict[str, object] | None = Field(default=None, description="JSON body of a POST.")
    records: str | None = Field(
        default=None,
        description="Path of the list of records in the response, such as `data.items`; "
        "absent: the response itself, or its only list.",
    )


class RestCursor(CursorField):
    """How a delta load of an API knows where to go on."""

    param: str | None = Field(default=None, description="Parameter that carries it.")


class RestConnector(Connector):
    """A JSON API over HTTP."""

    type: Literal["rest"]
    base_url: Text = Field(description="Address that each request's path is appended to.")
    auth: Auth = Field(default=NoAuth(), description="How requests are authenticated.")
    paginator: Paginator = Field(default=SinglePage(), description="How the next page is found.")
    headers: dict[str, Text] = Field(default={}, description="Headers of every request.")
    params: dict[str, Scalar] = Field(default={}, description="Parameters of every request.")
    retries: int = Field(default=5, ge=0, description="Further tries of a failed request.")
    timeout: Duration | None = Field(default=None, description="Time-out of one request.")
    max_pages: int = Field(default=100_000, ge=1, description="Stop, with an error, beyond this.")


class RestEntity(Entity):
    """One kind of record: what a request answers."""

    request: RestRequest = Field(description="What to ask for.")
    cursor: RestCursor | None = Field(default=None, description="delta: where to go on.")


class RestSource(Source):
    """A JSON API."""

    connector: RestConnector = Field(description="How it is reached.")
    entities: Mapping[Name, RestEntity] = Field(min_length=1, description="What it holds.")


SOURCE = RestSource


def extract(request: Request, since: Since) -> Iterator[Item]:
    """Responses as they came, one page each; at the end how far the cursor came."""
    from dataplatform.connectors.http import read  # imports httpx: only where an API is read

    yield from read(request, since)
