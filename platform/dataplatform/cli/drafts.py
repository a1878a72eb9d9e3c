"""`dataplatform new source` and `infer`: a source's file, or keys and columns, drafted from what there is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dataplatform.cli import gallery
from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.connectors.contract import Records
from dataplatform.drafting.proposals import Proposal, proposal, records_path
from dataplatform.drafting.sources import Draft, draft
from dataplatform.drafting.text import as_yaml
from dataplatform.errors import MetadataError
from dataplatform.metadata import Problem, Source, load_catalog
from dataplatform.metadata.catalog import source_of
from dataplatform.metadata.paths import records_in
from dataplatform.settings import Settings, load_settings

TRIED = 20  # entities of which a first page is asked for


@command
def source(
    given: Annotated[
        str,
        typer.Argument(
            help="A file, folder, pattern, URL of an API, or a database's URL; with --from the name."
        ),
    ] = "",
    from_: Annotated[str, typer.Option("--from", help="One of the gallery, such as github.")] = "",
    list_: Annotated[bool, typer.Option("--list", help="What the gallery has.")] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE: an answer to what --from asks; may be repeated."),
    ] = None,
    no_try: Annotated[
        bool, typer.Option("--no-try", help="--from: write it without asking the server.")
    ] = False,
    name: Annotated[str, typer.Option(help="Of the source; else after what is given.")] = "",
    header: Annotated[
        list[str] | None,
        typer.Option(
            help="URL: a header such as 'X-Api-Key: …' or 'Authorization: Bearer …'; may be repeated."
        ),
    ] = None,
    stdout: Annotated[
        bool, typer.Option("--stdout", help="Print the file; write nothing, keep no secret.")
    ] = False,
    json_: Json = False,
) -> None:
    """Drafts a source's YAML from files, an API or a database: looks at it, proposes keys, columns and lists.

    Or takes one of the gallery, asks for what it needs and tries it. A password or token in what is given goes into
    the local secret store, and its name into the file."""
    settings = load_settings()
    if list_:
        gallery.show_list(settings, json_)
        return
    if from_:
        gallery.from_gallery(settings, from_, name or given, set_ or (), not no_try, json_)
        return
    if not given:
        raise MetadataError(
            "there is nothing to draft from",
            "name a file, an address or a database; or see --list and --from",
        )
    _drafted(settings, draft(given, name, header or ()), stdout, json_)


def _drafted(settings: Settings, made: Draft, stdout: bool, json_: bool) -> None:
    """Looks at it, and writes or prints the file."""
    file = settings.metadata_path / "sources" / f"{made.name}.yaml"
    if file.exists() and not stdout:
        raise MetadataError(f"{file} is there already", "choose another --name, or edit that one")
    (settings.metadata_path / "sources").mkdir(parents=True, exist_ok=True)
    if made.secrets and not stdout:
        _keep(settings, made)
    found, notes = _looked_at(settings, made, file)
    text = as_yaml(found)
    _parsed(text, file)
    if not stdout:
        file.write_text(text, "utf-8")
    if json_:
        where = None if stdout else str(file)
        print_json({"status": "done", "source": made.name, "file": where, "text": text, "notes": notes,
                    "secrets": sorted(made.secrets)})  # fmt: skip
        return
    if stdout:
        sys.stdout.write(text)
        return
    out.print(f"{file}:\n", markup=False, soft_wrap=True)
    out.print(text, markup=False, highlight=False, soft_wrap=True)
    _tell(notes)
    for secret in made.secrets:
        out.print(f"the secret {secret} is in the local store", markup=False)
    out.print(f"\nnext: dataplatform run {made.name} --dry, then without --dry", markup=False)


def _keep(settings: Settings, made: Draft) -> None:
    from dataplatform.embedded.private import make_private
    from dataplatform.secrets.local import LocalStore

    make_private(settings.home_path)
    LocalStore(settings.home_path).update(made.secrets)


def _looked_at(settings: Settings, made: Draft, file: Path) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The document with what the first pages propose, and notes by entity."""
    from dataplatform.cli.trying import try_source
    from dataplatform.layers.bronze.scrub import records_of
    from dataplatform.layers.raw.landing import header_of

    parsed, notes = _parsed(as_yaml(made.document), file), {"": list(made.notes)} if made.notes else {}
    names = list(parsed.entities)[:TRIED]
    pages = try_source(settings, load_catalog(settings.metadata_path), parsed, names)
    entities = {name: dict(about) for name, about in made.document["entities"].items()}
    for name, first in pages.items():
        if first.error is not None or first.page is None:
            notes[name] = [str(first.error) if first.error else "it gave no record"]
            continue
        header = _with_records(first.page, entities[name], header_of(first.page))
        items = records_of(header, list(first.page.data), parsed.entities[name])
        records = [item.doc for item in items if hasattr(item, "doc")]
        known = entities[name]["key"] if isinstance(entities[name]["key"], list) else ()
        known = known or (first.schema.key if first.schema else ())
        if records:
            found = proposal(records, known, name, first.page.textual)
            entities[name] |= found.as_entity()
            notes[name] = [*found.notes, *_of_changes(parsed, found), *_of_paging(parsed, len(records))]
    return {**made.document, "entities": entities}, notes


