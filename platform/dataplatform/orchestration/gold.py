"""Asks for a build of gold: after a run of a source, and by the sweep for what was missed. `flows/` calls it."""

from __future__ import annotations

import logging

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from dataplatform.context import Platform
from dataplatform.errors import DataplatformError
from dataplatform.orchestration.naming import named_now
from dataplatform.pipeline import gold_is_stale
from dataplatform.storage.postgres import exclusive

DEPLOYMENT = "gold/gold"
# it has not looked at silver yet, so it will see what is there now
_WAITS = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED, StateType.PENDING]))

log = logging.getLogger(__name__)


def ask_for_gold(platform: Platform) -> bool:
    """Whether a run of gold's deployment was made: where silver has changed, it is deployed, and none waits already.

    What fails here is told and no more: the data are in, and the next run or the sweep asks again.
    """
    try:
        if not gold_is_stale(platform):
            return False
        with (
            exclusive(platform.engine, "dataplatform gold asked", wait=30),
            get_client(sync_client=True) as client,
        ):
            return _asked(client)
    except DataplatformError as error:
        log.warning("gold was not asked for: %s", error)
    except Exception as error:  # whatever Prefect's client raises
        log.warning("gold was not asked for: %s: %s", type(error).__name__, error)
    return False


def _asked(client: SyncPrefectClient) -> bool:
    try:
        deployment = client.read_deployment_by_name(DEPLOYMENT)
    except ObjectNotFound:
        return False  # nothing is deployed: whoever runs by hand builds by hand
    if deployment.paused or _waits(client, deployment):
        return False
    client.create_flow_run_from_deployment(
        deployment.id, parameters={"when_stale": True}, name=named_now("gold")
    )
    return True


def _waits(client: SyncPrefectClient, deployment: DeploymentResponse) -> bool:
    """Whether a run waits where a worker will find it; one of a pool that was left behind waits for ever."""
    runs = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
        flow_run_filter=FlowRunFilter(state=_WAITS),
    )
    return any(run.work_pool_name == deployment.work_pool_name for run in runs)
