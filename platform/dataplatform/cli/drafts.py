"""`dataplatform new source` and `infer`: a source's file, or keys and columns, drafted from what there is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dataplatform.cli import gallery
from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.drafting.proposals import proposal
from dataplatform.drafting.sources import Draft, draft
from dataplatform.drafting.text import as_source, as_yaml, of_changes
from dataplatform.errors import MetadataError
from dataplatform.metadata import editing, load_catalog
from dataplatform.settings import Settings, load_settings


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
    file = editing.source_file(settings.metadata_path, made.name)
    if file.exists() and not stdout:
        raise MetadataError(f"{file} is there already", "choose another --name, or edit that one")
    found, notes = _looked_at(settings, made, file)
    text = as_yaml(found)
    as_source(text, file)
    if not stdout:
        gallery.save(settings, made.name, text, made.secrets)
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


def _looked_at(settings: Settings, made: Draft, file: Path) -> tuple[dict[str, Any], dict[str, list[str]]]:
    from dataplatform.cli.trying import try_source
    from dataplatform.drafting.looking import looked_at

    catalog = load_catalog(settings.metadata_path)
    return looked_at(
        made, file, lambda source, names: try_source(settings, catalog, source, names, made.secrets)
    )


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
            notes = [*made.notes, *of_changes(known, made)]
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
