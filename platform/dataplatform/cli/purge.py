"""`dataplatform purge`: removes a source or an entity from every layer."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.errors import LoadError, MetadataError
from dataplatform.upkeep import purge as upkeep
from dataplatform.upkeep.purge import Plan


@command
def purge(
    what: Annotated[str, typer.Argument(metavar="SOURCE[.ENTITY]", help="What to remove.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask; needed where metadata still name it.")
    ] = False,
    json_: Json = False,
) -> None:
    """Removes a source or an entity from every layer, for good, after showing what goes.

    With --json and without --yes it only shows. What ran stays on record (audit.run)."""
    with open_platform() as platform:
        wanted = upkeep.plan(platform, what)
        if not json_:
            _show(wanted)
        if not yes and not json_:
            _refuse_what_is_named(wanted, what)
        go = yes or (not json_ and typer.confirm("remove all of this, for good?", err=True))
        if go:
            upkeep.purge(platform, wanted)
        left = upkeep.left_of(platform, what) if go else []
    if left:
        raise LoadError(f"of {', '.join(left)} something is there still", f"dataplatform purge {what}")
    if json_:
        print_json({"status": "done" if go else "planned", **wanted.as_json()})
    else:
        removed = f"{what} is removed; searched again in raw, bronze and silver: nothing was found"
        out.print(removed if go else "nothing was removed", markup=False, soft_wrap=True)
    if not go and not json_:
        raise typer.Exit(1)


def _refuse_what_is_named(wanted: Plan, what: str) -> None:
    if wanted.named:
        raise MetadataError(
            f"the metadata still name {', '.join(wanted.named)}: the next run would load it anew",
            f"take it out of metadata/sources first, or mean it: dataplatform purge {what} --yes",
        )


def _show(wanted: Plan) -> None:
    for one in wanted.entities:
        table = Table("layer", "what goes", title=str(one.entity), title_style="bold")
        table.add_row(
            "raw", f"{one.raw_bytes:,} bytes in {one.raw_files:,} files of {one.raw_batches:,} batches"
        )
        bronze = one.bronze
        table.add_row(
            "bronze",
            f"{bronze.versions:,} versions, {bronze.batches:,} batches, {bronze.quarantined:,} in quarantine",
        )
        for name, rows in one.tables.items():
            table.add_row("silver", f"{name}: {rows:,} rows")
        out.print(table)
    for view in wanted.views:
        err.print(f"the view {view} reads it and goes with it", markup=False, highlight=False)
    for model in wanted.models:
        err.print(f"the gold model {model} reads it and can be built no more", markup=False, highlight=False)
    for name in wanted.named:
        err.print(
            f"the metadata still name {name}: its next run loads it anew", markup=False, highlight=False
        )
