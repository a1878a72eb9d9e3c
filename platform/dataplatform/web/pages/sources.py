"""Sources: the list, a source's page, runs of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from dataplatform.errors import MetadataError
from dataplatform.metadata import editing
from dataplatform.metadata.source import CronTrigger, Source
from dataplatform.orchestration.run_now import request_ingest
from dataplatform.pipeline import Flags
from dataplatform.reading import loads as reading
from dataplatform.reading.health import RANK, EntityHealth, ago, health, health_of, worst
from dataplatform.records.refs import EntityRef, RunRef
from dataplatform.runs import Order, run
from dataplatform.storage.postgres import connected, transaction
from dataplatform.web.jobs import Say
from dataplatform.web.live import Live
from dataplatform.web.render import render
from dataplatform.web.who import Actor, Admin, Known, LiveNow, Reader

router = APIRouter()


@dataclass(frozen=True)
class Card:
    """A source in the list."""

    name: str
    description: str
    kind: str
    entities: int
    state: str
    why: str
    when: str
    checked_at: datetime | None


@router.get("/sources")
def page(request: Request, who: Reader, now: Known, live: LiveNow) -> Response:
    found = health(now.platform, now.lineage, access=live.access())
    by_source: dict[str, list[EntityHealth]] = {}
    for entity in found.entities:
        by_source.setdefault(entity.source, []).append(entity)
    cards = [_card(source, by_source[name]) for name, source in now.platform.catalog.sources.items()]
    cards.sort(key=lambda c: (-RANK[c.state], c.name))
    return render(request, "sources.html", sources=cards, broken=_broken(now))


def _card(source: Source, entities: list[EntityHealth]) -> Card:
    bad = max(entities, key=lambda e: RANK[e.state])
    why = f"{bad.entity}: {bad.why.text}" if bad.why else ""
    checked = max((e.checked_at for e in entities if e.checked_at), default=None)
    return Card(
        source.source, source.description, source.connector.type, len(entities), worst(e.state for e in entities),
        why, when(source), checked,
    )  # fmt: skip


def when(source: Source) -> str:
    """When it runs by itself, in words."""
    said = [
        f"cron {t.cron} ({t.timezone})" if isinstance(t, CronTrigger) else f"every {ago(t.every)}"
        for t in source.triggers
        if hasattr(t, "every") or isinstance(t, CronTrigger)
    ]
    return ", ".join(said) or "runs when asked"


def _broken(now: Any) -> dict[str, str]:
    """What is wrong, by file of a source."""
    found: dict[str, list[str]] = {}
    for problem in now.platform.catalog.problems:
        if problem.file.endswith((".yaml", ".yml")):
            found.setdefault(problem.file.rsplit("/", 1)[-1], []).append(str(problem))
    return {file: "\n".join(texts) for file, texts in found.items()}


@router.get("/sources/{name}")
def source_page(request: Request, who: Reader, now: Known, live: LiveNow, name: str) -> Response:
    source = now.platform.catalog.source(name)
    entities = health_of(now.platform, name, live.access())
    with connected(now.platform.engine) as conn:
        loads = reading.loads_of_source(conn, name)
        about: dict[str, Any] = {
            "cursors": reading.cursors(conn, name),
            "changes": reading.schema_changes(conn, name),
            "runs": reading.runs(conn, 15, source=name),
        }
    return render(
        request, "source.html", source=source, entities=entities, state=worst(e.state for e in entities),
        when=when(source), loads=loads, curve=_curve(loads),
        asks=getattr(getattr(source.connector, "auth", None), "type", "") == "oauth2",
        text=editing.shown_text(now.platform.catalog.root, name),
        **about,
    )  # fmt: skip


def _curve(loads: Iterable[reading.LoadRow]) -> dict[str, Any]:
    """Records read and changed, by batch, as uPlot wants them."""
    batches: dict[str, list[int]] = {}
    times: dict[str, float] = {}
    for load in loads:
        if load.layer == "silver" and load.status == "done":
            own = batches.setdefault(load.batch_id, [0, 0, 0])
            own[0] += load.read
            own[1] += load.inserted + load.updated + load.closed
            own[2] += load.quarantined
            times[load.batch_id] = load.finished_at.timestamp()
    order = sorted(batches)
    return {
        "times": [times[b] for b in order],
        "series": [
            {"label": label, "values": [batches[b][i] for b in order]}
            for i, label in enumerate(("read", "changed", "set aside"))
        ],
    }


@router.post("/sources/{name}/run")
def run_source(
    who: Actor,
    live: LiveNow,
    name: str,
    entity: Annotated[str, Form()] = "",
    full: Annotated[str, Form()] = "",
) -> Response:
    return RedirectResponse(start_run(live, who.name, name, [entity] if entity else [], bool(full))[1], 303)


def start_run(
    live: Live, by: str, name: str, entities: list[str], full: bool = False, force: bool = False
) -> tuple[str, str]:
    """A flow run where Prefect is up, else a run in this process; its id, and where it is seen."""
    source = live.platform.catalog.source(name)
    unknown = [e for e in entities if e not in source.entities]
    if unknown:
        raise MetadataError(
            f"there is no entity {', '.join(unknown)} of {name}",
            f"its entities: {', '.join(source.entities)}",
        )
    api = live.prefect()
    if api is not None:
        id_ = request_ingest(api, name, entities, full, force)
    else:
        mine = RunRef()
        order = Order(name, tuple(entities), Flags(full, force), mine)
        live.jobs.start(
            f"run {name}", f"Run of {name}", by, lambda say: _run(live, order, say), id=mine.run_id
        )
        id_ = mine.run_id
    return id_, f"/runs/{id_}"


def _run(live: Live, order: Order, say: Say) -> None:
    result = run(live.platform, order)
    say(f"{result.source}: {result.status}")


@router.post("/sources/{name}/cursor/{entity}/reset")
def reset_cursor(who: Admin, now: Known, name: str, entity: str) -> Response:
    source = now.platform.catalog.source(name)
    if entity not in source.entities:
        raise MetadataError(
            f"there is no entity {entity} of {name}", f"its entities: {', '.join(source.entities)}"
        )
    with transaction(now.platform.engine) as conn:
        reading.reset_cursor(conn, EntityRef(name, entity))
    return RedirectResponse(f"/sources/{name}", 303)
