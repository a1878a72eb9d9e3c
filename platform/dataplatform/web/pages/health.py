"""Health: the first page."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from dataplatform.orchestration.health import look
from dataplatform.orchestration.run_now import request_gold
from dataplatform.pipeline import refresh_gold
from dataplatform.reading.health import RANK, health
from dataplatform.reading.status import events_delivered_at, last_backup
from dataplatform.storage.postgres import connected
from dataplatform.web.jobs import Say
from dataplatform.web.live import Live
from dataplatform.web.render import render
from dataplatform.web.who import Actor, Known, LiveNow, Reader

router = APIRouter()
FIRST = 100  # so many are shown at once, the worst first


@router.get("/")
def page(request: Request, who: Reader, now: Known, live: LiveNow, state: str = "", all: int = 0) -> Response:
    found = health(now.platform, now.lineage, access=live.access())
    only = state if state in RANK else ""
    entities = sorted(
        (e for e in found.entities if not only or e.state == only), key=lambda e: -RANK[e.state]
    )
    models = sorted((m for m in found.models if not only or m.state == only), key=lambda m: -RANK[m.state])
    most = FIRST if not all else len(entities) + len(models)
    more = max(0, len(entities) - most) + max(0, len(models) - most)
    return render(
        request, "health.html", health=found, counts=found.counts, entities=entities[:most], models=models[:most],
        only=only, more=more,
    )  # fmt: skip


@router.get("/health/rest")
def rest(request: Request, who: Reader, now: Known, live: LiveNow) -> Response:
    """What Prefect and the backups say: a part of the page, for Prefect takes its time."""
    with connected(now.platform.engine) as conn:
        backup = last_backup(conn)
        delivered = events_delivered_at(conn)
    api = live.prefect()
    found = look(api, delivered) if api is not None else None
    return render(request, "part_rest.html", backup=backup, prefect=found)


@router.post("/gold/build")
def build_gold(who: Actor, live: LiveNow) -> Response:
    """By a worker where Prefect is up, else by this process."""
    api = live.prefect()
    if api is not None:
        return RedirectResponse(f"/runs/{request_gold(api)}", 303)
    job = live.jobs.start("gold", "Build gold", who.name, lambda say: build(live, say), "/tables")
    return RedirectResponse(f"/jobs/{job.id}", 303)


def build(live: Live, say: Say) -> None:
    for built in refresh_gold(live.platform):
        say(f"{built.name}: {built.rows:,} rows")
