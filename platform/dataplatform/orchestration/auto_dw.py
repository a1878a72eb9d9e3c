"""Asks for runs of the flow `auto_dw`: after a run of a source, and by the sweep for what was missed."""

from __future__ import annotations

from prefect.client.schemas.objects import StateType

from dataplatform.auto_dw.build import followed
from dataplatform.auto_dw.said import decisions
from dataplatform.context import Platform
from dataplatform.orchestration.naming import named_now
from dataplatform.orchestration.requests import WAITS, only_told, request_run

FLOW = "auto_dw"
# one that runs sees the change, most likely; if not, the sweep does
UNDER_WAY = (*WAITS, StateType.RUNNING)


def ask_for_auto_dw(platform: Platform) -> list[str]:
    """Schemas for which a run was made: their tables or columns have changed, and none waits already."""
    with only_told(FLOW):
        return [name for name in decisions.load(platform.catalog.root).followed if _asked(platform, name)]
    return []


def _asked(platform: Platform, schema: str) -> bool:
    return followed.has_changed(platform.engine, schema) and request_run(
        platform.engine, f"{FLOW}/{schema}", named_now(f"{FLOW} {schema}"), {"schema_name": schema}, UNDER_WAY
    )
