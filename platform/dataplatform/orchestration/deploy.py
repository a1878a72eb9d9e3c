"""Deployments from metadata: one for each source, and those that keep the platform itself going."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect import flow as prefect_flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.sorting import DeploymentSort
from prefect.events import DeploymentEventTrigger
from prefect.events.schemas.automations import Posture
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.schedules import Cron, Interval, Schedule

from dataplatform.metadata import Catalog, Source
from dataplatform.metadata.source import CronTrigger, IntervalTrigger

ROOT = Path(__file__).parents[3]
TAG = "dataplatform"
SWEEP_EVERY = timedelta(minutes=15)


@dataclass(frozen=True)
class Deployed:
    """Names of deployments after `deploy`, and of those that were removed."""

    deployments: list[str]
    removed: list[str]


def deploy(catalog: Catalog, work_pool: str) -> Deployed:
    """Makes Prefect's deployments what the metadata say; asks for nothing, may be repeated."""
    _work_pool(work_pool)
    wanted = [_of_source(source) for source in catalog.sources.values()]
    wanted += [_gold(), _sweep()]
    for deployment in wanted:
        # not prefect.deploy(): it asks for the pool's workers in a way Prefect 3.8 answers with 422
        deployment.apply(work_pool_name=work_pool)
    names = [f"{d.flow_name}/{d.name}" for d in wanted]
    return Deployed(names, _remove_others(names))


def _work_pool(name: str) -> None:
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(name)
        except ObjectNotFound:
            with contextlib.suppress(ObjectAlreadyExists):  # somebody beside us was faster
                client.create_work_pool(WorkPoolCreate(name=name, type="process"))


def _flow(entrypoint: str) -> Any:
    return prefect_flow.from_source(source=str(ROOT), entrypoint=entrypoint)


def _of_source(source: Source) -> Any:
    return _flow("flows/ingest.py:ingest").to_deployment(
        name=source.source,
        parameters={"source": source.source},
        description=source.description or f"Ingests {source.source}",
        schedules=[s for t in source.triggers if (s := _schedule(t)) is not None],
        concurrency_limit=1,
        tags=[TAG, f"source:{source.source}"],
    )


def _gold() -> Any:
    """Runs when silver has changed; of several loads at once the first run builds, the others find it done."""
    changed = DeploymentEventTrigger(
        name="dataplatform: silver has changed", expect={"dataplatform.entity.loaded"}, posture=Posture.Reactive,
        threshold=1, within=timedelta(0), parameters={"models": None, "full": False, "when_stale": True},
    )  # fmt: skip
    return _flow("flows/gold.py:gold").to_deployment(
        name="gold", description="Builds the gold models when silver has changed", triggers=[changed],
        concurrency_limit=1, tags=[TAG],
    )  # fmt: skip


def _sweep() -> Any:
    return _flow("flows/sweep.py:sweep").to_deployment(
        name="sweep", description="Delivers events and picks up what was left lying",
        schedules=[Interval(SWEEP_EVERY)], concurrency_limit=1, tags=[TAG],
    )  # fmt: skip


def _schedule(trigger: CronTrigger | IntervalTrigger) -> Schedule | None:
    if isinstance(trigger, CronTrigger):
        return Cron(trigger.cron, timezone=trigger.timezone)
    return Interval(trigger.every)


def _remove_others(names: Iterable[str]) -> list[str]:
    """Deployments of ours whose source is gone from the metadata."""
    removed = []
    with get_client(sync_client=True) as client:
        ours = client.read_deployments(
            deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG])),
            limit=200,
            sort=DeploymentSort.NAME_ASC,  # both explicit: the server refuses the client's nulls
        )
        for found in ours:
            flow_name = client.read_flow(found.flow_id).name
            full = f"{flow_name}/{found.name}"
            if full not in set(names):
                client.delete_deployment(found.id)
                removed.append(full)
    return removed
