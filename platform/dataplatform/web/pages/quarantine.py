"""Quarantine: what could not be loaded, by reason; another try, or never."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from dataplatform.layers.bronze import upkeep
from dataplatform.reading import quarantine as reading
from dataplatform.reading.quarantine import Wanted
from dataplatform.records.refs import EntityRef
from dataplatform.runs.recover import reprocess
from dataplatform.web.jobs import Say
from dataplatform.web.live import Live
from dataplatform.web.render import render
from dataplatform.web.who import Actor, Known, LiveNow, Reader

router = APIRouter()
NEWEST = 1000  # so many of an entity are looked at for a page
EXAMPLES = 20


@router.get("/quarantine")
def page(request: Request, who: Reader, now: Known, source: str = "", entity: str = "") -> Response:
    counts = upkeep.waiting(now.platform.bronze)
    total = counts.get(EntityRef(source, entity), 0)
    records = reading.quarantine(now.platform, source, entity, NEWEST) if total else []
    return render(
        request, "quarantine.html", counts=sorted(counts.items()), source=source, entity=entity, total=total,
        seen=len(records), reasons=reading.by_reason(records), records=records[:EXAMPLES],
    )  # fmt: skip


@router.get("/quarantine/{id_:path}")
def record(request: Request, who: Reader, now: Known, id_: str) -> Response:
    return render(request, "quarantined.html", record=reading.quarantined(now.platform, id_))


@router.post("/quarantine/retry")
def retry(
    who: Actor, live: LiveNow, source: Annotated[str, Form()], entity: Annotated[str, Form()]
) -> Response:
    ref = EntityRef(source, entity)
    live.platform.catalog.source(source)
    job = live.jobs.start(
        f"retry {ref}", f"Retry quarantine of {ref}", who.name, lambda say: again(live, ref, say),
        f"/quarantine?source={source}&entity={entity}",
    )  # fmt: skip
    return RedirectResponse(f"/jobs/{job.id}", 303)


def again(live: Live, ref: EntityRef, say: Say) -> dict[str, int]:
    """Loads the batches concerned again, under today's metadata."""
    platform = live.platform
    waiting = reading.quarantine(platform, ref.source, ref.name)
    batches = sorted({record.batch_id for record in waiting})
    say(f"{len(waiting):,} wait, of {len(batches)} batches")
    reprocess(platform, ref, batches)
    left = upkeep.waiting(platform.bronze).get(ref, 0)
    say(f"{left:,} wait now")
    return {"before": len(waiting), "after": left}


@router.post("/quarantine/dismiss")
def dismiss(
    who: Actor,
    now: Known,
    source: Annotated[str, Form()],
    entity: Annotated[str, Form()],
    id: Annotated[str, Form()] = "",
) -> Response:
    """One of them, or all of an entity."""
    records = reading.wanted(now.platform, Wanted(source, entity, id or None))
    reading.dismiss(now.platform, records)
    return RedirectResponse(f"/quarantine?source={source}&entity={entity}", 303)
