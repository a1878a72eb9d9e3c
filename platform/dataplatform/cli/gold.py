"""`dataplatform gold`: build models, show lineage."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.tree import Tree

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.layers.gold.lineage import order
from dataplatform.metadata import load_catalog
from dataplatform.pipeline import refresh_gold
from dataplatform.settings import load_settings


def register(app: typer.Typer) -> None:
    app.command("gold")(gold)


@command
def gold(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models to build (all), or `lineage` to show them.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Incremental: from the beginning.")] = False,
    json_: Json = False,
) -> None:
    """Builds gold models in the order of their dependencies; `gold lineage` shows that order."""
    if models == ["lineage"]:
        return _lineage(json_)
    with open_platform() as platform:
        built = refresh_gold(platform, models, full)
    if json_:
        print_json({"status": "done", "models": {b.name: b.__dict__ for b in built}})
        return None
    table = Table("model", "materialized", "rows", "seconds")
    for b in built:
        table.add_row(b.name, b.materialized, f"{b.rows:,}", f"{b.seconds:.2f}")
    out.print(table)
    return None


def _lineage(json_: bool) -> None:
    catalog = load_catalog(load_settings().metadata_path)
    names, reads = order(catalog.models)
    if json_:
        print_json({n: {"models": reads[n].models, "tables": reads[n].tables} for n in names})
        return
    for name in names:
        tree = Tree(f"[bold]gold.{name}[/]")
        for parent in (*(f"gold.{m}" for m in reads[name].models), *reads[name].tables):
            tree.add(parent)
        out.print(tree)
