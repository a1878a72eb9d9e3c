"""The connectors' framework: what a source's `extract` gets and gives."""

from dataplatform.connectors.contract import (
    Deleted,
    Extract,
    ExtractTogether,
    Item,
    Page,
    Part,
    Records,
    Reject,
    Request,
    Schema,
    Since,
    State,
    Wanted,
    deleted,
    encode,
    page_of,
)

__all__ = [
    "Deleted",
    "Extract",
    "ExtractTogether",
    "Item",
    "Page",
    "Part",
    "Records",
    "Reject",
    "Request",
    "Schema",
    "Since",
    "State",
    "Wanted",
    "deleted",
    "encode",
    "page_of",
]
