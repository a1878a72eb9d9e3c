"""Paging of REST APIs, as a person writes it: a model for each way. How one answer leads to the next call:
rest/turning.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from dataplatform.metadata.base import Metadata, OtherNames

_TOTAL_CHANGES = "when it changes while pages are read, they are read again"


class SinglePage(Metadata):
    """The response is all there is."""

    type: Literal["single", "single_page"] = "single"


class Auto(Metadata):
    """Looks at the first answer: a `Link` header, an address or a cursor in the usual places, an offset with
    its total."""

    type: Literal["auto"]


class LinkHeader(OtherNames):
    """Follows `Link: <…>; rel="next"` (RFC 8288)."""

    OTHER: ClassVar[Mapping[str, str]] = {"links_next_key": "rel"}
    type: Literal["link_header", "header_link"]
    rel: str = Field(default="next", description="Relation of the link that is followed.")


class NextUrl(OtherNames):
    """Follows the address found in the response."""

    OTHER: ClassVar[Mapping[str, str]] = {"next_url_path": "next_path"}
    type: Literal["next_url", "json_link"]
    next_path: str = Field(default="next", description="Path of the next address, also a JSONPath.")
    has_more_path: str | None = Field(default=None, description="Path of what is false on the last page.")


class _Counted(OtherNames):
    """What counting paginators share: where they stop."""

    has_more_path: str | None = Field(default=None, description="Path of what is false on the last page.")
    stop_after_empty_page: bool = Field(
        default=True,
        description="Whether a page without records is the last; else a total or `has_more_path` says so.",
    )


class Offset(_Counted):
    """Raises an offset by what a page held, until a page is empty, or the total is reached."""

    OTHER: ClassVar[Mapping[str, str]] = {"offset": "start"}
    type: Literal["offset"]
    start: int = Field(default=0, ge=0, description="The first offset.")
    limit: int = Field(default=100, ge=1, description="Records asked for in a page.")
    limit_param: str | None = Field(default="limit", description="Parameter that carries the limit.")
    offset_param: str = Field(default="offset", description="Parameter that carries the offset.")
    limit_body_path: str | None = Field(default=None, description="Path of the limit in the body, instead.")
    offset_body_path: str | None = Field(default=None, description="Path of the offset in the body, instead.")
    total_path: str | None = Field(
        default=None, description=f"Path of the total count in the response, if it has one; {_TOTAL_CHANGES}."
    )
    overlap: int = Field(
        default=0, ge=0, description="So many records of a page are asked for again with the next. "
        "Where they are not the same, "
        "something came or went meanwhile, and all is read again: no record slips from one page to another unseen."
    )  # fmt: skip
    maximum_offset: int | None = Field(default=None, description="No page begins at or beyond it.")


class PageNumber(_Counted):
    """Counts pages up until one is empty."""

    OTHER: ClassVar[Mapping[str, str]] = {"base_page": "start", "total_path": "total_pages_path"}
    type: Literal["page", "page_number"]
    start: int = Field(default=1, ge=0, description="Number of the first page.")
    page_param: str = Field(default="page", description="Parameter that carries the number.")
    page_body_path: str | None = Field(default=None, description="Path of the number in the body, instead.")
    page_size: int | None = Field(default=None, ge=1, description="Records of a full page.")
    size_param: str | None = Field(default=None, description="Parameter of the page's size.")
    size_body_path: str | None = Field(
        default=None, description="Path of the page's size in the body, instead."
    )
    total_pages_path: str | None = Field(
        default=None, description="Path of the number of pages in the response."
    )
    total_records_path: str | None = Field(
        default=None, description=f"Path of the number of records in the response; {_TOTAL_CHANGES}."
    )
    maximum_page: int | None = Field(default=None, description="The last page that is asked for.")


class Cursor(OtherNames):
    """Passes on the cursor found in the response."""

    OTHER: ClassVar[Mapping[str, str]] = {"cursor_key": "cursor_path"}
    type: Literal["cursor", "json_response_cursor"]
    cursor_path: str = Field(
        default="cursors.next", description="Path of the next cursor in the response, also a JSONPath; `-1` may "
        "stand for the last record: `data.-1.id`."
    )  # fmt: skip
    cursor_param: str = Field(default="cursor", description="Parameter that carries it.")
    cursor_body_path: str | None = Field(
        default=None, description="Path of the cursor in the body, instead: `variables.after` of GraphQL."
    )
    has_more_path: str | None = Field(default=None, description="Path of what is false on the last page.")


class HeaderCursor(OtherNames):
    """Passes on the cursor found in a header of the response."""

    OTHER: ClassVar[Mapping[str, str]] = {"cursor_key": "header"}
    type: Literal["header_cursor"]
    header: str = Field(default="next", description="Name of the response's header.")
    cursor_param: str = Field(default="cursor", description="Parameter that carries it.")
    cursor_body_path: str | None = Field(default=None, description="Path of the cursor in the body, instead.")


class Custom(Metadata):
    """Your own, in a Python file under connectors/: called with each answer, it returns what the next call changes."""

    type: Literal["custom"]
    function: str = Field(
        description="`file.function` or `file.Class`: `f(call, response, document, records)` returns "
        "None, or a mapping "
        "with `url`, `params`, `body` or `headers` of the next call; a class is made once an extraction with `config`.",
    )
    config: dict[str, object] = Field(default={}, description="Arguments of a class.")

    @model_validator(mode="after")
    def _named(self) -> Custom:
        check_place(self.function)
        return self


def check_place(place: str) -> str:
    """`file.name` of something in a person's own Python file; raises ValueError for what is none."""
    module, _, name = place.partition(".")
    if not (module.isidentifier() and name.isidentifier()):
        raise ValueError(
            f"{place!r} is no `file.name` of a Python file under connectors/, such as `my_api.next_page`"
        )
    return place


def by_name(value: Any) -> Any:
    """`header_link` is short for `{type: header_link}`."""
    return {"type": value} if isinstance(value, str) else value


Paginator = Annotated[
    Annotated[
        SinglePage | Auto | LinkHeader | Offset | PageNumber | Cursor | NextUrl | HeaderCursor | Custom,
        Field(discriminator="type"),
    ],
    BeforeValidator(by_name),
]
