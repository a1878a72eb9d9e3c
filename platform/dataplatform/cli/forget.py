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
    out.print(f"Certificate {one.number}", style="bold")
    out.print(f"A record of {one.entity} was removed on {one.forgotten_at}.", markup=False, highlight=False)
    for name, number in (*one.removed.items(), *((f"rows of silver.{t}", n) for t, n in one.rows.items())):
        out.print(f"  {name.replace('_', ' ')}: {number:,}", markup=False, highlight=False)
    if one.models:
        out.print(f"  built anew: {', '.join(one.models)}", markup=False, highlight=False)
    out.print("  searched again in raw, bronze, silver and the archive: nothing was found", markup=False)
    out.print(f"  it stays out by {', '.join(one.digests)}", markup=False, highlight=False)
    out.print(
        "Backups made before still hold it; after restoring one: dataplatform forget --again", markup=False
    )


def _show_again(certificates: list[Certificate], json_: bool) -> None:
    if json_:
        print_json({"status": "done", "certificates": [one.as_json() for one in certificates]})
        return
    for one in certificates:
        _certify(one)
    if not certificates:
        out.print("nothing that was forgotten is there again")
