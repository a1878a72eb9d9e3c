"""Ingests one batch of a source: raw → bronze → silver."""

from __future__ import annotations

from functools import partial
from typing import Any

from dataplatform.bootstrap import lend, open_platform, perform
from dataplatform.errors import RunFailedError
from dataplatform.events.outbox import deliver
from dataplatform.orchestration.auto_dw import ask_for_auto_dw
from dataplatform.orchestration.events import send
from dataplatform.orchestration.gold import ask_for_gold
from dataplatform.orchestration.naming import by_source
from dataplatform.orchestration.requests import only_told
from dataplatform.orchestration.tasks import as_tasks, publish, quiet_errors, run_ref
from dataplatform.pipeline import Flags
from dataplatform.runs import Order, run
from dataplatform.runs.locks import alive
from dataplatform.runs.tables import with_tables
from dataplatform.stamp import stamp_of
from dataplatform.triggers.actions import act
from prefect import flow


@flow(name="ingest", flow_run_name=by_source, persist_result=False, log_prints=False)
def ingest(
    source: str,
    entities: list[str] | None = None,
    full: bool = False,
    force: bool = False,
    allow_deletes: bool = False,
    window: list[str] | None = None,
) -> dict[str, Any]:
    """Run again (Prefect's retry), it finishes the batch it began instead of starting another.

    `window`: a backfill, from and to; cursors stay where they are.
    """
    quiet_errors()
    with open_platform() as platform, alive(platform.engine, run_ref()):
        platform = lend(with_tables(platform, source))
        part = (window[0], window[1]) if window else None
        order = Order(source, tuple(entities or ()), Flags(full, force, allow_deletes, part), run_ref())
        with as_tasks(perform, platform.settings, partial(stamp_of, platform, source)) as submit:
            result = run(platform, order, submit)
        publish(result, platform.settings)
        deliver(platform.engine, send)
        if result.changed:
            ask_for_gold(platform)
            ask_for_auto_dw(platform)
        with only_told("what actions say"):
            act(platform)
    if result.failed:
        errors = "; ".join(f"{name}: {error}" for name, error in result.failed.items())
        raise RunFailedError(errors, result=result.as_json())
    return result.as_json()
