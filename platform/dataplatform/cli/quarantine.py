"""`dataplatform quarantine`: what could not be loaded, and another try."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.reading.quarantine import quarantine as read
from dataplatform.reading.quarantine import quarantined
from dataplatform.records.refs import EntityRef
from dataplatform.runs.recover import reprocess

app = typer.Typer(
    help="Records that could not be loaded: list, show, retry.", no_args_is_help=True, add_completion=False
)

SourceName = Annotated[str | None, typer.Argument(help="Only this source.")]
EntityName = Annotated[str | None, typer.Argument(help="Only this entity.")]


@app.command("list")
@command
def list_(source: SourceName = None, entity: EntityName = None, json_: Json = False) -> None:
    """Lists what waits in quarantine, newest first."""
    with open_platform() as platform:
        waiting = read(platform, source, entity)
    if json_:
        print_json({"status": "done", "count": len(waiting), "quarantine": [r.as_json() for r in waiting]})
        return
    table = Table("id", "entity", "batch", "reason", "record")
    for item in waiting:
        record = item.record
        short = record if len(record) <= 60 else record[:59] + "…"
        table.add_row(
            item.id, f"{item.source}.{item.entity}", item.batch_id, _escaped(item.reason), _escaped(short)
        )
    out.print(table if waiting else "nothing is in quarantine")


@app.command("show")
@command
def show(id_: Annotated[str, typer.Argument(metavar="ID")], json_: Json = False) -> None:
    """Shows one of them whole."""
    with open_platform() as platform:
        record = quarantined(platform, id_)
    if json_:
        print_json(record.as_json())
        return
    for name, value in record.as_json().items():
        out.print(f"{name}: {value}", markup=False, soft_wrap=True)


@app.command("retry")
@command
def retry(
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    entity: EntityName = None,
    json_: Json = False,
) -> None:
    """Loads the batches concerned again, under today's metadata."""
    with open_platform() as platform:
        platform.catalog.source(source)
        before = read(platform, source, entity)
        batches: dict[str, set[str]] = {}
        for item in before:
            batches.setdefault(item.entity, set()).add(item.batch_id)
        for name, batch_ids in batches.items():
            reprocess(platform, EntityRef(source, name), sorted(batch_ids))
        after = read(platform, source, entity)
    if json_:
        print_json({"status": "done", "before": len(before), "after": len(after)})
    else:
        out.print(f"{len(before)} before, {len(after)} after")
    for item in after[:5]:
        err.print(f"still: {item.reason}", markup=False)


def _escaped(text: str) -> str:
    return str(text).replace("[", r"\[")
