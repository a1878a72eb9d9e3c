"""Asks for a build of gold: after a run of a source, and by the sweep for what was missed. `flows/` calls it."""

from __future__ import annotations

from dataplatform.context import Platform
from dataplatform.orchestration.naming import named_now
from dataplatform.orchestration.requests import only_told, request_run
from dataplatform.pipeline import gold_is_stale

DEPLOYMENT = "gold/gold"


def ask_for_gold(platform: Platform) -> bool:
    """Whether a run of gold's deployment was made: where silver has changed, it is deployed, and none waits already."""
    with only_told("gold"):
        return gold_is_stale(platform) and request_run(
            platform.engine, DEPLOYMENT, named_now("gold"), {"when_stale": True}
        )
    return False
