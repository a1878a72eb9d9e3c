"""Ingests one batch of a source: raw → bronze → silver."""

from __future__ import annotations

from typing import Any

from dataplatform.bootstrap import open_platform
from dataplatform.errors import RunFailedError
from dataplatform.events.outbox import deliver
from dataplatform.ingest import Order, run
from dataplatform.orchestration.events import send
from dataplatform.orchestration.tasks import publish, quiet_errors, run_id, task_step
from prefect import flow


@flow(name="ingest", flow_run_name="ingest {source}", persist_result=False, log_prints=False)
def ingest(
    source: str,
    entities: list[str] | None = None,
    full: bool = False,
    force: bool = False,
    allow_deletes: bool = False,
) -> dict[str, Any]:
    """Run again (Prefect's retry), it finishes the batch it began instead of starting another."""
    quiet_errors()
    with open_platform() as platform:
        order = Order(source, tuple(entities or ()), full, force, allow_deletes, run_id())
        settings = platform.settings
        result = run(platform, order, task_step(settings.retries, settings.retry_delay))
        publish(result)
        deliver(platform.engine, send)
    if result.failed:
        errors = "; ".join(f"{name}: {error}" for name, error in result.failed.items())
        raise RunFailedError(errors, result=result.as_json())
    return result.as_json()
