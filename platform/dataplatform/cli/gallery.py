"""`dataplatform new source --list` and `--from`: what the gallery has, and one of it put into place."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from dataplatform.cli.common import out, print_json
from dataplatform.drafting import gallery
from dataplatform.drafting.gallery import Card
from dataplatform.errors import MetadataError, TransientError
from dataplatform.metadata import Problem, Source, editing, load_catalog
from dataplatform.metadata.catalog import source_of
from dataplatform.secrets.local import LocalStore
from dataplatform.settings import Settings


def show_list(settings: Settings, json_: bool) -> None:
    """All cards."""
    found = gallery.cards(*gallery.folders(settings.metadata_path))
    if json_:
        print_json(
            {"status": "done", "gallery": [c.model_dump(mode="json", exclude={"text"}) for c in found]}
        )
        return
    table = Table(box=None)
    for column in ("name", "what it is", "what comes of it", "checked", "needs"):
        table.add_column(column, overflow="fold")
    for card in found:
        table.add_row(card.name, card.title, card.description, str(card.checked), card.needs)
    out.print(table)
    out.print("\nnext: dataplatform new source NAME --from one of them", markup=False)


def from_gallery(
    settings: Settings, card_name: str, name: str, said: Sequence[str], tried: bool, json_: bool
) -> None:
    """Asks for what is needed, tries it, shows the first page, writes the file. What fails leaves nothing behind."""
    card = gallery.card(card_name, *gallery.folders(settings.metadata_path))
    name = name or card.name
    file = editing.source_file(settings.metadata_path, name)
    if file.exists():
        raise MetadataError(
            f"{file} is there already", "choose another name: dataplatform new source NAME --from …"
        )
    kept = LocalStore(settings.home_path).read()
    answers = _answers(card, name, _pairs(said), kept, ask=not json_ and sys.stdin.isatty())
    text = gallery.filled(card, name, answers)
    source = _parsed(text, file)
    secrets = gallery.secrets_of(card, name, answers)
    new = {key: value for key, value in secrets.items() if kept.get(key) != value}
    pages = _first_pages(settings, source, secrets) if tried and not _connects(source) else {}
    _refuse_failed(card, name, pages)
    save(settings, name, text, new)
    _told(card, source, file, pages, sorted(new), json_)


def _refuse_failed(card: Card, name: str, pages: Mapping[str, Any]) -> None:
    failed = [one["error"] for one in pages.values() if "error" in one]
    if pages and len(failed) == len(pages):
        raise MetadataError(
            f"{name} cannot be read, so nothing was written: {failed[0]}",
            f"{card.needs or 'look at what you answered'}; without a try: --no-try",
        )


def _pairs(said: Sequence[str]) -> dict[str, str]:
    wrong = [one for one in said if "=" not in one]
    if wrong:
        raise MetadataError(f"--set {wrong[0]} says no value", "write --set NAME=VALUE")
    return dict(one.split("=", 1) for one in said)


def _answers(
    card: Card, source: str, given: Mapping[str, str], kept: Mapping[str, str], ask: bool
) -> dict[str, str]:
    """What was said, else what the secret store has; what is missing then is asked for, where somebody sits there."""
    there = {
        a.name: kept[f"{source}/{a.name}"] for a in card.asks if a.secret and f"{source}/{a.name}" in kept
    }
    found = {**there, **given}
    if ask:
        if card.needs and any(a.name not in found for a in card.asks):
            out.print(card.needs, markup=False, highlight=False, soft_wrap=True)
        for one in card.asks:
            if one.name not in found:
                found[one.name] = typer.prompt(
                    one.question, default=one.default or None, hide_input=one.secret
                )
    return gallery.answered(card, found)


def _parsed(text: str, file: Path) -> Source:
    problems: list[Problem] = []
    found = source_of(text, file, problems)
    if found is None:
        raise MetadataError("\n".join(map(str, problems)), "correct what you answered")
    return found


def save(settings: Settings, name: str, text: str, secrets: Mapping[str, str]) -> None:
    """The new source's file, and what it names in the secret store; where the file cannot be written, neither."""
    from dataplatform.embedded.private import make_private

    store = LocalStore(settings.home_path)
    before = store.read()
    if secrets:
        make_private(settings.home_path)
        store.update(secrets)
    try:
        editing.save_source(settings.metadata_path, name, text, editing.digest(""))
    except BaseException:
        store.update({key: before[key] for key in secrets if key in before})
        for key in secrets.keys() - before.keys():
            store.delete(key)
        raise


def _connects(source: Source) -> bool:
    """Whether somebody has to say yes on the provider's page first."""
    auth = getattr(source.connector, "auth", None)
    return getattr(auth, "type", "") == "oauth2"


def _first_pages(settings: Settings, source: Source, typed: Mapping[str, str]) -> dict[str, Any]:
    """Of all entities; where the server is away, of the first alone: somebody waits."""
    from dataplatform.cli.trying import as_silver, try_source

    impatient = source.model_copy(
        update={"connector": source.connector.model_copy(update={"give_up": timedelta(seconds=5)})}
    )
    catalog, (first, *others) = load_catalog(settings.metadata_path), source.entities
    pages = try_source(settings, catalog, impatient, [first], typed)
    if others and not isinstance(pages[first].error, TransientError):
        pages |= try_source(settings, catalog, impatient, others, typed)
    return as_silver(source, pages)


def _told(
    card: Card, source: Source, file: Path, pages: Mapping[str, Any], secrets: list[str], json_: bool
) -> None:
    if json_:
        print_json({"status": "done", "source": source.source, "file": str(file), "from": card.name,
                    "secrets": secrets, "entities": pages})  # fmt: skip
        return
    from dataplatform.cli.trying import show_dry

    show_dry(source.source, dict(pages))
    for secret in secrets:
        out.print(f"the secret {secret} is in the local store", markup=False)
    first = f"dataplatform connect {source.source}, then " if _connects(source) else ""
    out.print(
        f"{file} is written; next: {first}dataplatform run {source.source}", markup=False, soft_wrap=True
    )
