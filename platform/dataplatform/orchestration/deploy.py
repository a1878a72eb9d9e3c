"""Deployments from metadata: one for each source, and those that keep the platform itself going.

A deployment whose definition has not changed is left alone; an interval keeps the moment it counts from when
its deployment is written again, so a restart or an edit elsewhere in the file never begins the count anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from dataplatform import project
from dataplatform.auto_dw.said import decisions
from dataplatform.auto_dw.said.decisions import FlowDecision
from dataplatform.errors import MetadataError
from dataplatform.metadata import Catalog, Source
from dataplatform.metadata.source import CronTrigger, IntervalTrigger, SourceTrigger
from dataplatform.metadata.triggers import CatchUp, RRuleTrigger
from dataplatform.orchestration import jitter, pools
from dataplatform.orchestration.auto_dw import FLOW
from dataplatform.orchestration.catch_up import tag_of
from dataplatform.orchestration.links import described, link
from dataplatform.orchestration.pools import Pool
from dataplatform.orchestration.rest import TAG, Rest, translated
from dataplatform.settings import PrefectApi, Settings

SWEEP_EVERY = timedelta(minutes=15)
NIGHTLY = "40 2 * * *"  # retention, when the backup of before is not too old and little runs
FIRST_RUN = timedelta(seconds=5)  # a new interval's first run: at once, when its deployment is there


log = logging.getLogger(__name__)


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
    rules: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = (TAG,)

    @property
    def full_name(self) -> str:
        return f"{self.flow}/{self.name}"

    def version(self, pool: Pool) -> str:
        """Digest of the definition; Prefect keeps it with the deployment."""
        definition = json.dumps([self.__dict__, pool.working_directory], sort_keys=True, default=str)
        return hashlib.blake2b(definition.encode(), digest_size=8).hexdigest()


def deploy(catalog: Catalog, api: PrefectApi, pool: Pool, settings: Settings) -> Deployed:
    """Makes Prefect's deployments what the metadata say; asks for nothing, may be repeated.

    A source whose file cannot be read keeps the deployment it has. Raises ServerError where Prefect does not answer.
    """
    wanted = [_of_source(source, settings) for source in catalog.sources.values()]
    wanted += [_gold(), _sweep(), _retention()]
    if settings.backup_cron != "off":
        wanted.append(_backup(settings.backup_cron))
    broken = _add_followed(catalog.root, wanted)
    names = [one.full_name for one in wanted]
    # Prefect's REST API and not its client: that waits two seconds after an answer 503, which a server on SQLite gives
    # whenever it writes; and not prefect.deploy(), which asks five times for each deployment
    rest = Rest(api)
    with translated(api):
        pools.make(rest, pool)
        there = _deployed(rest)
        changed: list[str] = []
        flows: dict[str, str] = {}
        for one in wanted:
            old = there.get(one.full_name)
            if old is None or (old["version"], old["work_pool_name"]) != (one.version(pool), pool.name):
                flow = flows.get(one.flow) or rest.post("/flows/", {"name": one.flow})["id"]
                flows[one.flow] = flow
                _write(rest, one, flow, pool, _anchors(old))
                changed.append(one.full_name)
        out = {_full_name(source) for source in catalog.broken_sources}  # their files are wrong, not gone
        names += sorted(name for name in there if name in out or (broken and name.startswith(f"{FLOW}/")))
        gone = sorted(set(there) - set(names))
        for name in gone:
            _delete(rest, there[name]["id"])
    return Deployed(names, changed, gone)


def _full_name(source: str) -> str:
    return f"ingest/{source}"


def _of_source(source: Source, settings: Settings) -> Wanted:
    about = source.description or f"Ingests {source.source}"
    return Wanted(
        "ingest",
        source.source,
        "flows/ingest.py:ingest",
        described(about, link(settings, "sources", source.source), "Its page in dataplatform"),
        {"source": source.source},
        *_times(source.triggers),
        (TAG, f"source:{source.source}", tag_of(_catch_ups(source.triggers)), *_jitter(source.triggers)),
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


def _backup(cron: str) -> Wanted:
    """A night that the machine was off is made up for, once."""
    return Wanted(
        "backup",
        "backup",
        "flows/backup.py:backup",
        "Makes a backup of everything, and removes those that are not to be kept",
        {},
        crons=((cron, "UTC"),),
        tags=(TAG, tag_of(["once"])),
    )


def _retention() -> Wanted:
    return Wanted(
        "retention",
        "retention",
        "flows/retention.py:retention",
        "What is older than metadata keep goes",
        {},
        crons=((NIGHTLY, "UTC"),),
    )


def _add_followed(root: Path, wanted: list[Wanted]) -> bool:
    """The schemas that auto_dw looks after; whether its file is wrong: then they keep the deployments they have."""
    try:
        decided = decisions.load(root)
    except MetadataError as error:
        log.warning("the deployments of auto_dw stay as they are: %s", error.message)
        return True
    wanted += [_of_schema(name, decided.flow_of(name)) for name in decided.followed]
    return False


def _of_schema(schema: str, flow: FlowDecision) -> Wanted:
    """Asked for when tables or columns have changed (auto_dw.py), and by its triggers."""
    return Wanted(
        FLOW,
        schema,
        "flows/auto_dw.py:auto_dw",
        f"Evaluates {schema}, asks what is not sure, builds its warehouse",
        {"schema_name": schema},
        *_times(flow.triggers),
        (TAG, tag_of(_catch_ups(flow.triggers)), *_jitter(flow.triggers)),
    )


Times = tuple[tuple[tuple[str, str], ...], tuple[float, ...], tuple[tuple[str, str], ...]]


def _times(triggers: Iterable[SourceTrigger]) -> Times:
    """Crons with their time zones, seconds of intervals, calendar rules with their time zones."""
    known = tuple(triggers)
    return (
        tuple((t.cron, t.timezone) for t in known if isinstance(t, CronTrigger)),
        tuple(t.every.total_seconds() for t in known if isinstance(t, IntervalTrigger)),
        tuple((t.rrule, t.timezone) for t in known if isinstance(t, RRuleTrigger)),
    )


def _catch_ups(triggers: Iterable[SourceTrigger]) -> list[CatchUp]:
    """Of those that come by the clock."""
    return [t.catch_up for t in triggers if isinstance(t, CronTrigger | IntervalTrigger | RRuleTrigger)]


def _jitter(triggers: Iterable[SourceTrigger]) -> tuple[str, ...]:
    return jitter.tag_of(
        t.jitter for t in triggers if isinstance(t, CronTrigger | IntervalTrigger | RRuleTrigger)
    )


def _write(rest: Rest, wanted: Wanted, flow: str, pool: Pool, anchors: Mapping[float, str]) -> None:
    """The deployment as it is wanted, whatever it was before, in one request: a server answers some thirty a second."""
    order = {
        "flow_id": flow,
        "name": wanted.name,
        "version": wanted.version(pool),
        "schedules": _schedules(wanted, anchors),
        "concurrency_limit": 1,
        "parameters": dict(wanted.parameters),
        "description": wanted.description,
        "work_pool_name": pool.name,
        "tags": list(wanted.tags),
        "entrypoint": pool.entrypoint(wanted.entrypoint),
        "parameter_openapi_schema": _parameters(wanted.entrypoint),
        "enforce_parameter_schema": True,
        "pull_steps": [
            {"prefect.deployments.steps.set_working_directory": {"directory": pool.working_directory}}
        ],
    }
    id_ = rest.post("/deployments/", order)["id"]
    if wanted.flow == "gold":  # older releases had it follow every loaded entity by an automation
        rest.call("DELETE", f"/automations/owned-by/prefect.deployment.{id_}")


def _delete(rest: Rest, id_: str) -> None:
    try:
        rest.call("DELETE", f"/deployments/{id_}")
    except HTTPError as error:
        if error.code != 404:  # somebody beside us was faster
            raise


@cache
def _parameters(entrypoint: str) -> dict[str, Any]:
    flow: Any = load_flow_from_entrypoint(f"{project.base()}/{entrypoint}")
    return parameter_schema(flow).model_dump()


def _schedules(wanted: Wanted, anchors: Mapping[float, str]) -> list[dict[str, Any]]:
    first = (datetime.now(UTC) + FIRST_RUN).isoformat()
    every = [
        *({"cron": cron, "timezone": zone} for cron, zone in wanted.crons),
        *({"rrule": rule, "timezone": zone} for rule, zone in wanted.rules),
        *({"interval": s, "anchor_date": anchors.get(s, first), "timezone": "UTC"} for s in wanted.intervals),
    ]
    return [{"schedule": schedule, "active": True} for schedule in every]


def _anchors(old: Mapping[str, Any] | None) -> dict[float, str]:
    """Interval in seconds → the moment (ISO 8601) that a deployment counts from until now."""
    schedules = [s["schedule"] for s in old["schedules"]] if old else []
    return {s["interval"]: s["anchor_date"] for s in schedules if s.get("interval") and s.get("anchor_date")}


def _deployed(rest: Rest) -> dict[str, dict[str, Any]]:
    """Our deployments in Prefect, by full name."""
    flows = {f["id"]: f["name"] for f in rest.pages("/flows/filter", {})}
    ours = {"deployments": {"tags": {"all_": [TAG]}}, "sort": "NAME_ASC"}
    return {f"{flows.get(d['flow_id'])}/{d['name']}": d for d in rest.pages("/deployments/filter", ours)}
