"""`dataplatform run` and `replay`."""

from __future__ import annotations

import logging
from typing import Annotated, Any

import typer
from rich.table import Table

from dataplatform.bootstrap import open_platform
from dataplatform.cli import backfill
from dataplatform.cli.common import Json, command, err, out, print_json, use_flows
from dataplatform.errors import DataplatformError, LoadError, RunFailedError
from dataplatform.metadata import Catalog, load_catalog
from dataplatform.metadata.source import Source
from dataplatform.reading.runs import windows_done
from dataplatform.runs.replay import replay as replay_source
from dataplatform.settings import Settings, load_settings

COLUMNS = ("read", "inserted", "updated", "closed", "unchanged", "quarantined")


@command
def run(
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    entities: Annotated[list[str] | None, typer.Argument(help="Only these entities.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Delta entities: from the beginning.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also read files that are the same.")] = False,
    allow_deletes: Annotated[
        bool, typer.Option("--allow-deletes", help="Delete even more than max_delete.")
    ] = False,
    since: Annotated[
        str,
        typer.Option("--from", help="Backfill from this time (2025-01-31, or with a time); no cursor moves."),
    ] = "",
    until: Annotated[str, typer.Option("--to", help="Backfill up to this time; else until now.")] = "",
    window: Annotated[
        str,
        typer.Option(
            "--window", help="Backfill in runs of this length, such as 30d; those that are done are left out."
        ),
    ] = "",
    dry: Annotated[
        bool,
        typer.Option("--dry", help="Only show the first page as it would arrive in silver; nothing is kept."),
    ] = False,
    json_: Json = False,
) -> None:
    """Ingests a source now: a flow run in Prefect, a task for each entity and layer."""
    settings = load_settings()
    catalog = load_catalog(settings.metadata_path)
    known = catalog.source(source)  # a wrong name is told before any server is started
    wrong = [e for e in entities or () if e not in known.entities]
    if wrong:
        raise LoadError(
            f"{source} has no entity {', '.join(wrong)}",
            f"its entities: {', '.join(known.entities)}",
        )
    if dry:
        _dry(settings, catalog, known, list(entities or ()), json_)
        return
    windows = backfill.windows(since, until, window, full)
    with open_platform(settings, catalog, prefect=True) as platform:
        if windows:
            done = set() if force else windows_done(platform, source, entities or known.entities)
            result = backfill.run_all(source, list(entities or ()), force, windows, done, run_flow)
        else:
            result = run_flow(source, list(entities or ()), full, force, allow_deletes)
    show(result, json_)


def _dry(settings: Settings, catalog: Catalog, source: Source, names: list[str], json_: bool) -> None:
    from dataplatform.cli import trying  # the drivers of what is tried

    found = trying.as_silver(source, trying.try_source(settings, catalog, source, names))
    failed = any("error" in one for one in found.values())
    if json_:
        print_json({"status": "failed" if failed else "done", "source": source.source, "entities": found})
    else:
        trying.show_dry(source.source, found)
    if failed:
        raise typer.Exit(1)


def run_flow(
    source: str,
    entities: list[str],
    full: bool,
    force: bool,
    allow_deletes: bool,
    window: list[str] | None = None,
) -> dict[str, Any]:
    """Runs the flow `ingest` in this process, on the Prefect server that is set."""
    use_flows()
    # Prefect is imported here, after cheap errors
    from dataplatform.orchestration.connection import api_errors, in_sight
    from dataplatform.orchestration.tasks import flush
    from flows.ingest import ingest

    try:
        with in_sight(), api_errors():
            state = ingest(source, entities or None, full, force, allow_deletes, window, return_state=True)
    finally:
        flush()
    try:
        return dict(state.result())
    except RunFailedError as error:
        return error.result
    except DataplatformError:
        raise
    except Exception as error:
        logging.getLogger("dataplatform").exception("the run crashed")
        raise LoadError(
            f"the run crashed: {type(error).__name__}: {error}",
            "this is a defect of dataplatform; the traceback above helps to mend it",
        ) from error


def show(result: dict[str, Any], json_: bool) -> None:
    """Prints the counts; exit code 1 where an entity failed."""
    if json_:
        print_json(result)
    else:
        table = Table(title=f"{result['source']}, batch {result['batch_id']}")
        table.add_column("entity")
        for column in COLUMNS:
            table.add_column(column, justify="right")
        for name, counts in result["entities"].items():
            table.add_row(name, *(f"{counts[c]:,}" for c in COLUMNS))
        out.print(table)
    for kind, style in (("notes", ""), ("warnings", "yellow")):
        for name, texts in result[kind].items():
            for text in texts:
                err.print(
                    f"{kind[:-1]}: {name}: {text}", highlight=False, markup=False, style=style, soft_wrap=True
                )
    for name, counts in result["entities"].items():
        if counts.get("error"):
            err.print(f"error: {name}: {counts['error']}", highlight=False, markup=False, style="red")
    if not json_ and result["status"] == "done with warnings":
        err.print("done with warnings", style="yellow")
    if result["status"] == "failed":
        raise typer.Exit(1)


@command
def replay(
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    since: Annotated[
        str, typer.Option("--from", help="Oldest batch (or date, 2026-01-31) to read from raw.")
    ] = "",
    json_: Json = False,
) -> None:
    """Makes bronze and silver again from raw, without asking the source."""
    with open_platform() as platform:
        result = replay_source(platform, source, since)
    show(result.as_json(), json_)
