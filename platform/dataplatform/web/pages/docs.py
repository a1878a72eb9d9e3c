"""Help: the pages of docs/, as they are in this release, without a network."""

from __future__ import annotations

import itertools
import re
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markdown_it import MarkdownIt
from markupsafe import Markup

from dataplatform import project
from dataplatform.errors import MetadataError
from dataplatform.web.render import render
from dataplatform.web.who import Reader

router = APIRouter()


@cache
def pages() -> dict[str, Path]:
    """Every page by its name: `silver`, `adr/0001-…`. What is asked for is looked up here, so it leads nowhere else."""
    folder = project.base() / "docs"
    return {p.relative_to(folder).with_suffix("").as_posix(): p for p in sorted(folder.rglob("*.md"))}


@cache
def title(name: str) -> str:
    first = next(
        (line for line in pages()[name].read_text("utf-8").splitlines() if line.startswith("# ")), name
    )
    return first.removeprefix("# ").strip()


@router.get("/help")
def index(request: Request, who: Reader) -> Response:
    names = list(pages())
    return render(
        request, "help.html", pages=[(n, title(n)) for n in names if not n.startswith("adr/")],
        decisions=[(n, title(n)) for n in names if n.startswith("adr/")], body="", name="",
    )  # fmt: skip


@router.get("/help/{name:path}")
def page(request: Request, who: Reader, name: str) -> Response:
    name = name.removesuffix(".md")
    if name not in pages():
        raise MetadataError(f"there is no page {name!r}", "see the list of pages")
    body = Markup(_html(name))  # made of a page of ours by a renderer that lets no HTML through
    return render(request, "help.html", pages=[], decisions=[], body=body, name=title(name))


@cache
def _html(name: str) -> str:
    text = MarkdownIt("commonmark", {"html": False}).enable("table").render(pages()[name].read_text("utf-8"))
    text = re.sub(r"<(h[1-4])>(.*?)</\1>", _with_anchor, text)
    text = re.sub(r'href="([^"]+)"', lambda found: f'href="{_there(name, found[1])}"', text)
    text = text.replace("<pre>", '<pre tabindex="0">')
    text = re.sub(r'<img src="[^"]*" alt="([^"]*)"[^>]*>', r"<em>\1</em>", text)
    numbers = itertools.count(1)
    text = re.sub("<table>", lambda _: _OPENED.format(number=next(numbers)), text)
    return text.replace("</table>", "</table></div>")


_OPENED = '<div class="wide" role="region" aria-label="Table {number}" tabindex="0"><table class="dense">'


def _with_anchor(found: re.Match[str]) -> str:
    plain = re.sub(r"<[^>]+>", "", found[2]).lower()
    anchor = re.sub(r"[^\w -]", "", plain).strip().replace(" ", "-")
    return f'<{found[1]} id="{anchor}">{found[2]}</{found[1]}>'


def _there(name: str, href: str) -> str:
    """A page beside this one is a page of Help; what lies elsewhere stays what it is."""
    if href.startswith(("http:", "https:", "#")):
        return href
    path, _, anchor = href.partition("#")
    beside = (Path("/") / Path(name).parent / path).as_posix()
    parts: list[str] = []
    for part in beside.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", ".", ".."):
            parts.append(part)
    target = "/".join(parts).removesuffix(".md")
    return f"/help/{target}{'#' if anchor else ''}{anchor}" if target in pages() else "/help"
