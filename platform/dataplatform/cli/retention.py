"""`dataplatform retention`: what is older than metadata keep."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.upkeep import retention as upkeep
from dataplatform.upkeep.retention import Applied, EntityPlan


@command
def retention(
    source: Annotated[str | None, typer.Argument(help="Only this source, or one source.entity.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it.")] = False,
    json_: Json = False,
) -> None:
    """Shows what is older than `retention:` in metadata keeps; with --apply it goes, into an archive if one is named.

    What is newer stays as it is, and a replay makes the same tables."""
    with open_platform() as platform:
        plans = upkeep.plan(platform, source)
        done = upkeep.apply(platform, plans) if apply else []
        records = upkeep.prune_records(platform) if apply and source is None else {}
    failed = any(one.status == "failed" for one in done)
    if json_:
        print_json(_document(plans, done, records, apply, failed))
    elif apply:
        _show_done(done, records)
    else:
        _show_plans(plans)
    if failed:
        raise typer.Exit(1)


def _document(
    plans: list[EntityPlan], done: list[Applied], records: dict[str, int], apply: bool, failed: bool
) -> dict[str, Any]:
    status = "failed" if failed else "done" if apply else "planned"
    entities = {str(one.entity): one.as_json() for one in plans}
    for result in done:
        entities[str(result.entity)] |= {"done": result.as_json()}
    return {"status": status, "entities": entities, "records": records}


def _show_plans(plans: list[EntityPlan]) -> None:
    if not plans:
        out.print("no entity has a `retention:` in metadata; everything is kept")
        return
    table = Table("entity", "raw batches", "bytes", "into the archive", "rows of silver")
    for one in plans:
        rows = ", ".join(f"{name} {number:,}" for name, number in one.rows.items() if number) or "–"
        table.add_row(
            str(one.entity), f"{len(one.batches):,}", f"{one.raw_bytes:,}", one.archive or "–", rows
        )
    out.print(table)
    if any(one.anything for one in plans):
        err.print("nothing has gone yet; do it: dataplatform retention --apply", markup=False)


def _show_done(done: list[Applied], records: dict[str, int]) -> None:
    table = Table("entity", "status", "raw batches", "bytes freed", "rows of silver", "versions of bronze")
    for one in done:
        numbers = (one.batches, one.freed, one.rows, one.versions)
        table.add_row(str(one.entity), one.status, *(f"{number:,}" for number in numbers))
    out.print(table)
    for one in done:
        if one.error:
            err.print(one.error, markup=False, highlight=False)
    if any(records.values()):
        said = ", ".join(f"{number:,} of {name}" for name, number in records.items() if number)
        out.print(f"records of the platform's own work: {said}", markup=False)
