"""The connectors' framework: what a source's `extract` gets and gives."""

from dataplatform.connectors.contract import (
    Extract,
    Page,
    Part,
    Reject,
    Request,
    Since,
    encode,
    page_of,
)

__all__ = ["Extract", "Page", "Part", "Reject", "Request", "Since", "encode", "page_of"]
