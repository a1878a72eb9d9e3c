"""A new source: from a thing that a person has, by a form, or from the gallery; each leads to the page of its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from dataplatform.connectors.trying import FirstPage, first_pages
from dataplatform.drafting import fields, sources
from dataplatform.drafting.looking import looked_at
from dataplatform.drafting.text import as_yaml
from dataplatform.errors import DataplatformError, MetadataError
from dataplatform.metadata import editing
from dataplatform.metadata.kinds import KINDS, model_of
from dataplatform.metadata.source import Source
from dataplatform.reading.first_page import MOST, requests_of
from dataplatform.web.live import Live, Now
from dataplatform.web.pages.editing import Draft, fresh, page
from dataplatform.web.pages.gallery import by_category
from dataplatform.web.pages.source_files import problems_of_new
from dataplatform.web.render import render
from dataplatform.web.typed import new_draft
from dataplatform.web.who import Admin, Known, LiveNow, Who, form_of

router = APIRouter()
Text = Annotated[str, Form()]
Posted = Annotated[FormData, Depends(form_of)]
ENTITIES = 20  # of a form: more are quicker to write than to click


@router.get("/sources/add")
def choose(request: Request, who: Admin, now: Known) -> Response:
    return _choose(request, now)


def _choose(
    request: Request, now: Now, given: str = "", name: str = "", error: DataplatformError | None = None
) -> Response:
    cards = [card for listed in by_category(now).values() for card in listed]
    return render(
        request, "source_add.html", 400 if error else 200, kinds=_kinds(), given=given, name=name, cards=len(cards),
        some=cards[:: max(1, len(cards) // 12)][:12],
        error=error.message if error else "", remedy=error.remedy if error else "",
    )  # fmt: skip


def _kinds() -> dict[str, str]:
    """What each kind is, in its model's own words."""
    found: dict[str, Any] = {kind: model_of(kind).model_fields["connector"].annotation for kind in KINDS}
    return {kind: str(model.__doc__ or "").split("\n")[0].rstrip(".") for kind, model in found.items()}


@router.post("/sources/add/draft")
def draft(
    request: Request, who: Admin, live: LiveNow, now: Known, given: Text = "", name: Text = "",
    header: Text = "",
) -> Response:  # fmt: skip
    """From a file, a folder, an address or a database, which are looked at; nothing is written."""
    try:
        if not given.strip():
            raise MetadataError("say what there is", "a file, a folder, a URL, or a database's URL")
        made = sources.draft(given.strip(), name.strip(), [header.strip()] if header.strip() else ())
        if editing.source_text(now.platform.catalog.root, made.name):
            raise MetadataError(f"there is a source {made.name} already", "give this one another name")
        document, notes = _looked_at(now, made)
    except DataplatformError as error:
        return _choose(request, now, "" if sources.tells_secret(given) else given, name, error)
    one = fresh(who, as_yaml(document))
    live.typed.add(who.name, one.id, made.secrets)
    return page(request, live, now, one, notes=notes)


def _looked_at(now: Now, made: sources.Draft) -> tuple[dict[str, Any], dict[str, list[str]]]:
    platform = now.platform

    def look(source: Source, names: Sequence[str]) -> Mapping[str, FirstPage]:
        requests = requests_of(platform, source, made.secrets, names)
        return first_pages(source, requests, platform.settings.connectors)

    return looked_at(made, editing.source_file(platform.catalog.root, made.name), look, MOST)


@router.get("/sources/add/form")
def form_page(request: Request, who: Admin, now: Known, kind: str = "files") -> Response:
    return _form(request, _known(kind), {}, 1, new_draft(), {}, {})


@router.post("/sources/add/form")
def form_sent(request: Request, who: Admin, live: LiveNow, now: Known, form: Posted) -> Response:
    """Shows the fields that follow from a choice, one entity more, or the text that it makes."""
    values = {key: str(value) for key, value in form.items()}
    kind, do = _known(values.get("kind", "")), values.get("do", "draft")
    count = min(max(_number(values.get("count", "")), 1), ENTITIES)
    one = Draft("", "", editing.digest(""), values.get("draft", "") or new_draft(), who.name)
    typed = _typed(live, who, one.id, kind, values, count)
    made = fields.filled(kind, values, count, typed)
    if do != "draft":
        more = 1 if do == "more" and count < ENTITIES else 0
        return _form(request, kind, values, count + more, one.id, typed, {})
    text = as_yaml(made.document)
    numbers = {values.get(f"entities.{n}.name", "").strip(): n for n in range(count)}
    found = problems_of_new(now.platform.catalog.root, text)
    wrong = {p.path or "source": p.message + (f"; legal: {p.legal}" if p.legal else "") for p in found}
    problems = {**fields.by_field(wrong, numbers), **made.problems}
    if problems:
        return _form(request, kind, values, count, one.id, typed, problems)
    live.typed.add(who.name, one.id, made.secrets)
    return page(request, live, now, Draft("", text, one.seen, one.id, who.name))


def _typed(
    live: Live, who: Who, draft: str, kind: str, values: Mapping[str, str], count: int
) -> dict[str, str]:
    """Secrets by the name of their field: a page never sends back what was typed, so it is kept here."""
    names = [f.name for f in fields.connector_fields(kind, values) if f.kind == "secret"]
    names += [
        f.name for n in range(count) for f in fields.entity_fields(kind, n, values) if f.kind == "secret"
    ]
    own = f"form:{draft}"
    live.typed.add(who.name, own, {name: values[name] for name in names if values.get(name)})
    return live.typed.of(who.name, own)


def _form(
    request: Request,
    kind: str,
    values: Mapping[str, str],
    count: int,
    draft: str,
    typed: Mapping[str, str],
    problems: Mapping[str, str],
) -> Response:
    listed = [fields.entity_fields(kind, number, values) for number in range(count)]
    known = {f.name for f in fields.connector_fields(kind, values)} | {f.name for one in listed for f in one}
    known |= {"source", "description", "every", "cron", "timezone"}
    known |= {f"entities.{number}.name" for number in range(count)}
    return render(
        request, "source_form.html", 400 if problems else 200, kind=kind, values=values, count=count, draft=draft,
        connector=fields.connector_fields(kind, values), entities=listed, typed=set(typed), problems=problems,
        others={path: text for path, text in problems.items() if path not in known}, about=_kinds()[kind],
    )  # fmt: skip


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise MetadataError(f"there is no kind {kind!r} of connector", f"legal: {', '.join(KINDS)}")
    return kind


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 4 else 1
