"""Tables of silver and gold: rows that are filtered and sorted, downloads, one record's history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, zip_longest
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from dataplatform.errors import DataplatformError, MetadataError
from dataplatform.reading import browse, parquet
from dataplatform.reading.browse import OPERATORS, Asked, Filter
from dataplatform.reading.history import history
from dataplatform.reading.lineage import columns_of
from dataplatform.reading.trace import trace
from dataplatform.storage.postgres import connected
from dataplatform.web.render import render
from dataplatform.web.who import Known, Reader

router = APIRouter()
FIRST = 200  # tables of the list that are shown where nothing is searched for
Texts = Annotated[list[str] | None, Query()]


@router.get("/tables")
def page(request: Request, who: Reader, now: Known, q: str = "") -> Response:
    with connected(now.platform.engine) as conn:
        found = browse.tables(conn)
    words = q.lower().split()
    fits = [t for t in found if all(w in f"{t.schema}.{t.name} {t.description}".lower() for w in words)]
    return render(request, "tables.html", tables=fits[:FIRST], more=len(fits) - FIRST, q=q, total=len(found))


def asked_of(f: Texts, o: Texts, v: Texts, sort: str, desc: int, history: int, skip: int) -> Asked:
    """What the address of the page asks for; raises MetadataError for what is none."""
    filters = []
    for column, operator, value in zip_longest(f or (), o or (), v or (), fillvalue=""):
        if not column:
            continue
        if operator not in OPERATORS:
            raise MetadataError(f"{operator!r} is no condition", f"legal: {', '.join(OPERATORS)}")
        filters.append(Filter(column, operator, value))
    return Asked(tuple(filters), sort, bool(desc), bool(history), max(skip, 0))


@router.get("/tables/{schema}/{name}.csv")
def download(
    who: Reader, now: Known, schema: str, name: str, f: Texts = None, o: Texts = None, v: Texts = None,
    sort: str = "", desc: int = 0, history: int = 0,
) -> Response:  # fmt: skip
    asked = asked_of(f, o, v, sort, desc, history, 0)
    table = _checked(now, schema, name, asked)
    lines = browse.csv_lines(now.platform.engine, table, asked)
    return _file(lines, f"{schema}.{_file_name(name)}.csv", "text/csv; charset=utf-8")


@router.get("/tables/{schema}/{name}.parquet")
def download_parquet(
    who: Reader, now: Known, schema: str, name: str, f: Texts = None, o: Texts = None, v: Texts = None,
    sort: str = "", desc: int = 0, history: int = 0,
) -> Response:  # fmt: skip
    asked = asked_of(f, o, v, sort, desc, history, 0)
    table = _checked(now, schema, name, asked)
    if not parquet.can_write():
        raise MetadataError("Parquet needs pyarrow", "pip install 'dataplatform[parquet]', or take the CSV")
    parts = parquet.parquet_parts(now.platform.engine, table, asked)
    first = next(
        parts
    )  # what cannot be written is told before the file begins; later it breaks off, unreadable
    return _file(
        chain([first], parts), f"{schema}.{_file_name(name)}.parquet", "application/vnd.apache.parquet"
    )


def _checked(now: Known, schema: str, name: str, asked: Asked) -> browse.TableAbout:
    """The table; what is wrong with what is asked is told before the file begins."""
    with connected(now.platform.engine) as conn:
        table = browse.about(conn, schema, name)
    browse.rows(now.platform.engine, table, replace(asked, limit=1))
    return table


def _file(parts: Iterable[str] | Iterable[bytes], name: str, kind: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(parts, media_type=kind, headers=headers)


def _file_name(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)


@router.get("/tables/{schema}/{name}")
def table_page(
    request: Request, who: Reader, now: Known, schema: str, name: str, f: Texts = None, o: Texts = None,
    v: Texts = None, sort: str = "", desc: int = 0, history: int = 0, skip: int = 0,
) -> Response:  # fmt: skip
    asked = asked_of(f, o, v, sort, desc, history, skip)
    with connected(now.platform.engine) as conn:
        table = browse.about(conn, schema, name)
    error, found = "", browse.TableRows((), (), False)
    try:
        found = browse.rows(now.platform.engine, table, asked)
    except DataplatformError as refused:
        error = str(refused)
    entity = _entity(now, schema, name)
    return render(
        request, "table.html", 400 if error else 200, table=table, asked=asked, rows=found, error=error, entity=entity,
        operators=OPERATORS, links=_links(asked, found), spare=Filter("", "contains"),
        model=now.platform.catalog.models.get(name) if schema == "gold" else None,
    )  # fmt: skip


def _entity(now: Known, schema: str, name: str) -> tuple[str, str] | None:
    """Source and entity whose own table that is."""
    if schema != "silver":
        return None
    sources = now.platform.catalog.sources.values()
    found = ((s.source, e) for s in sources for e in s.entities if f"{s.source}__{e}" == name)
    return next(found, None)


def _links(asked: Asked, found: browse.TableRows) -> dict[str, Any]:
    def link(**changes: Any) -> str:
        new = replace(asked, **changes)
        return "?" + urlencode(list(_parameters(new)))

    def sorted_by(column: str) -> str:
        return link(sort=column, descending=asked.sort == column and not asked.descending, skip=0)

    return {
        "sort": sorted_by,
        "next": link(skip=asked.skip + asked.limit) if found.more and asked.skip + asked.limit < browse.DEEPEST else "",
        "before": link(skip=max(asked.skip - asked.limit, 0)) if asked.skip else "",
        "csv": ".csv" + link(skip=0),
        "parquet": ".parquet" + link(skip=0) if parquet.can_write() else "",
        "history": link(history=not asked.history, skip=0),
        "without": [
            link(filters=(*asked.filters[:i], *asked.filters[i + 1 :]), skip=0) for i in range(len(asked.filters))
        ],
    }  # fmt: skip


def _parameters(asked: Asked) -> Iterable[tuple[str, str]]:
    for one in asked.filters:
        yield from (("f", one.column), ("o", one.operator), ("v", one.value))
    for name, value in (
        ("sort", asked.sort),
        ("desc", asked.descending),
        ("history", asked.history),
        ("skip", asked.skip),
    ):
        if value:
            yield name, str(int(value)) if not isinstance(value, str) else value


@router.get("/tables/{schema}/{name}/columns")
def columns(request: Request, who: Reader, now: Known, schema: str, name: str) -> Response:
    """Where the columns of a model come from; a part of its page."""
    with connected(now.platform.engine) as conn:
        known = browse.names(conn)
    found = columns_of(now.platform.catalog, name, known) if name in now.platform.catalog.models else ()
    return render(request, "part_columns.html", found=found)


@router.get("/tables/silver/{name}/records/{key}")
def record(request: Request, who: Reader, now: Known, name: str, key: str) -> Response:
    found = history(now.platform, f"silver.{name}", key)
    return render(request, "record.html", record=found, name=name, key=key)


@router.get("/tables/silver/{name}/records/{key}/raw")
def raw(request: Request, who: Reader, now: Known, name: str, key: str) -> Response:
    """Where the raw lines are: files are read for that, so it is asked for by itself."""
    return render(request, "part_raw.html", traced=trace(now.platform, f"silver.{name}", key))
