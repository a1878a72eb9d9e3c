"""`dataplatform gold`: build models, show lineage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.tree import Tree

from dataplatform.auto_dw.build import export, exported
from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.errors import MetadataError
from dataplatform.metadata import load_catalog
from dataplatform.pipeline import refresh_gold
from dataplatform.reading.lineage import lineage
from dataplatform.settings import load_settings


@command
def gold(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models to build (all), or `lineage` to show them.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Incremental: from the beginning.")] = False,
    dbt: Annotated[Path | None, typer.Option("--dbt", help="export: a dbt project into this folder.")] = None,
    mermaid: Annotated[
        Path | None, typer.Option("--mermaid", help="export: a diagram into this file.")
    ] = None,
    dbml: Annotated[
        Path | None, typer.Option("--dbml", help="export: a DBML diagram into this file.")
    ] = None,
    semantic: Annotated[
        Path | None, typer.Option("--semantic", help="export: MetricFlow's semantic models into this file.")
    ] = None,
    json_: Json = False,
) -> None:
    """Builds gold models in the order of their dependencies.

    `gold lineage` shows that order, `gold export --dbt DIR` (or --mermaid, --dbml, --semantic FILE) writes
    them for other tools."""
    if models == ["lineage"]:
        return _lineage(json_)
    if models == ["export"]:
        return _export({"dbt": dbt, "mermaid": mermaid, "dbml": dbml, "semantic": semantic}, json_)
    with open_platform() as platform:
        problems = platform.catalog.problems
        for name in models or ():
            platform.catalog.check_model(name)
        built = refresh_gold(platform, models, full)
    if json_:
        shown = {b.name: b.__dict__ for b in built}
        print_json({"status": "done", "models": shown, "problems": [p.__dict__ for p in problems]})
        return None
    table = Table("model", "materialized", "rows", "seconds")
    for b in built:
        if b.status == "built":
            table.add_row(b.name, b.materialized, f"{b.rows:,}", f"{b.seconds:.2f}")
    if table.row_count:
        out.print(table)
    for b in built:
        if b.status == "waiting":
            out.print(f"{b.name} is waiting for {', '.join(b.waiting_for)}: not loaded yet", markup=False)
    return None


def _export(targets: dict[str, Path | None], json_: bool) -> None:
    wanted = {kind: path for kind, path in targets.items() if path is not None}
    if not wanted:
        raise MetadataError("export to where?", "dataplatform gold export --dbt DIR (or --mermaid FILE, …)")
    settings = load_settings()
    models = load_catalog(settings.metadata_path).models
    writers = {"mermaid": export.mermaid, "dbml": export.dbml, "semantic": export.semantic}
    written: list[str] = []
    for kind, path in wanted.items():
        if kind == "dbt":
            written += [str(path / name) for name in export.dbt(models, path, "dataplatform")]
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(writers[kind](models))
            written.append(str(path))
        exported.note(settings.home_path, kind, path, models)
    if json_:
        print_json({"status": "done", "files": written})
    else:
        out.print(f"{len(written)} files written")


def _lineage(json_: bool) -> None:
    shown = lineage(load_catalog(load_settings().metadata_path))
    if json_:
        print_json(shown.as_json())
        return
    for model in shown.models:
        readers = f"  [dim]read by {', '.join(model.read_by)}[/]" if model.read_by else ""
        tree = Tree(f"[bold]gold.{model.name}[/]{readers}")
        for table in (*(f"gold.{name}" for name in model.models), *model.tables):
            tree.add(table)
        out.print(tree)
