"""Loads what was pushed, where enough of it waits or for long enough: the sweep asks, for who only receives."""

from __future__ import annotations

from dataplatform.connectors.receiving import due
from dataplatform.context import Platform
from dataplatform.runs.order import Order
from dataplatform.runs.run import run


def load_due(platform: Platform, source: str) -> int:
    """How many batches that made. Raises BusyError where all that is due is being loaded already."""
    names = due(platform.engine, platform.catalog.source(source))
    if not names:
        return 0
    result = run(platform, Order(source, tuple(names)))
    return len(result.entities) - len(result.failed)
