"""`dataplatform quarantine`: what could not be loaded, and another try."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.errors import SettingsError
from dataplatform.reading.quarantine import Reason, Wanted, by_reason, quarantined
from dataplatform.reading.quarantine import dismiss as close
from dataplatform.reading.quarantine import quarantine as read
from dataplatform.reading.quarantine import wanted as _wanted
from dataplatform.records.quarantined import QuarantinedRecord
from dataplatform.records.refs import EntityRef
from dataplatform.runs.recover import reprocess

app = typer.Typer(
    help="Records that could not be loaded: list, show, retry, dismiss.",
    no_args_is_help=True,
    add_completion=False,
)

SourceName = Annotated[str | None, typer.Argument(help="Only this source.")]
EntityName = Annotated[str | None, typer.Argument(help="Only this entity.")]


@app.command("list")
@command
def list_(
    source: SourceName = None,
    entity: EntityName = None,
    all_: Annotated[bool, typer.Option("--all", help="Every record, not only the reasons.")] = False,
    json_: Json = False,
) -> None:
    """Lists what waits in quarantine: by reason with an example, or every record, newest first."""
    with open_platform() as platform:
        waiting = read(platform, source, entity)
    reasons = by_reason(waiting)
    if json_:
        print_json({
            "status": "done", "count": len(waiting), "reasons": [r.as_json() for r in reasons],
            "quarantine": [r.as_json() for r in waiting],
        })  # fmt: skip
        return
    if not waiting:
        out.print("nothing is in quarantine")
    elif all_:
        _print_records(waiting)
    else:
        _print_reasons(reasons)


def _print_reasons(reasons: list[Reason]) -> None:
    table = Table("records", "entity", "reason", "example", "its id")
    for group in reasons:
        example = group.example
        short = f"{example.reason} — {example.record}" if example.reason != group.reason else example.record
        table.add_row(
            f"{group.count:,}", group.entity, _escaped(group.reason), _escaped(_short(short)), example.id
        )
    out.print(table)
    err.print(
        "one whole: quarantine show ID; every record: list --all; again: retry; never: dismiss", markup=False
    )


def _print_records(waiting: list[QuarantinedRecord]) -> None:
    table = Table("id", "entity", "batch", "reason", "record")
    for item in waiting:
        name = f"{item.source}.{item.entity}"
        table.add_row(item.id, name, item.batch_id, _escaped(item.reason), _escaped(_short(item.record)))
    out.print(table)


def _short(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


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


Id = Annotated[str | None, typer.Option("--id", help="Only the record with this id.")]
ReasonPart = Annotated[
    str | None, typer.Option("--reason", help="Only those whose reason has this text in it.")
]


@app.command("retry")
@command
def retry(
    source: SourceName = None,
    entity: EntityName = None,
    id_: Id = None,
    reason: ReasonPart = None,
    json_: Json = False,
) -> None:
    """Loads the batches concerned again, under today's metadata."""
    with open_platform() as platform:
        if source:
            platform.catalog.source(source)
        before = (
            _wanted(platform, Wanted(source, entity, id_, reason))
            if id_ or reason
            else read(platform, source, entity)
        )
        batches: dict[EntityRef, set[str]] = {}
        for item in before:
            batches.setdefault(EntityRef(item.source, item.entity), set()).add(item.batch_id)
        for ref, batch_ids in batches.items():
            reprocess(platform, ref, sorted(batch_ids))
        after = read(platform, source, entity)
    if json_:
        print_json({"status": "done", "before": len(before), "after": len(after)})
    else:
        out.print(f"{len(before)} before, {len(after)} after")
    for item in after[:5]:
        err.print(f"still: {item.reason}", markup=False)


@app.command("dismiss")
@command
def dismiss(
    source: SourceName = None,
    entity: EntityName = None,
    id_: Id = None,
    reason: ReasonPart = None,
    json_: Json = False,
) -> None:
    """Closes records that will not be loaded; they stay where `show ID` finds them."""
    if not (source or id_ or reason):
        raise SettingsError(
            "say which: a SOURCE, --id or --reason", "all of a source: quarantine dismiss SOURCE"
        )
    with open_platform() as platform:
        number = close(platform, _wanted(platform, Wanted(source, entity, id_, reason)))
    if json_:
        print_json({"status": "done", "dismissed": number})
    else:
        out.print(f"{number} dismissed")


def _escaped(text: str) -> str:
    return str(text).replace("[", r"\[")
