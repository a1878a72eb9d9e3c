"""How requests are authenticated: what a person writes, and the httpx.Auth that does it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from dataplatform.metadata.base import Metadata, Text

if TYPE_CHECKING:
    import httpx


class NoAuth(Metadata):
    """No credentials are sent."""

    type: Literal["none"] = "none"


class BearerAuth(Metadata):
    """`Authorization: Bearer <token>`."""

    type: Literal["bearer"]
    token: Text = Field(description="The token, best as `{secret: name}`.")


class ApiKeyAuth(Metadata):
    """A key in a header or a query parameter."""

    type: Literal["api_key"]
    key: Text = Field(description="The key, best as `{secret: name}`.")
    name: str = Field(default="X-Api-Key", description="Name of the header or parameter.")
    location: Literal["header", "query"] = Field(default="header", description="Where it goes.")


class BasicAuth(Metadata):
    """HTTP basic authentication."""

    type: Literal["basic"]
    username: Text = Field(description="The user's name.")
    password: Text = Field(description="The password, best as `{secret: name}`.")


Auth = Annotated[NoAuth | BearerAuth | ApiKeyAuth | BasicAuth, Field(discriminator="type")]


def httpx_auth(
    auth: Auth, resolved: Callable[[Any], str], credential: Callable[[Any], str]
) -> httpx.Auth | None:
    """What httpx needs to send each request with its credentials.

    `resolved` turns a secret into its value; `credential` does so for what is a secret even where it is written as it
    is. A user's name is none: it may stand in all records.
    """
    import httpx  # imported by who reads, not by who checks metadata

    class _Key(httpx.Auth):
        """A key in a header or a query parameter; put in when the request is sent, so no page describes it."""

        def __init__(self, name: str, key: str, location: str) -> None:
            self.name, self.key, self.location = name, key, location

        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
            if self.location == "header":
                request.headers[self.name] = self.key
            else:
                request.url = request.url.copy_set_param(self.name, self.key)
            yield request

    match auth:
        case BearerAuth():
            return _Key("Authorization", f"Bearer {credential(auth.token)}", "header")
        case BasicAuth():
            return httpx.BasicAuth(resolved(auth.username), credential(auth.password))
        case ApiKeyAuth():
            return _Key(auth.name, credential(auth.key), auth.location)
    return None
