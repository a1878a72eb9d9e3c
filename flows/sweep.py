"""Delivers events that were missed, and processes batches that nobody processed."""

from __future__ import annotations

from dataplatform.bootstrap import open_platform
from dataplatform.errors import BusyError
from dataplatform.events.outbox import deliver
from dataplatform.orchestration.events import send
from dataplatform.orchestration.tasks import run_ref
from dataplatform.runs.recover import process_waiting
from prefect import flow


@flow(name="sweep", persist_result=False)
def sweep() -> dict[str, int]:
    """Counts of what was done. A source that is running is left alone."""
    batches = 0
    with open_platform() as platform:
        for source in platform.catalog.sources:
            try:
                batches += len(process_waiting(platform, source, run_ref()))
            except BusyError:
                continue
        return {"batches": batches, "events": deliver(platform.engine, send)}
