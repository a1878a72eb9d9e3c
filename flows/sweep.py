"""Delivers events that were missed, processes batches that nobody processed and what was pushed, has gold built that
nobody built, has auto_dw look at what nobody looked at, does what actions are due."""

from __future__ import annotations

from dataplatform.bootstrap import open_platform
from dataplatform.errors import BusyError
from dataplatform.events.outbox import deliver
from dataplatform.orchestration.auto_dw import ask_for_auto_dw
from dataplatform.orchestration.events import send
from dataplatform.orchestration.gold import ask_for_gold
from dataplatform.orchestration.naming import by_flow
from dataplatform.orchestration.tasks import run_ref
from dataplatform.runs.locks import alive
from dataplatform.runs.pushed import load_due
from dataplatform.runs.recover import process_waiting
from dataplatform.triggers.actions import act
from prefect import flow


@flow(name="sweep", flow_run_name=by_flow("sweep"), persist_result=False)
def sweep() -> dict[str, int]:
    """Counts of what was done. A source that is running is left alone."""
    batches = 0
    with open_platform() as platform, alive(platform.engine, run_ref()):
        for source in platform.catalog.sources:
            try:
                batches += len(process_waiting(platform, source, run_ref()))
                batches += load_due(platform, source)
            except BusyError:
                continue
        events = deliver(platform.engine, send)
        gold, auto_dw = ask_for_gold(platform), ask_for_auto_dw(platform)
        acted = act(platform)["done"]
        return {
            "batches": batches,
            "events": events,
            "gold": int(gold),
            "auto_dw": len(auto_dw),
            "actions": acted,
        }
