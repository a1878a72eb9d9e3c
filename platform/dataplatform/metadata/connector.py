"""How a source is reached: one model per connector kind, told apart by `type`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dataplatform.metadata.base import Duration, Metadata, SecretRef

Text = str | SecretRef
Scalar = str | int | float | bool | SecretRef | None


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


class SinglePage(Metadata):
    """The response is all there is."""

    type: Literal["single"] = "single"


class LinkHeader(Metadata):
    """Follows `Link: <…>; rel="next"` (RFC 8288)."""

    type: Literal["link_header"]


class Offset(Metadata):
    """Raises an offset by what a page held, until a page is shorter than the limit."""

    type: Literal["offset"]
    limit: int = Field(default=100, ge=1, description="Records asked for in a page.")
    limit_param: str = Field(default="limit", description="Parameter that carries the limit.")
    offset_param: str = Field(default="offset", description="Parameter that carries the offset.")
    total_path: str | None = Field(
        default=None, description="Path of the total count in the response, if it has one."
    )


class PageNumber(Metadata):
    """Counts pages up until one is empty or shorter than `page_size`."""

    type: Literal["page"]
    start: int = Field(default=1, ge=0, description="Number of the first page.")
    page_param: str = Field(default="page", description="Parameter that carries the number.")
    page_size: int | None = Field(default=None, ge=1, description="Records of a full page.")
    size_param: str | None = Field(default=None, description="Parameter of the page's size.")
    total_pages_path: str | None = Field(
        default=None, description="Path of the number of pages in the response."
    )


class Cursor(Metadata):
    """Passes on the cursor found in the response."""

    type: Literal["cursor"]
    cursor_path: str = Field(description="Path of the next cursor in the response.")
    cursor_param: str = Field(default="cursor", description="Parameter that carries it.")


class NextUrl(Metadata):
    """Follows the address found in the response."""

    type: Literal["next_url"]
    next_path: str = Field(default="next", description="Path of the next address.")


Paginator = Annotated[
    SinglePage | LinkHeader | Offset | PageNumber | Cursor | NextUrl, Field(discriminator="type")
]


class RestConnector(Metadata):
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


class SqlConnector(Metadata):
    """A database that SQLAlchemy can reach."""

    type: Literal["sql"]
    url: Text = Field(description="SQLAlchemy URL; a bare postgresql:// uses psycopg 3.")
    db_schema: str | None = Field(
        default=None, alias="schema", description="Schema of the tables that have none."
    )
    page_size: int = Field(default=5_000, ge=1, description="Rows in a page.")


class FilesConnector(Metadata):
    """CSV, JSON and JSON-lines files in a folder or behind an fsspec URL."""

    type: Literal["files"]
    path: Text = Field(
        description="Folder or fsspec URL; relative to the working directory, then to the YAML file. "
        "${DATAPLATFORM_HOME} stands for the platform's folder."
    )
    encoding: str = Field(default="utf-8", description="Encoding of text files.")
    delimiter: str | None = Field(default=None, description="Of CSV files; guessed when absent.")
    page_size: int = Field(default=5_000, ge=1, description="Records in a page.")
    options: dict[str, Scalar] = Field(default={}, description="Options for fsspec.")


class PythonConnector(Metadata):
    """Your own `extract` function in one file under connectors/."""

    type: Literal["python"]
    module: str = Field(description="Name of the file under connectors/, without .py.")
    config: dict[str, object] = Field(default={}, description="Passed on; may hold secrets.")


Connector = Annotated[
    RestConnector | SqlConnector | FilesConnector | PythonConnector, Field(discriminator="type")
]
