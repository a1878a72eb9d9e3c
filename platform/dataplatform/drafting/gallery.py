"""The gallery: sources that somebody has written already, each with what it asks of a person before it can run.

A file of it, `metadata/gallery/NAME.yaml`, is two YAML documents: the card, and the source's file as it will be. In
that, `<<name>>` stands, within double quotes, for what is asked; `<<source>>` for the name that the source gets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from dataplatform import project
from dataplatform.errors import MetadataError
from dataplatform.metadata.base import Metadata
from dataplatform.metadata.catalog import source_of
from dataplatform.metadata.problem import Problem
from dataplatform.metadata.yaml_file import YamlError, parse
from dataplatform.names import NAME_PATTERN

_PLACE = re.compile(r"<<(\w+)>>")


class Ask(Metadata):
    """One thing that a person has to say."""

    name: str = Field(pattern=r"^\w+$", description="`<<name>>` in the source stands for it.")
    question: str = Field(description="What is asked, such as `Address of your server`.")
    default: str = Field(default="", description="What counts where nothing is said.")
    secret: bool = Field(
        default=False,
        description="Whether it goes to the secret store, as `SOURCE/name`, and not into the file.",
    )


class CardText(Metadata):
    """The first document of a file: what a person wants to know before."""

    title: str = Field(description="What it is called by those who made it.")
    description: str = Field(description="What comes of it, in a sentence.")
    category: str = Field(description="Where it stands in the list.")
    docs: str = Field(description="Address of the API's documentation that it was written from.")
    checked: date = Field(description="When it was last compared with that.")
    needs: str = Field(
        default="", description="The plan or the token that it takes, and where one gets that."
    )
    asks: tuple[Ask, ...] = Field(default=(), description="What a person is asked.")


class Card(CardText):
    """A card with its name, which is the file's, and the text of the source."""

    name: str = Field(pattern=NAME_PATTERN, description="Its name.")
    text: str = Field(description="The second document.")

    @model_validator(mode="after")
    def _asked(self) -> Card:
        known = {"source", *(ask.name for ask in self.asks)}
        unknown = sorted(set(_PLACE.findall(self.text)) - known)
        if unknown:
            raise ValueError(f"<<{unknown[0]}>> is not asked for; there are: {', '.join(sorted(known))}")
        return self


def folders(metadata: Path) -> list[Path]:
    """Where cards are looked for: a person's own come before those that the platform brings."""
    return list(dict.fromkeys([metadata / "gallery", project.base() / "metadata" / "gallery"]))


def cards(*places: Path) -> list[Card]:
    """All cards of the folders, by category and title; the first of a name counts. `check` tells of broken ones."""
    found: dict[str, Card] = {}
    for path in (p for place in places for p in sorted(place.glob("*.yaml"))):
        if path.stem not in found:
            with suppress(MetadataError):
                found[path.stem] = read_card(path)
    return sorted(found.values(), key=lambda card: (card.category, card.title.lower()))


def card(name: str, *places: Path) -> Card:
    """The card of that name. Raises MetadataError where there is none."""
    for place in places:
        if re.fullmatch(NAME_PATTERN, name) and (place / f"{name}.yaml").is_file():
            return read_card(place / f"{name}.yaml")
    known = ", ".join(sorted(p.stem for place in places for p in place.glob("*.yaml")))
    raise MetadataError(f"there is no {name!r} in the gallery", f"it has: {known}")


def read_card(path: Path) -> Card:
    """Raises MetadataError, with file and line, for what is no card."""
    found = _card_or_problem(path)
    if isinstance(found, Problem):
        raise MetadataError(str(found), "docs/sources/gallery.md shows a card")
    return found


def _card_or_problem(path: Path) -> Card | Problem:
    try:
        whole = path.read_text("utf-8-sig").removeprefix("---\n") + "\n"
        head, _, text = whole.partition("\n---\n")
        document = parse(head)
        if not isinstance(document.data, dict):
            return Problem(str(path), 1, "", "the card is no mapping, such as `title: …`")
        return Card.model_validate({**document.data, "name": path.stem, "text": text})
    except (OSError, UnicodeDecodeError) as error:
        return Problem(str(path), 1, "", f"it cannot be read: {error}")
    except YamlError as error:
        return Problem(str(path), error.line, "", error.message)
    except ValidationError as error:
        first = error.errors()[0]
        return Problem(str(path), document.line(first["loc"]), ".".join(map(str, first["loc"])), first["msg"])


def problems_in(folder: Path) -> list[Problem]:
    """What is wrong in the cards of a folder; their sources are read with answers made up."""
    return [problem for path in sorted(folder.glob("*.yaml")) for problem in _problems(path)]


def _problems(path: Path) -> list[Problem]:
    found = _card_or_problem(path)
    if isinstance(found, Problem):
        return [found]
    whole, text = path.read_text("utf-8-sig"), found.text.strip("\n")
    first, lines = whole[: whole.rindex(text)].count("\n"), text.splitlines()
    answers = {
        ask.name: ask.default or ("https://example.org" if ask.name == "url" else "x") for ask in found.asks
    }
    problems: list[Problem] = []
    source_of(filled(found, found.name, answers), path, problems)
    problems = [replace(problem, line=problem.line + first) for problem in problems]
    return problems + [
        Problem(
            str(path), first + lines.index(line) + 1, "", 'an answer stands within double quotes: "<<name>>"'
        )
        for line in outside_quotes(found.text)
    ]


def answered(card: Card, given: Mapping[str, str]) -> dict[str, str]:
    """What was said, with defaults. Raises MetadataError for what is not asked, and for what is missing."""
    unknown = sorted(set(given) - {ask.name for ask in card.asks})
    if unknown:
        known = ", ".join(ask.name for ask in card.asks) or "nothing"
        raise MetadataError(f"{card.name} does not ask for {unknown[0]!r}", f"it asks for: {known}")
    found = {ask.name: given.get(ask.name, "").strip() or ask.default for ask in card.asks}
    missing = [ask for ask in card.asks if not found[ask.name]]
    if missing:
        more = ", ".join(f"{ask.name} ({ask.question})" for ask in missing)
        raise MetadataError(
            f"{card.name} needs to know: {more}", card.needs or "say it with --set NAME=VALUE"
        )
    return found


def filled(card: Card, source: str, answers: Mapping[str, str]) -> str:
    """The source's file. Secrets are only named in it: `secrets_of` has their values."""
    said = {ask.name: answers[ask.name].rstrip("/") if ask.name == "url" else answers[ask.name]
            for ask in card.asks if not ask.secret}  # fmt: skip
    values = {
        **said,
        "source": source,
        **{ask.name: f"{source}/{ask.name}" for ask in card.asks if ask.secret},
    }
    return _PLACE.sub(
        lambda found: json.dumps(values[found[1]], ensure_ascii=False)[1:-1], card.text.lstrip("\n")
    )


def secrets_of(card: Card, source: str, answers: Mapping[str, str]) -> dict[str, str]:
    """Values for the secret store, by the names that the file has."""
    return {f"{source}/{ask.name}": answers[ask.name] for ask in card.asks if ask.secret}


def outside_quotes(text: str) -> Iterable[str]:
    """Lines in which `<<name>>` stands outside double quotes, where an answer could end the value."""
    for line in text.splitlines():
        if _PLACE.search(re.sub(r'"[^"]*"', "", line.partition(" # ")[0])):
            yield line
