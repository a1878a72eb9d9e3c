"""Connector `rest`: APIs over HTTP. `model` is what a person writes; the rest is imported where an API is read.

`plan` turns an entity into calls (since when, of which parents), `paging` (beside this folder) one answer into the
next call, `client` sends with credentials, patience and budget, `answer` makes records of what came, `read` joins them.
"""

from __future__ import annotations

from collections.abc import Iterator

from dataplatform.connectors.contract import Item, Request, Since
from dataplatform.connectors.rest import model
from dataplatform.connectors.rest.model import RestConnector, RestEntity, RestSource

__all__ = ["SOURCE", "RestConnector", "RestEntity", "RestSource", "extract", "model"]

SOURCE = RestSource


def extract(request: Request, since: Since) -> Iterator[Item]:
    """Responses as they came, one page each; at the end how far the cursor came."""
    from dataplatform.connectors.rest.read import read  # imports httpx: only where an API is read

    yield from read(request, since)
