"""Takes batches of a source that are landed but not loaded on to silver."""

from __future__ import annotations

from dataplatform.bootstrap import open_platform
from dataplatform.orchestration.naming import by_source
from dataplatform.orchestration.tasks import run_ref
from dataplatform.runs.locks import alive
from dataplatform.runs.recover import process_waiting
from prefect import flow


@flow(name="process", flow_run_name=by_source, persist_result=False)
def process(source: str) -> list[str]:
    """Ids of the batches that were loaded."""
    with open_platform() as platform, alive(platform.engine, run_ref()):
        return process_waiting(platform, source, run_ref())
