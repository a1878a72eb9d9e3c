"""Builds gold models."""

from __future__ import annotations

from typing import Any

from dataplatform.bootstrap import open_platform
from dataplatform.events.outbox import deliver
from dataplatform.orchestration.events import send
from dataplatform.orchestration.links import link, show_link
from dataplatform.orchestration.naming import by_flow
from dataplatform.orchestration.tasks import run_ref
from dataplatform.pipeline import gold_is_stale, refresh_gold
from dataplatform.runs.locks import alive
from prefect import flow
from prefect.artifacts import create_table_artifact


@flow(name="gold", flow_run_name=by_flow("gold"), persist_result=False)
def gold(
    models: list[str] | None = None, full: bool = False, when_stale: bool = False
) -> list[dict[str, Any]]:
    """All models, or those named, in the order of their dependencies; `when_stale`: only if silver has changed."""
    with open_platform() as platform, alive(platform.engine, run_ref()):
        if when_stale and not gold_is_stale(platform):
            return []
        built = [b.__dict__ for b in refresh_gold(platform, models, full)]
        deliver(platform.engine, send)
    if built:
        shown = [b | {"waiting_for": ", ".join(b["waiting_for"])} for b in built]
        create_table_artifact(shown, key="gold-models")
        show_link("gold-page", link(platform.settings, "way"), "The way of the data")
    return built
