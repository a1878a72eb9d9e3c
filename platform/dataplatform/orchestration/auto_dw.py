"""Asks for runs of the flow `auto_dw`: after a run of a source, and by the sweep for what was missed."""

from __future__ import annotations

from dataplatform.auto_dw.build import followed
from dataplatform.auto_dw.said import decisions
from dataplatform.context import Platform
from dataplatform.orchestration.naming import named_now
from dataplatform.orchestration.requests import only_told, request_run

FLOW = "auto_dw"


def ask_for_auto_dw(platform: Platform) -> list[str]:
    """Schemas for which a run was made: their tables or columns have changed, and none waits already."""
    with only_told(FLOW):
        return [name for name in decisions.load(platform.catalog.root).followed if _asked(platform, name)]
    return []


def _asked(platform: Platform, schema: str) -> bool:
    return followed.has_changed(platform.engine, schema) and request_run(
        platform.engine, f"{FLOW}/{schema}", named_now(f"{FLOW} {schema}"), {"schema": schema}
    )
