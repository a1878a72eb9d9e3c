"""Asks for runs of the platform's own deployments, where none waits already. `flows/` and its helpers call it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from sqlalchemy.engine import Engine

from dataplatform.errors import DataplatformError
from dataplatform.storage.postgres import exclusive

# it has not looked at silver yet, so it will see what is there now
WAITS = (StateType.SCHEDULED, StateType.PENDING)
SOON = timedelta(minutes=1)

log = logging.getLogger(__name__)


@contextmanager
def only_told(what: str) -> Iterator[None]:
    """What fails in the block is told and no more: the data are in, and the next run or the sweep asks again."""
    try:
        yield
    except DataplatformError as error:
        log.warning("%s was not asked for: %s", what, error)
    except Exception as error:  # whatever Prefect's client raises
        log.warning("%s was not asked for: %s: %s", what, type(error).__name__, error)


def request_run(
    engine: Engine,
    deployment: str,
    name: str,
    parameters: Mapping[str, Any],
    unless: Sequence[StateType] = WAITS,
) -> bool:
    """Whether a run was made: where that is deployed and not paused, and no run is in one of those states already."""
    with (
        exclusive(engine, f"dataplatform {deployment} asked", wait=30),
        get_client(sync_client=True) as client,
    ):
        try:
            found = client.read_deployment_by_name(deployment)
        except ObjectNotFound:
            return False  # nothing is deployed: whoever runs by hand builds by hand
        if found.paused or _is_there(client, found, unless):
            return False
        client.create_flow_run_from_deployment(found.id, parameters=dict(parameters), name=name)
        return True


def _is_there(client: SyncPrefectClient, deployment: DeploymentResponse, states: Sequence[StateType]) -> bool:
    """Whether there is such a run where a worker will find it; one of a pool that was left behind waits for ever.

    One that a schedule has for later does not count.
    """
    due = FlowRunFilterExpectedStartTime.model_validate({"before_": datetime.now(UTC) + SOON})
    runs = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states))), expected_start_time=due
        ),
    )
    return any(run.work_pool_name == deployment.work_pool_name for run in runs)
