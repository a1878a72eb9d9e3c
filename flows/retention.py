"""What is older than metadata keep goes, every night."""

from __future__ import annotations

from dataplatform.bootstrap import open_platform
from dataplatform.orchestration.naming import by_flow
from dataplatform.orchestration.tasks import run_ref
from dataplatform.runs.locks import alive
from dataplatform.upkeep.retention import nightly
from prefect import flow


@flow(name="retention", flow_run_name=by_flow("retention"), persist_result=False)
def retention() -> dict[str, int]:
    """How many entities were done, busy (left for the next night), or failed (the log says why)."""
    with open_platform() as platform, alive(platform.engine, run_ref()):
        return nightly(platform)
