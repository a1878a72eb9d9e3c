"""SQL: a question to gold and silver, its answer as a table and a curve; kept as a model of gold."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

import orjson
import yaml
from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from dataplatform.auto_dw.said.in_words import sql_for, told
from dataplatform.errors import DataplatformError, MetadataError
from dataplatform.layers.gold.lineage import lineage
from dataplatform.metadata import editing
from dataplatform.metadata.catalog import model_of_text
from dataplatform.metadata.problem import Problem
from dataplatform.names import entity_table
from dataplatform.names import plain as column_plain
from dataplatform.reading import browse
from dataplatform.reading.reader import Answer, ask
from dataplatform.storage.postgres import connected
from dataplatform.web.graph import bars
from dataplatform.web.render import render
from dataplatform.web.who import Actor, Admin, Known, Reader

router = APIRouter()
Text = Annotated[str, Form()]
BARS = 30


@router.get("/sql")
def page(request: Request, who: Reader, q: str = "") -> Response:
    return _page(request, q, None, "")


@router.post("/sql")
def asked(request: Request, who: Reader, now: Known, q: Text = "") -> Response:
    try:
        return _page(request, q, ask(now.platform.engine, now.platform.settings, q), "")
    except DataplatformError as error:
        return _page(request, q, None, str(error))


def _page(request: Request, q: str, answer: Answer | None, error: str, words: str = "") -> Response:
    curve, chart = _drawn(answer) if answer else (None, "")
    return render(
        request, "sql.html", 400 if error else 200, q=q, answer=answer, error=error, curve=curve, chart=chart,
        words=words, llm=bool(request.app.state.live.settings.llm_url),
    )  # fmt: skip


@router.post("/sql/words")
def in_words(request: Request, who: Actor, now: Known, words: Text = "") -> Response:
    """The LLM writes the SQL; it is shown, and a person asks it. Private columns are not told to the LLM."""
    with connected(now.platform.engine) as conn:
        tables = told(_not_private(now, browse.described(conn)))
    try:
        return _page(request, sql_for(now.platform.settings, words, tables), None, "", words)
    except DataplatformError as error:
        return _page(request, "", None, str(error), words)


def _not_private(now: Known, tables: dict[str, tuple[str, list[tuple[str, str, str]]]]) -> dict[str, Any]:
    """Without the columns that metadata say are sensitive."""
    private = {
        (f"silver_current.{entity_table(source.source, name)}", column_plain(path))
        for source in now.platform.catalog.sources.values()
        for name, entity in source.entities.items()
        for path, column in entity.columns.items()
        if column.sensitive
    }
    return {
        table: (text, [column for column in columns if (table, column[0]) not in private])
        for table, (text, columns) in tables.items()
    }


@router.post("/sql/csv")
def download(who: Reader, now: Known, q: Text) -> Response:
    found = ask(now.platform.engine, now.platform.settings, q, 100_000)
    text = browse.csv_text(found.columns, found.rows)
    headers = {"Content-Disposition": 'attachment; filename="query.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/sql/names")
def names(who: Reader, now: Known) -> Response:
    """Tables and their columns, for the completion."""
    with connected(now.platform.engine) as conn:
        found = browse.names(conn)
    return Response(orjson.dumps(found), media_type="application/json")


@router.post("/sql/save")
def save(request: Request, who: Admin, now: Known, q: Text, name: Text, description: Text = "") -> Response:
    """A new file in metadata/gold; the next build makes its table."""
    header: dict[str, Any] = {"description": description.strip(), "materialized": "table"}
    if "*/" in description:
        raise MetadataError("a description cannot hold */: it ends the header", "write it otherwise")
    head = yaml.safe_dump(header, allow_unicode=True, sort_keys=False, width=110)
    text = f"/*\n{head}*/\n{_plain(q)}\n"
    root, problems = now.platform.catalog.root, list[Problem]()
    model = model_of_text(text, editing.model_file(root, name.strip()), problems)
    if model is None:
        raise MetadataError("\n".join(map(str, problems)), "nothing was written")
    lineage(model)  # raises ModelError where it is not one SELECT
    editing.save_model(root, name.strip(), text)
    return RedirectResponse("/", 303)


def _plain(query: str) -> str:
    return re.sub(r"\r\n?", "\n", query).strip().rstrip(";").strip()


def _drawn(answer: Answer) -> tuple[dict[str, Any] | None, Any]:
    """A curve where the first column is a time, bars where it is a text; with the numbers beside it."""
    if len(answer.columns) < 2 or len(answer.rows) < 2:
        return None, ""
    firsts = [row[0] for row in answer.rows]
    numbers = [
        i
        for i in range(1, len(answer.columns))
        if all(_is_number(row[i]) or row[i] is None for row in answer.rows)
    ][:4]
    if not numbers:
        return None, ""
    if all(isinstance(v, date) for v in firsts):
        rows = sorted(answer.rows, key=lambda row: _stamp(row[0]))
        series = [
            {
                "label": answer.columns[i],
                "values": [None if row[i] is None else float(row[i]) for row in rows],
            }
            for i in numbers
        ]
        return {"times": [_stamp(row[0]) for row in rows], "series": series}, ""
    if len(firsts) <= BARS and all(isinstance(v, str) for v in firsts):
        values = [float(row[numbers[0]] or 0) for row in answer.rows]
        return None, Markup(bars(firsts, values, f"{answer.columns[numbers[0]]} by {answer.columns[0]}"))
    return None, ""


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float | Decimal) and not isinstance(value, bool) and abs(float(value)) < 1e300
    )


def _stamp(value: date) -> float:
    from datetime import UTC

    at = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
