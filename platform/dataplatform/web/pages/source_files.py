"""Sources' files: a new one from a template, and changes to one that is there."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from dataplatform.errors import MetadataError
from dataplatform.metadata import editing
from dataplatform.metadata.catalog import source_of
from dataplatform.metadata.problem import Problem
from dataplatform.metadata.yaml_file import YamlError, parse
from dataplatform.reading.first_page import FirstPage, first_pages
from dataplatform.web.live import Now
from dataplatform.web.render import render
from dataplatform.web.who import Admin, Known

router = APIRouter()
Text = Annotated[str, Form()]
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
def new(request: Request, who: Admin, now: Known, kind: str = "files") -> Response:
    text = TEMPLATES.get(kind, TEMPLATES["files"])
    return _page(request, "", text, editing.digest(""), [])


@router.post("/sources/new")
def save_new(
    request: Request, who: Admin, now: Known, text: Text = "", seen: Text = "", do: Text = "save"
) -> Response:
    root, name = now.platform.catalog.root, named_in(text)
    try:
        if not name:
            problems = [Problem("", 1, "source", "say what the source is called: `source: name`")]
        elif editing.source_text(root, name):
            problems = [Problem("", _line(text), "source", f"there is a source {name} already")]
        else:
            problems = editing.problems_of_source(root, name, text)
    except MetadataError as error:
        problems = [Problem("", _line(text), "source", error.message, legal=error.remedy)]
    if problems or do != "save":
        tried = _tried(now, name, text) if do == "try" and not problems else None
        return _page(request, "", text, editing.digest(""), problems, True, tried)
    editing.save_source(root, name, text, editing.digest(""))
    return RedirectResponse(f"/sources/{name}", 303)


@router.get("/sources/{name}/edit")
def edit(request: Request, who: Admin, now: Known, name: str) -> Response:
    text = editing.source_text(now.platform.catalog.root, name)
    if not text:
        raise MetadataError(f"there is no source {name}", "add it")
    return _page(request, name, text, editing.digest(text), [])


@router.post("/sources/{name}/edit")
def save(
    request: Request, who: Admin, now: Known, name: str, text: Text = "", seen: Text = "", do: Text = "save"
) -> Response:
    root = now.platform.catalog.root
    problems = editing.problems_of_source(root, name, text)
    if problems or do != "save":
        tried = _tried(now, name, text) if do == "try" and not problems else None
        return _page(request, name, text, seen, problems, True, tried)
    try:
        editing.save_source(root, name, text, seen)
    except MetadataError as error:
        return _page(
            request, name, text, seen, [Problem("", 0, "", error.message, legal=error.remedy)], checked=True
        )
    return RedirectResponse(f"/sources/{name}", 303)


def _page(
    request: Request,
    name: str,
    text: str,
    seen: str,
    problems: list[Problem],
    checked: bool = False,
    tried: list[FirstPage] | None = None,
) -> Response:
    told = [{"line": p.line, "text": _told(p)} for p in problems]
    return render(
        request, "source_edit.html", 400 if problems else 200, new=not name, name=name, text=text, seen=seen,
        problems=told, checked=checked, kinds=list(TEMPLATES), tried=tried,
        file=f"metadata/sources/{name or named_in(text) or 'NAME'}.yaml",
    )  # fmt: skip


def _tried(now: Now, name: str, text: str) -> list[FirstPage]:
    """The first page of each entity of a text that is right."""
    source = source_of(text.replace("\r\n", "\n"), editing.source_file(now.platform.catalog.root, name), [])
    return first_pages(now.platform, source) if source is not None else []


def _told(problem: Problem) -> str:
    return str(problem).removeprefix(f"{problem.file}:{problem.line}: ")


def named_in(text: str) -> str:
    """What a text says that its source is called; empty where it does not."""
    try:
        data = parse(text).data
    except YamlError:
        found = re.search(r"^source:\s*([^\s#]+)", text, re.M)
        return found[1] if found else ""
    name = data.get("source") if isinstance(data, dict) else None
    return name if isinstance(name, str) else ""


def _line(text: str) -> int:
    try:
        return parse(text).line(("source",))
    except YamlError:
        return 1
