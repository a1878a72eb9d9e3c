"""`dataplatform forget`: one record goes, and stays out."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.errors import MetadataError
from dataplatform.upkeep import forget as upkeep
from dataplatform.upkeep.forget import Certificate, Found


@command
def forget(
    entity: Annotated[str | None, typer.Argument(metavar="SOURCE.ENTITY", help="Whose record.")] = None,
    key: Annotated[
        str | None, typer.Argument(help="Its business key (a,b for two fields), or dp_key.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="Forget anew what was forgotten once and came back with a restore."),
    ] = False,
    json_: Json = False,
) -> None:
    """Removes one record from every layer, gold and the archive, for good, and keeps it out.

    Later loads and replays leave it out by a salted hash of its key. With --json and without --yes it only shows."""
    if again == bool(entity and key):
        raise MetadataError(
            "which record?", "dataplatform forget SOURCE.ENTITY KEY, or dataplatform forget --again"
        )
    with open_platform() as platform:
        if again:
            _show_again(upkeep.again(platform), json_)
            return
        found = upkeep.find(platform, entity or "", key or "")
        if not json_:
            _show(found)
        go = yes or (not json_ and typer.confirm("remove it, for good, and keep it out?", err=True))
        certificate = upkeep.forget(platform, found) if go else None
    if json_:
        more = {"certificate": certificate.as_json()} if certificate else {}
        print_json({"status": "done" if go else "planned", "found": found.as_json(), **more})
    elif certificate:
        _certify(certificate)
    else:
        out.print("nothing was removed")
        raise typer.Exit(1)


def _show(found: Found) -> None:
    table = Table("where", "what goes", title=str(found.entity), title_style="bold")
    table.add_row("raw", f"{found.raw_records:,} records")
    if found.archived_records:
        table.add_row("archive", f"{found.archived_records:,} records")
    table.add_row("bronze", f"{found.versions:,} versions")
    for name, rows in found.rows.items():
        table.add_row("silver", f"{name}: {rows:,} rows")
    out.print(table)
    for model in found.models:
        err.print(f"the gold model {model} reads it and is built anew", markup=False, highlight=False)
    if not found.anything:
        err.print("no layer holds such a record; it would be kept out all the same", markup=False)


def _certify(one: Certificate) -> None:
    removed = {name.replace("_", " "): number for name, number in one.removed.items()}
    rows = {f"rows of silver.{table}": number for table, number in one.rows.items()}
    lines = [
        f"Certificate {one.number}",
        f"A record of {one.entity} was removed on {one.forgotten_at}.",
        *(f"  {name}: {number:,}" for name, number in (removed | rows).items()),
        *([f"  built anew: {', '.join(one.models)}"] if one.models else []),
        "  searched again in raw, bronze, silver and the archive: nothing was found",
        f"  it stays out by {', '.join(one.digests)}",
    ]
    if one.backups:
        lines.append(
            f"  {len(one.backups)} backups made before hold it still, until they go; a restore here leaves it out"
        )
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _show_again(certificates: list[Certificate], json_: bool) -> None:
    if json_:
        print_json({"status": "done", "certificates": [one.as_json() for one in certificates]})
        return
    for one in certificates:
        _certify(one)
    if not certificates:
        out.print("nothing that was forgotten is there again")
