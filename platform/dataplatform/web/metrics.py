"""`/healthz` for whoever watches processes, `/metrics` for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from dataplatform import __version__
from dataplatform.reading.health import Health, health
from dataplatform.storage.postgres import ping
from dataplatform.web.who import Known, LiveNow, Reader, live_of

router = APIRouter()
STATES = ("good", "new", "warn", "bad")


@router.get("/healthz", include_in_schema=False)
def healthz(request: Request) -> Response:
    """Whether the process answers and reaches Postgres; says nothing else, and asks nobody to sign in."""
    ping(live_of(request).first.engine)
    return PlainTextResponse("ok\n")


@router.get("/metrics", include_in_schema=False)
def metrics(who: Reader, now: Known, live: LiveNow) -> Response:
    """Prometheus' text format; a token with the scope read, or a session."""
    text = "\n".join(_lines(health(now.platform, now.lineage, access=live.access()))) + "\n"
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _lines(found: Health) -> Iterator[str]:
    yield from _head("dataplatform_info", "The release that answers")
    yield f'dataplatform_info{{version="{__version__}"}} 1'
    yield from _head("dataplatform_state", "1 for the state that an entity is in")
    for e in found.entities:
        for state in STATES:
            labels = f'source="{e.source}",entity="{e.entity}",state="{state}"'
            yield f"dataplatform_state{{{labels}}} {int(e.state == state)}"
    yield from _head("dataplatform_quarantine_records", "Records that wait in quarantine")
    for e in found.entities:
        yield f'dataplatform_quarantine_records{{source="{e.source}",entity="{e.entity}"}} {e.quarantine}'
    yield from _head("dataplatform_rows", "About how many rows silver's table holds")
    for e in found.entities:
        yield f'dataplatform_rows{{source="{e.source}",entity="{e.entity}"}} {max(e.rows, 0)}'
    yield from _head(
        "dataplatform_last_good_run_seconds", "When an entity last loaded well, in seconds since 1970"
    )
    for e in found.entities:
        if e.checked_at:
            at = e.checked_at.timestamp()
            yield f'dataplatform_last_good_run_seconds{{source="{e.source}",entity="{e.entity}"}} {at:.0f}'
    yield from _head("dataplatform_model_state", "1 for the state that a gold model is in")
    for m in found.models:
        for state in STATES:
            yield f'dataplatform_model_state{{model="{m.name}",state="{state}"}} {int(m.state == state)}'
    yield from _head("dataplatform_metadata_problems", "Files of metadata that are left out")
    yield f"dataplatform_metadata_problems {len(found.problems)}"


def _head(name: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} gauge"
