"""The API under `/api/v1`: the same reads and actions as the pages, as JSON; described at /api/v1/openapi.json."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from pydantic import Field

from dataplatform import __version__
from dataplatform.errors import MetadataError
from dataplatform.layers.bronze import upkeep
from dataplatform.metadata import editing
from dataplatform.reading import browse
from dataplatform.reading import loads as loads_reading
from dataplatform.reading import quarantine as quarantine_reading
from dataplatform.reading.browse import Asked, Filter, Operator
from dataplatform.reading.health import health, health_of
from dataplatform.reading.history import history
from dataplatform.reading.reader import ask
from dataplatform.records.refs import EntityRef
from dataplatform.storage.postgres import connected
from dataplatform.web.api_models import (
    Dismissed,
    EntityOut,
    ErrorOut,
    FileIn,
    FileOut,
    HealthOut,
    JobOut,
    LoadOut,
    QuarantineOut,
    QueryIn,
    ReasonOut,
    RowsOut,
    RunIn,
    RunOut,
    RunWithLoads,
    SecretOut,
    SourceOut,
    Started,
    TableOut,
    TableWithColumns,
)
from dataplatform.web.pages.health import build
from dataplatform.web.pages.quarantine import again
from dataplatform.web.pages.settings import secrets_of
from dataplatform.web.pages.sources import start_run
from dataplatform.web.pages.sources import when as when_of
from dataplatform.web.who import Actor, Admin, Known, LiveNow, Reader

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorOut, "description": text}
    for code, text in (
        (400, "It cannot be done as asked"), (401, "Nobody is signed in"), (403, "Not allowed"), (404, "Not there"),
        (405, "Not that way"), (409, "It goes on already"), (421, "Not a name of this server"),
        (422, "Not of that shape"),
        (503, "A server does not answer"),
    )
}  # fmt: skip
router = APIRouter(prefix="/api/v1", responses=ERRORS)


Name = Annotated[str, Field(max_length=200)]


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request, who: Reader) -> JSONResponse:
    """The description; it names what is there, so it is for who may read."""
    document = get_openapi(
        title="dataplatform", version=__version__, routes=router.routes,
        description="Send a token: `Authorization: Bearer …`. Scopes: read, act, admin.",
    )  # fmt: skip
    document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    return JSONResponse(document)


@router.get("/health")
def get_health(who: Reader, now: Known, live: LiveNow) -> HealthOut:
    """Every entity and model with the worst of what is known of it."""
    return HealthOut.model_validate(health(now.platform, now.lineage, access=live.access()))


@router.get("/sources")
def get_sources(who: Reader, now: Known) -> list[SourceOut]:
    """All sources."""
    return [
        SourceOut(
            name=s.source, description=s.description, connector=s.connector.type, when=when_of(s),
            entities=list(s.entities),
        )
        for s in now.platform.catalog.sources.values()
    ]  # fmt: skip


@router.get("/sources/{source}")
def get_source(who: Reader, now: Known, live: LiveNow, source: Name) -> list[EntityOut]:
    """The entities of a source, with their health."""
    return [EntityOut.model_validate(e) for e in health_of(now.platform, source, live.access())]


@router.get("/sources/{source}/file")
def get_file(who: Admin, now: Known, source: Name) -> FileOut:
    """Its YAML file."""
    text = editing.source_text(now.platform.catalog.root, source)
    if not text:
        raise MetadataError(f"there is no source named {source!r}", "see /api/v1/sources")
    return FileOut(text=text, seen=editing.digest(text))


@router.put("/sources/{source}/file")
def put_file(who: Admin, now: Known, source: Name, file: FileIn) -> FileOut:
    """Writes it, where it is right and not changed since it was seen."""
    editing.save_source(now.platform.catalog.root, source, file.text, file.seen or editing.digest(""))
    text = editing.source_text(now.platform.catalog.root, source)
    return FileOut(text=text, seen=editing.digest(text))


@router.post("/sources/{source}/run", status_code=202)
def post_run(who: Actor, live: LiveNow, source: Name, what: Annotated[RunIn, Body()] = RunIn()) -> Started:  # noqa: B008
    """Runs it now."""
    id_, _ = start_run(live, who.name, source, what.entities, what.full, what.force)
    return Started(id=id_, kind="run")


@router.get("/runs")
def get_runs(
    who: Reader, now: Known, source: str = "", status: str = "",
    before: Annotated[datetime | None, Query(description="Those that started earlier.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> list[RunOut]:  # fmt: skip
    """Newest first."""
    with connected(now.platform.engine) as conn:
        return [
            RunOut.model_validate(r)
            for r in loads_reading.runs(conn, limit, before, _text(source), _text(status))
        ]


def _text(value: str) -> str:
    """Postgres has no zero byte."""
    return value.replace("\0", "�")


@router.get("/runs/{run_id}")
def get_run(who: Reader, now: Known, run_id: Name) -> RunWithLoads:
    """A run and its loads. One that a worker has not begun is not there yet."""
    with connected(now.platform.engine) as conn:
        run = loads_reading.run_named(conn, _text(run_id))
        if run is None:
            raise MetadataError(f"there is no run {run_id}", "it may not have begun yet")
        loads = loads_reading.loads_of_run(conn, run)
    return RunWithLoads(
        **RunOut.model_validate(run).model_dump(), loads=[LoadOut.model_validate(one) for one in loads]
    )


@router.get("/jobs/{job_id}")
def get_job(who: Reader, live: LiveNow, job_id: Name) -> JobOut:
    """Work of this process; it forgets them when it ends."""
    job = live.jobs.get(job_id)
    if job is None:
        raise MetadataError(f"there is no job {job_id}", "this process may have been started since")
    return JobOut.model_validate(job)


@router.post("/gold/build", status_code=202)
def post_gold(who: Actor, live: LiveNow) -> Started:
    """Builds gold in this process."""
    job = live.jobs.start("gold", "Build gold", who.name, lambda say: build(live, say), "/tables")
    return Started(id=job.id, kind="job")


@router.get("/tables")
def get_tables(who: Reader, now: Known) -> list[TableOut]:
    """All tables of gold and silver."""
    with connected(now.platform.engine) as conn:
        return [TableOut.model_validate(t) for t in browse.tables(conn)]


@router.get("/tables/{schema}/{table}")
def get_table(who: Reader, now: Known, schema: Name, table: Name) -> TableWithColumns:
    """A table and its columns."""
    with connected(now.platform.engine) as conn:
        return TableWithColumns.model_validate(browse.about(conn, _text(schema), _text(table)))


@router.get("/tables/{schema}/{table}/rows")
def get_rows(
    who: Reader, now: Known, schema: Name, table: Name,
    column: Annotated[str, Query(description="Of the one condition.")] = "",
    operator: Operator = "is", value: str = "", sort: str = "", descending: bool = False,
    history: Annotated[bool, Query(description="All versions, not the current ones alone.")] = False,
    skip: Annotated[int, Query(ge=0, le=browse.DEEPEST)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> RowsOut:  # fmt: skip
    """Rows of a table."""
    with connected(now.platform.engine) as conn:
        about = browse.about(conn, _text(schema), _text(table))
    filters = (Filter(column, operator, value),) if column else ()
    found = browse.rows(now.platform.engine, about, Asked(filters, sort, descending, history, skip, limit))
    return RowsOut(columns=list(found.columns), rows=_plain(found.rows), more=found.more)


def _plain(rows: Any) -> list[list[Any]]:
    """As JSON can hold them: no infinity, numbers of any length as texts."""
    return [[_one(v) for v in row] for row in rows]


def _one(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict | list):
        return value
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else str(value)


@router.get("/records/{table}/{key}")
def get_record(who: Reader, now: Known, table: Name, key: Name) -> dict[str, Any]:
    """The history of one record of silver; `key`: the business key (a,b), or dp_key."""
    return history(now.platform, table, key).as_json()


@router.post("/query")
def post_query(who: Reader, now: Known, asked: QueryIn) -> RowsOut:
    """One SELECT as a role that reads gold and silver and nothing else."""
    found = ask(now.platform.engine, now.platform.settings, asked.query, asked.limit)
    return RowsOut(columns=list(found.columns), rows=_plain(found.rows), more=found.more)


@router.get("/quarantine/{source}/{entity}")
def get_quarantine(who: Reader, now: Known, source: Name, entity: Name) -> QuarantineOut:
    """What waits, by reason."""
    count = upkeep.waiting(now.platform.bronze).get(EntityRef(source, entity), 0)
    records = quarantine_reading.quarantine(now.platform, source, entity, 1000) if count else []
    reasons = [
        ReasonOut(entity=r.entity, reason=r.reason, count=r.count, example=r.example.id)
        for r in quarantine_reading.by_reason(records)
    ]
    return QuarantineOut(count=count, reasons=reasons)


@router.post("/quarantine/{source}/{entity}/retry", status_code=202)
def post_retry(who: Actor, live: LiveNow, source: Name, entity: Name) -> Started:
    """Another try of all that waits of an entity."""
    found, ref = live.platform.catalog.source(source), EntityRef(source, entity)
    if entity not in found.entities:
        raise MetadataError(
            f"there is no entity {entity} of {source}", f"its entities: {', '.join(found.entities)}"
        )
    job = live.jobs.start(
        f"retry {ref}", f"Retry quarantine of {ref}", who.name, lambda say: again(live, ref, say)
    )
    return Started(id=job.id, kind="job")


@router.post("/quarantine/{source}/{entity}/dismiss")
def post_dismiss(who: Actor, now: Known, source: Name, entity: Name) -> Dismissed:
    """Closes all that waits of an entity; it is not loaded then."""
    records = quarantine_reading.quarantine(now.platform, source, entity)
    return Dismissed(dismissed=quarantine_reading.dismiss(now.platform, records))


@router.get("/secrets")
def get_secrets(who: Admin, now: Known) -> list[SecretOut]:
    """Which secrets metadata name, and whether they are there; never what they are."""
    return [SecretOut.model_validate(s) for s in secrets_of(now)]
