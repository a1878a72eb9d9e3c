"""Runs: all of them, one of them while it goes on, and what these pages do in the background."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dataplatform.errors import DataplatformError, MetadataError
from dataplatform.orchestration.run_now import FlowRun, flow_run
from dataplatform.reading import loads as reading
from dataplatform.storage.postgres import connected
from dataplatform.web.jobs import Job
from dataplatform.web.live import Live
from dataplatform.web.render import render, segment, text_of
from dataplatform.web.stream import stream
from dataplatform.web.who import Known, LiveNow, Reader

router = APIRouter()
PAGE = 50
ENDED = 286  # HTMX asks no more


@router.get("/runs")
def page(
    request: Request,
    who: Reader,
    now: Known,
    live: LiveNow,
    source: str = "",
    status: str = "",
    before: str = "",
) -> Response:
    with connected(now.platform.engine) as conn:
        found = reading.runs(conn, PAGE + 1, moment_of(before), source, status)
    older = found[PAGE - 1].started_at.isoformat() if len(found) > PAGE else ""
    return render(
        request, "runs.html", runs=found[:PAGE], sources=sorted(now.platform.catalog.sources), source=source,
        status=status, before=older, jobs=live.jobs.newest()[:20] if not before else [],
    )  # fmt: skip


def moment_of(text: str) -> datetime | None:
    """None where nothing is said; raises MetadataError for what is no moment."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise MetadataError(f"{text!r} is no moment", "write it as 2026-01-31T12:00:00+00:00") from None
    if found.tzinfo is None:
        raise MetadataError(f"{text!r} has no time zone", "write it as 2026-01-31T12:00:00+00:00")
    return found


@router.get("/runs/{run_id}")
def run_page(request: Request, who: Reader, live: LiveNow, run_id: str) -> Response:
    return render(request, "run.html", **_about(live, run_id))


@router.get("/runs/{run_id}/part")
def run_part(request: Request, who: Reader, live: LiveNow, run_id: str) -> Response:
    about = _about(live, run_id)
    return render(request, "run_part.html", ENDED if about["ended"] else 200, **about)


@router.get("/runs/{run_id}/events", include_in_schema=False)
def run_events(request: Request, who: Reader, live: LiveNow, run_id: str) -> Response:
    """Its part of the page whenever that has changed, until it has ended."""
    _about(live, run_id)

    def part() -> tuple[str, bool]:
        about = _about(live, run_id)
        return text_of(request, "run_part.html", **about), about["ended"]

    return stream(request, who, live.streams, part)


def _about(live: Live, run_id: str) -> dict[str, Any]:
    with connected(live.first.engine) as conn:
        run = reading.run_named(conn, run_id)
        loads = reading.loads_of_run(conn, run) if run else []
    job = live.jobs.get(run_id)
    done = run is not None and run.status != "running"
    flow = None if done or job is not None else _flow(live, run_id)
    if run is None and flow is None and job is None:
        raise MetadataError(f"there is no run {run_id}", "see the list of runs")
    if not done:  # whoever does it knows best whether it goes on
        done = job.state != "running" if job is not None else flow is None or flow.ended
    about = {"run": run, "loads": loads, "flow": flow, "job": job, "ended": done}
    return {**about, "run_id": run_id, "prefect": "" if job else _pages(live, run_id)}


def _flow(live: Live, run_id: str) -> FlowRun | None:
    api = live.prefect()
    if api is None:
        return None
    try:
        return flow_run(api, run_id)
    except DataplatformError:
        return None


def _pages(live: Live, run_id: str) -> str:
    """Its page in Prefect, where people reach that."""
    api, said = live.prefect(), live.settings.prefect_url
    if api is None or (said is None and "//prefect:" in api.url):
        return ""
    return f"{said or api.url.removesuffix('/api')}/runs/flow-run/{segment(run_id)}"


@router.get("/jobs/{id_}")
def job_page(request: Request, who: Reader, live: LiveNow, id_: str) -> Response:
    return render(request, "job.html", job=_job(live, id_))


@router.get("/jobs/{id_}/part")
def job_part(request: Request, who: Reader, live: LiveNow, id_: str) -> Response:
    job = _job(live, id_)
    return render(request, "job_part.html", ENDED if job.state != "running" else 200, job=job)


@router.get("/jobs/{id_}/events", include_in_schema=False)
def job_events(request: Request, who: Reader, live: LiveNow, id_: str) -> Response:
    job = _job(live, id_)

    def part() -> tuple[str, bool]:
        last = job.state != "running"  # asked before: what it says at its end is in the text
        return text_of(request, "job_part.html", job=job), last

    return stream(request, who, live.streams, part)


def _job(live: Live, id_: str) -> Job:
    job = live.jobs.get(id_)
    if job is None:
        raise MetadataError(
            f"there is no job {id_}: this process has been started since", "see the list of runs"
        )
    return job
