"""`dataplatform check` and `schema`: is what a person wrote right?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.connectors.registry import extract_of, problems_of
from dataplatform.drafting.gallery import problems_in
from dataplatform.errors import DataplatformError, MetadataError, ModelError
from dataplatform.metadata import Catalog, Problem, read_catalog
from dataplatform.metadata.catalog import source_schema
from dataplatform.orchestration.blocks import known_secrets
from dataplatform.secrets.resolver import names_in
from dataplatform.settings import Settings, load_settings


@command
def check(
    connect: Annotated[
        bool,
        typer.Option(
            "--connect", help="Also ask every source for its first page: credentials, addresses, keys."
        ),
    ] = False,
    contract: Annotated[
        bool,
        typer.Option(
            "--contract",
            help="Also try whether every connector keeps the contract; reads each source thrice.",
        ),
    ] = False,
    json_: Json = False,
) -> None:
    """Checks metadata, connectors and secrets: every problem, with file and line."""
    settings = load_settings()
    catalog, problems = read_catalog(settings.metadata_path)
    notes = _left_over(settings, catalog)
    problems += (
        _secrets(settings, catalog) + _connectors(settings, catalog) + _gold(catalog) + _auto_dw(catalog)
    )
    problems += problems_in(settings.metadata_path / "gallery")
    if connect:
        problems += _tried(settings, catalog, notes)
    if contract:
        problems += _contract(settings, catalog)
    if json_:
        print_json(
            {
                "status": "failed" if problems else "done",
                "sources": sorted(catalog.sources),
                "models": sorted(catalog.models),
                "problems": [p.__dict__ for p in problems],
                "notes": notes,
            }
        )
    for problem in problems:
        err.print(str(problem), highlight=False, markup=False, soft_wrap=True)
    for note in notes:
        err.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)
    if not json_:
        out.print(f"[green]✓[/] {len(catalog.sources)} sources and {len(catalog.models)} gold models")


def _left_over(settings: Settings, catalog: Catalog) -> list[str]:
    """What was loaded and is named no more, where there is a database; a server that fails is `status`'s to tell."""
    if settings.postgres_url is None and not (settings.home_path / "postgres" / "data").is_dir():
        return []
    from dataplatform.bootstrap import (  # the drivers: only where something was loaded
        open_database,
    )
    from dataplatform.reading.leftover import left_over
    from dataplatform.storage.postgres import connected

    try:
        with open_database(settings) as engine, connected(engine) as conn:
            return [str(left) for left in left_over(conn, catalog)]
    except DataplatformError as error:
        return [f"what was loaded and is named no more is not known: {error.message}"]


def _file(catalog: Catalog, source: str) -> str:
    return str(catalog.root / "sources" / f"{source}.yaml")


def _secrets(settings: Settings, catalog: Catalog) -> list[Problem]:
    secrets, problems = known_secrets(settings), []
    for name, source in catalog.sources.items():
        for secret in sorted(names_in(source.model_dump(mode="python"))):
            try:
                secrets.get(secret)
            except DataplatformError as error:
                problems.append(Problem(_file(catalog, name), 1, "", str(error)))
    return problems


def _connectors(settings: Settings, catalog: Catalog) -> list[Problem]:
    problems = []
    yours = {n: s for n, s in catalog.sources.items() if s.connector.type == "python"}
    for name, source in yours.items():
        try:
            extract_of(source, settings.connectors)
        except DataplatformError as error:
            problems.append(Problem(_file(catalog, name), 1, "connector", str(error)))
    places = (Path.cwd(), (catalog.root / "sources").absolute())
    for name, source in catalog.sources.items():
        try:
            found = problems_of(source, settings.home_path, places)
        except DataplatformError as error:
            found = [str(error)]
        problems += [Problem(_file(catalog, name), 1, "connector", text) for text in found]
    return problems


def _tried(settings: Settings, catalog: Catalog, notes: list[str]) -> list[Problem]:
    """What every source says when it is asked for its first page; nothing is kept."""
    from dataplatform.cli import trying  # the drivers of what is tried

    problems = []
    for name, source in catalog.sources.items():
        for entity, one in trying.as_silver(source, trying.try_source(settings, catalog, source)).items():
            if "error" in one:
                problems.append(Problem(_file(catalog, name), 1, f"entities.{entity}", one["error"]))
            elif one["set_aside"]:
                problems.append(Problem(_file(catalog, name), 1, f"entities.{entity}", one["set_aside"][0]))
            else:
                notes.append(f"{name}.{entity}: {one['read']:,} records on the first page")
    return problems


def _contract(settings: Settings, catalog: Catalog) -> list[Problem]:
    """Where a connector breaks the contract, a person's own included."""
    from dataplatform.cli import trying  # as above

    return [
        Problem(_file(catalog, name), 1, f"entities.{entity}", text)
        for name, source in catalog.sources.items()
        for entity, text in trying.keeps_contract(settings, catalog, source).items()
    ]


def _gold(catalog: Catalog) -> list[Problem]:
    if not catalog.models:
        return []
    from dataplatform.layers.gold.lineage import usable  # imports sqlglot: only where there is SQL

    wrong = usable(catalog.models).errors
    return [_of_model(catalog.models[name].file, error) for name, error in wrong.items()]


def _auto_dw(catalog: Catalog) -> list[Problem]:
    file = catalog.root / "auto_dw.yaml"
    if not file.exists():
        return []
    from dataplatform.auto_dw.said import decisions  # imports numpy: only where there is such a file

    try:
        decisions.load(catalog.root)
    except MetadataError as error:
        return [Problem(str(file), 1, "", error.message.removeprefix(f"{file}: "))]
    return []


def _of_model(file: str, error: ModelError) -> Problem:
    """The error of a model names its file and line at its beginning, unless it is about several."""
    found = re.match(re.escape(file) + r":(\d+): ", error.message)
    line, text = (int(found.group(1)), error.message[found.end() :]) if found else (1, error.message)
    return Problem(file, line, "", f"{text} → {error.remedy}" if error.remedy else text)


@command
def schema(json_: Json = False) -> None:
    """Prints the JSON Schema of a source's file, for your editor."""
    print_json(source_schema())
