"""`dataplatform status`: what there is, what ran, what waits."""

from __future__ import annotations

from dataclasses import asdict

from rich.table import Table

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.embedded import prefect_server
from dataplatform.names import batch_time
from dataplatform.orchestration.health import Health, look
from dataplatform.reading.status import EntityStatus, LastBackup, SourceStatus, Status
from dataplatform.reading.status import status as read
from dataplatform.settings import load_settings


@command
def status(json_: Json = False) -> None:
    """Shows rows per layer, the last runs, cursors, quarantine, gold, and what ails Prefect."""
    settings = load_settings()
    with open_platform(settings) as platform:
        there = read(platform)
        api = settings.prefect or prefect_server.running(settings.home_path)
        prefect = look(api, there.events_delivered_at)
    if json_:
        print_json(there.as_json() | {"prefect": asdict(prefect)})
    else:
        _show(there, prefect)


def _show(there: Status, prefect: Health) -> None:
    for source, about in there.sources.items():
        out.print(_table(source, about))
        for entity, e in about.entities.items():
            _show_checks(entity, e)
        if about.connection:
            again = "" if about.connection.state == "connected" else f": dataplatform connect {source}"
            out.print(f"{source}: {about.connection.text}{again}", markup=False, highlight=False)
    if there.gold:
        models = Table("gold model", "materialized", "rows", "built")
        for name, m in there.gold.items():
            models.add_row(name, m.materialized, f"{m.rows:,}", f"{m.built_at:%Y-%m-%d %H:%M}")
        out.print(models)
    failed = next((run for run in there.runs if run.status == "failed"), None)
    if failed:
        out.print(
            f"failed: {failed.source}, {failed.started_at:%Y-%m-%d %H:%M}: {failed.error}", markup=False
        )
    out.print(
        f"Postgres: {there.servers['postgres_address']} (the password: dataplatform sql --url)",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    out.print(_backup(there.backup), markup=False, highlight=False, soft_wrap=True)
    for left in there.no_longer_in_metadata:
        out.print(f"note: {left}", markup=False, highlight=False, soft_wrap=True)
    if prefect.api:
        out.print(f"Prefect: {prefect.api.removesuffix('/api')}", markup=False)
    for trouble in prefect.troubles:
        out.print(f"[red]Prefect, {trouble.service}:[/] {trouble.text}", highlight=False)


def _backup(last: LastBackup | None) -> str:
    if last is None:
        return "no backup yet: dataplatform backup"
    if last.status == "done":
        return f"backup: {last.finished_at:%Y-%m-%d %H:%M}, {last.bytes:,} bytes"
    before = (
        f"the last good one is of {last.succeeded_at:%Y-%m-%d %H:%M}"
        if last.succeeded_at
        else "there is none"
    )
    return f"backup failed, {last.finished_at:%Y-%m-%d %H:%M}: {last.error}; {before}"


def _table(source: str, about: SourceStatus) -> Table:
    table = Table(title=f"{source}, {about.batches} batches", title_style="bold")
    table.add_column("entity", overflow="fold")
    for name in ("raw", "bronze", "silver", "current", "quarantine"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("last load")
    for entity, e in about.entities.items():
        last = e.last_load
        when = f"{batch_time(last.batch_id):%m-%d %H:%M} {last.status}" if last else "never"
        table.add_row(
            entity,
            f"{e.raw_records:,}",
            f"{e.bronze_versions:,}",
            f"{e.silver_rows:,}",
            f"{e.silver_current:,}",
            str(e.quarantine),
            when,
        )
    return table


def _show_checks(entity: str, about: EntityStatus) -> None:
    for check in about.checks:
        if check.status != "passed":
            out.print(f"{check.status}: {entity}, {check.check}: {check.found}", markup=False)
