"""Deployments from metadata: one for each source, and those that keep the platform itself going.

A deployment whose definition has not changed is left alone; an interval keeps the moment it counts from when
its deployment is written again, so a restart or an edit elsewhere in the file never begins the count anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    WorkPoolCreate,
    WorkPoolUpdate,
)
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.client.schemas.sorting import DeploymentSort
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from dataplatform import project
from dataplatform.metadata import Catalog, Source
from dataplatform.metadata.source import CronTrigger, IntervalTrigger
from dataplatform.orchestration.catch_up import tag_of

TAG = "dataplatform"
SWEEP_EVERY = timedelta(minutes=15)
PAGE = 200  # deployments that the server gives at once
FIRST_RUN = timedelta(seconds=5)  # a new interval's first run: at once, when its deployment is there


@dataclass(frozen=True)
class Deployed:
    """Names of all deployments after `deploy`, of those that were written, and of those that were removed."""

    deployments: list[str]
    changed: list[str]
    removed: list[str]


@dataclass(frozen=True)
class Wanted:
    """One deployment as the metadata say. `intervals` are the seconds of its interval schedules."""

    flow: str
    name: str
    entrypoint: str
    description: str
    parameters: Mapping[str, Any]
    crons: tuple[tuple[str, str], ...] = ()
    intervals: tuple[float, ...] = ()
    tags: tuple[str, ...] = (TAG,)

    @property
    def full_name(self) -> str:
        return f"{self.flow}/{self.name}"

    @property
    def version(self) -> str:
        """Digest of the definition; Prefect keeps it with the deployment."""
        definition = json.dumps([self.__dict__, _directory()], sort_keys=True, default=str)
        return hashlib.blake2b(definition.encode(), digest_size=8).hexdigest()


def deploy(catalog: Catalog, work_pool: str) -> Deployed:
    """Makes Prefect's deployments what the metadata say; asks for nothing, may be repeated.

    A source whose file cannot be read keeps the deployment it has.
    """
    wanted = [*map(_of_source, catalog.sources.values()), _gold(), _sweep()]
    names = [one.full_name for one in wanted]
    # one client for all, and not prefect.deploy(): it prints to stdout, asks the server five times for each
    # deployment, and keeps the schedules of a source that has no trigger any more
    with get_client(sync_client=True) as client:
        _work_pool(client, work_pool)
        there = _deployed(client)
        changed = []
        for one in wanted:
            old = there.get(one.full_name)
            if old is None or (old.version, old.work_pool_name) != (one.version, work_pool):
                _write(client, one, work_pool, _anchors(old))
                changed.append(one.full_name)
        out = {_full_name(source) for source in catalog.broken_sources}  # their files are wrong, not gone
        names += sorted(out & set(there))
        gone = sorted(set(there) - set(names))
        for name in gone:
            with contextlib.suppress(ObjectNotFound):
                client.delete_deployment(there[name].id)
    return Deployed(names, changed, gone)


# A pool's usual template lets whoever starts a run say with which command and environment: ours has no variables.
# The worker takes what stands here, and for the command its own: python -m prefect.engine.
TEMPLATE: dict[str, Any] = {
    "job_configuration": {"stream_output": True},
    "variables": {"type": "object", "properties": {}, "additionalProperties": False},
}


def _work_pool(client: SyncPrefectClient, name: str) -> None:
    try:
        there = client.read_work_pool(name)
    except ObjectNotFound:
        with contextlib.suppress(ObjectAlreadyExists):  # somebody beside us was faster
            client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=TEMPLATE))
        return
    if there.type == "process" and there.base_job_template != TEMPLATE:
        client.update_work_pool(name, WorkPoolUpdate(base_job_template=TEMPLATE))


def _full_name(source: str) -> str:
    return f"ingest/{source}"


def _of_source(source: Source) -> Wanted:
    return Wanted(
        "ingest",
        source.source,
        "flows/ingest.py:ingest",
        source.description or f"Ingests {source.source}",
        {"source": source.source},
        tuple((t.cron, t.timezone) for t in source.triggers if isinstance(t, CronTrigger)),
        tuple(t.every.total_seconds() for t in source.triggers if isinstance(t, IntervalTrigger)),
        (TAG, f"source:{source.source}", tag_of(t.catch_up for t in source.triggers)),
    )


def _gold() -> Wanted:
    """Has no schedule: a run of a source asks for it when it has ended (gold.py)."""
    return Wanted(
        "gold",
        "gold",
        "flows/gold.py:gold",
        "Builds the gold models when silver has changed",
        {},
    )


def _sweep() -> Wanted:
    return Wanted(
        "sweep",
        "sweep",
        "flows/sweep.py:sweep",
        "Delivers events and picks up what was left lying",
        {},
        intervals=(SWEEP_EVERY.total_seconds(),),
    )


def _write(
    client: SyncPrefectClient, wanted: Wanted, work_pool: str, anchors: Mapping[float, datetime]
) -> None:
    """The deployment as it is wanted, whatever it was before."""
    flow = _flow(wanted.entrypoint)
    id_ = client.create_deployment(
        client.create_flow_from_name(wanted.flow),
        wanted.name,
        version=wanted.version,
        schedules=_schedules(wanted, anchors),
        concurrency_limit=1,
        parameters=dict(wanted.parameters),
        description=wanted.description,
        work_pool_name=work_pool,
        tags=list(wanted.tags),
        entrypoint=project.entrypoint(wanted.entrypoint),
        parameter_openapi_schema=parameter_schema(flow).model_dump(),
        enforce_parameter_schema=True,
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": _directory()}}],
    )
    # older releases had gold follow every loaded entity by one
    client.delete_resource_owned_automations(f"prefect.deployment.{id_}")


def _directory() -> str:
    return str(project.working_directory())


@cache
def _flow(entrypoint: str) -> Any:
    return load_flow_from_entrypoint(f"{project.base()}/{entrypoint}")


def _schedules(wanted: Wanted, anchors: Mapping[float, datetime]) -> list[DeploymentScheduleCreate]:
    first = datetime.now(UTC) + FIRST_RUN
    every: list[CronSchedule | IntervalSchedule] = [
        *(CronSchedule(cron=cron, timezone=zone) for cron, zone in wanted.crons),
        *(
            IntervalSchedule(interval=timedelta(seconds=s), anchor_date=anchors.get(s, first), timezone="UTC")
            for s in wanted.intervals
        ),
    ]
    return [DeploymentScheduleCreate(schedule=schedule, active=True) for schedule in every]


def _anchors(old: DeploymentResponse | None) -> dict[float, datetime]:
    """Interval in seconds → the moment that a deployment counts from until now."""
    schedules = [s.schedule for s in old.schedules] if old else []
    return {
        s.interval.total_seconds(): s.anchor_date
        for s in schedules
        if isinstance(s, IntervalSchedule) and s.anchor_date
    }


def _deployed(client: SyncPrefectClient) -> dict[str, DeploymentResponse]:
    """Our deployments in Prefect, by full name."""
    flows = {f.id: f.name for f in _pages(lambda offset: client.read_flows(limit=PAGE, offset=offset))}
    ours = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
    deployments = _pages(
        lambda offset: client.read_deployments(
            deployment_filter=ours, limit=PAGE, offset=offset, sort=DeploymentSort.NAME_ASC
        )
    )
    return {f"{flows.get(one.flow_id)}/{one.name}": one for one in deployments}


def _pages(read: Callable[[int], list[Any]]) -> Iterator[Any]:
    offset = 0
    while page := read(offset):
        yield from page
        offset += len(page)
