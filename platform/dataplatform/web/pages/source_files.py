"""Sources' files: a new one from a template, and changes to one that is there."""

from __future__ import annotations

from dataclasses import replace
from difflib import unified_diff
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from dataplatform.errors import MetadataError
from dataplatform.metadata import editing
from dataplatform.metadata.problem import Problem
from dataplatform.metadata.yaml_file import YamlError, parse
from dataplatform.web import earlier
from dataplatform.web.pages.editing import fresh, page, sent, worked
from dataplatform.web.who import Admin, Known, LiveNow, form_of

router = APIRouter()
Text = Annotated[str, Form()]
Posted = Annotated[FormData, Depends(form_of)]
TEMPLATES = {
    "files": """source: money
description: What the bank sends
connector: {type: files, path: /files/money}
triggers:
  - {type: interval, every: 1h}
entities:
  transactions:
    file: "*.csv"
    key: [id]
""",
    "rest": """source: github
description: My account
connector:
  type: rest
  base_url: https://api.github.com
  auth: {type: bearer, token: {secret: github/token}}
  paginator: {type: link_header}
triggers:
  - {type: cron, cron: "15 * * * *", timezone: Europe/Amsterdam}
entities:
  repos:
    request: {path: /user/repos, params: {per_page: 100}}
    key: [id]
""",
    "sql": """source: shop
description: The shop's database
connector: {type: sql, url: {secret: shop/url}}
triggers:
  - {type: interval, every: 6h}
entities:
  orders:
    table: orders
    key: [id]
""",
    "python": """source: mine
description: What connectors/mine.py extracts
connector: {type: python, module: mine}
entities:
  things:
    key: [id]
""",
}


@router.get("/sources/new")
def new(request: Request, who: Admin, live: LiveNow, now: Known, kind: str = "files") -> Response:
    text = TEMPLATES.get(kind, TEMPLATES["files"])
    return page(request, live, now, fresh(who, text))


@router.post("/sources/new")
def save_new(
    request: Request, who: Admin, live: LiveNow, now: Known, form: Posted, do: Text = "save"
) -> Response:
    draft = sent(who, form, live)
    draft = replace(draft, seen=editing.digest(""))
    return worked(request, live, now, draft, do, problems_of_new(now.platform.catalog.root, draft.text))


def problems_of_new(root: Path, text: str) -> list[Problem]:
    """What is wrong with a text as a source that is not there yet."""
    name = editing.named_in(text)
    try:
        if not name:
            return [Problem("", 1, "source", "say what the source is called: `source: name`")]
        if editing.source_text(root, name):
            return [Problem("", _line(text), "source", f"there is a source {name} already")]
        return editing.problems_of_source(root, name, text)
    except MetadataError as error:
        return [Problem("", _line(text), "source", error.message, legal=error.remedy)]


@router.get("/sources/{name}/edit")
def edit(request: Request, who: Admin, live: LiveNow, now: Known, name: str) -> Response:
    text = editing.source_text(now.platform.catalog.root, name)
    if not text:
        raise MetadataError(f"there is no source {name}", "add it")
    return page(request, live, now, fresh(who, text, name))


@router.get("/sources/{name}/edit/earlier/{id_}")
def edit_earlier(request: Request, who: Admin, live: LiveNow, now: Known, name: str, id_: str) -> Response:
    """An earlier text in the editor, and what would change; nothing is written before it is saved."""
    text = editing.source_text(now.platform.catalog.root, name)
    before = earlier.text_of(now.platform.settings.home_path, name, id_) if text else None
    if before is None:
        raise MetadataError(f"there is no such earlier text of {name}", "see the list on its page")
    draft = replace(fresh(who, before, name), seen=editing.digest(text))
    lines = unified_diff(text.splitlines(), before.splitlines(), "now", "then", lineterm="")
    return page(request, live, now, draft, diff=list(lines))


@router.post("/sources/{name}/edit")
def save(
    request: Request, who: Admin, live: LiveNow, now: Known, name: str, form: Posted, do: Text = "save"
) -> Response:
    draft = sent(who, form, live, name)
    problems = editing.problems_of_source(now.platform.catalog.root, name, draft.text)
    return worked(request, live, now, draft, do, problems)


def _line(text: str) -> int:
    try:
        return parse(text).line(("source",))
    except YamlError:
        return 1
