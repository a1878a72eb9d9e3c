"""The gallery: cards to choose from, one card with what it asks, and the source's text that the answers make."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from dataplatform.drafting import gallery
from dataplatform.drafting.gallery import Card
from dataplatform.errors import DataplatformError, MetadataError
from dataplatform.metadata import editing
from dataplatform.web.live import Now
from dataplatform.web.pages.editing import fresh, page
from dataplatform.web.render import render
from dataplatform.web.who import Admin, Known, LiveNow, form_of

router = APIRouter()
Posted = Annotated[FormData, Depends(form_of)]


def by_category(now: Now) -> dict[str, list[Card]]:
    """What is no card is left out: that is told where it is opened, and by `check`."""
    found = gallery.cards(*gallery.folders(now.platform.catalog.root))
    return {category: list(cards) for category, cards in groupby(found, key=lambda card: card.category)}


@router.get("/sources/add/gallery")
def cards(request: Request, who: Admin, now: Known, q: str = "") -> Response:
    words = q.lower().split()
    found = {
        category: [card for card in listed if all(word in _words(card) for word in words)]
        for category, listed in by_category(now).items()
    }
    return render(request, "gallery.html", found={c: listed for c, listed in found.items() if listed}, q=q)


def _words(card: Card) -> str:
    return f"{card.name} {card.title} {card.description} {card.category}".lower()


@router.get("/sources/add/gallery/{name}")
def card_page(request: Request, who: Admin, now: Known, name: str) -> Response:
    return _card(request, _named(now, name), {})


@router.post("/sources/add/gallery/{name}")
def filled(request: Request, who: Admin, live: LiveNow, now: Known, name: str, form: Posted) -> Response:
    """The text with the answers in it; secrets wait in memory until it is saved."""
    one = _named(now, name)
    said = {key.removeprefix("ask:"): str(value) for key, value in form.items() if key.startswith("ask:")}
    source = str(form.get("source", "")).strip() or one.name
    try:
        editing.source_file(now.platform.catalog.root, source)
        if editing.source_text(now.platform.catalog.root, source):
            raise MetadataError(f"there is a source {source} already", "give this one another name")
        answers = gallery.answered(one, said)
    except DataplatformError as error:
        return _card(request, one, {**said, "source": source}, error)
    draft = fresh(who, gallery.filled(one, source, answers))
    live.typed.add(who.name, draft.id, gallery.secrets_of(one, source, answers))
    return page(request, live, now, draft, notes={"": [f"needs: {one.needs}"]} if one.needs else {})


def _named(now: Now, name: str) -> Card:
    return gallery.card(name, *gallery.folders(now.platform.catalog.root))


def _card(
    request: Request, card: Card, said: dict[str, str], error: DataplatformError | None = None
) -> Response:
    """Secrets are asked for anew: no page sends them back."""
    plain = {ask.name: said.get(ask.name, ask.default) for ask in card.asks if not ask.secret}
    return render(
        request, "gallery_card.html", 400 if error else 200, card=card, said=plain,
        source=said.get("source", card.name),
        error=error.message if error else "", remedy=error.remedy if error else "",
    )  # fmt: skip