def _with_records(page: Records, entity: dict[str, Any], header: dict[str, Any]) -> dict[str, Any]:
    """The page's header with the path of its records, where a list lies deeper in the answer; the entity gets it."""
    if page.kind != "document" or page.records_path or "request" not in entity:
        return header
    document = json.loads(page.data[0])
    path = records_path(document)
    if "." not in path or records_in(document, None) != [document]:
        return header
    entity["request"] = {**entity["request"], "records": path}
    return {**header, "records_path": path}


_FULL = (10, 15, 20, 25, 30, 50, 100, 200, 250, 500, 1000)  # records of a page, as APIs like them


def _of_paging(parsed: Source, count: int) -> list[str]:
    if parsed.connector.type != "rest" or count not in _FULL:
        return []
    return [
        f"the first page has {count} records; if the API has more, see that `run` reads them all: "
        "`paginator: auto` knows many ways of paging, not all (docs/sources/rest.md)"
    ]


def _of_changes(parsed: Source, found: Proposal) -> list[str]:
    if found.changed is None or parsed.connector.type not in ("sql", "rest"):
        return []
    more = ", param: since" if parsed.connector.type == "rest" else ""
    return [
        f"{found.changed} looks like the time of the last change: to read only what changed, "
        f"`load: delta` and `cursor: {{field: {found.changed}{more}}}` (what is deleted is then not seen)"
    ]


def _parsed(text: str, file: Path) -> Source:
    problems: list[Problem] = []
    found = source_of(text, file, problems)
    if found is None:
        raise MetadataError(
            "\n".join(map(str, problems)), "this is a defect of dataplatform: please report it"
        )
    return found


def _tell(notes: dict[str, list[str]]) -> None:
    for name, said in notes.items():
        for one in said:
            out.print(f"{name}: {one}" if name else one, markup=False, highlight=False, soft_wrap=True)


@command
def infer(
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    entities: Annotated[list[str] | None, typer.Argument(help="Only these entities.")] = None,
    json_: Json = False,
) -> None:
    """Proposes keys, columns of dates and lists' keys for a source from the records that have landed.

    Nothing is written: copy what you agree with into the source's file."""
    from dataplatform.bootstrap import open_platform
    from dataplatform.reading.landed import landed_records
    from dataplatform.records.refs import EntityRef

    found: dict[str, Any] = {}
    with open_platform() as platform:
        known = platform.catalog.source(source)
        unknown = [name for name in entities or () if name not in known.entities]
        if unknown:
            there = ", ".join(known.entities)
            raise MetadataError(
                f"the source {source} has no entity {', '.join(unknown)}", f"its entities: {there}"
            )
        for name in entities or known.entities:
            records = landed_records(platform, EntityRef(source, name))
            made = proposal(records, (), name)
            now = list(known.entities[name].key)
            notes = [*made.notes, *_of_changes(known, made)]
            if list(made.key) != now:
                notes.append(f"its key is {', '.join(now) or 'row'} now; another one needs a replay")
            found[name] = {"proposal": made.as_entity(), "records": len(records), "notes": notes}
    if json_:
        print_json({"status": "done", "source": source, "entities": found})
        return
    out.print(
        as_yaml({"entities": {n: one["proposal"] for n, one in found.items()}}), markup=False, highlight=False
    )
    _tell({name: one["notes"] for name, one in found.items()})
