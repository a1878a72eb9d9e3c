"""`dataplatform status`: what there is, what ran, what waits."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
import typer
from rich.table import Table

from dataplatform.audit import record as audit
from dataplatform.audit import tables as t
from dataplatform.audit.database import database_errors
from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.context import Platform
from dataplatform.layers import raw
from dataplatform.layers.bronze import upkeep
from dataplatform.names import batch_time, entity_table, qualified


def register(app: typer.Typer) -> None:
    app.command("status")(status)


@command
def status(json_: Json = False) -> None:
    """Shows rows per layer, the last runs, cursors, quarantine and gold models."""
    with open_platform() as platform:
        found = collect(platform)
    if json_:
        print_json(found)
    else:
        _show(found)


def collect(platform: Platform) -> dict[str, Any]:
    """The document of `status --json`."""
    with database_errors(platform.engine), platform.engine.connect() as conn:
        loads = _last_loads(conn)
        sources: dict[str, Any] = {}
        pairs = {(s.source, e) for s in platform.catalog.sources.values() for e in s.entities}
        for source, entity in sorted(pairs | set(loads)):
            entities = sources.setdefault(source, {"entities": {}})["entities"]
            entities[entity] = _entity(platform, conn, source, entity, loads.get((source, entity)))
        for check in audit.last_checks(conn):
            entity = sources.get(check["source"], {}).get("entities", {}).get(check["entity"])
            if entity is not None:
                entity["checks"].append({n: check[n] for n in ("batch_id", "check", "status", "found")})
        for source, found in sources.items():
            found["batches"] = len(raw.batches(platform.raw, source))
        return {
            "status": "done",
            "servers": {
                "postgres": platform.engine.url.render_as_string(hide_password=True),
                "mongo": platform.bronze.db.name,
                "raw": platform.raw.root,
            },
            "sources": sources,
            "gold": _gold(conn),
            "runs": _runs(conn),
            "events_waiting": conn.execute(
                sa.select(sa.func.count()).where(t.outbox.c.delivered_at.is_(None))
            ).scalar_one(),
        }


def _last_loads(conn: sa.Connection) -> dict[tuple[str, str], dict[str, Any]]:
    """The newest load of silver of each entity."""
    c = t.load.c
    query = (
        sa.select(t.load).where(c.layer == "silver").distinct(c.source, c.entity)
        .order_by(c.source, c.entity, c.batch_id.desc())
    )  # fmt: skip
    return {(r["source"], r["entity"]): dict(r) for r in conn.execute(query).mappings()}


def _entity(
    platform: Platform, conn: sa.Connection, source: str, entity: str, last: dict[str, Any] | None
) -> dict[str, Any]:
    table = entity_table(source, entity)
    cursor = conn.execute(
        sa.select(t.cursor.c.value).where(t.cursor.c.source == source, t.cursor.c.entity == entity)
    ).scalar_one_or_none()
    raw_records = conn.execute(
        sa.select(sa.func.coalesce(sa.func.sum(t.load.c["in"]), 0)).where(
            t.load.c.source == source, t.load.c.entity == entity, t.load.c.layer == "raw"
        )
    ).scalar_one()
    names = (
        "inserted",
        "updated",
        "closed",
        "unchanged",
        "quarantined",
        "seconds",
        "status",
        "error",
    )
    return {
        "raw_records": int(raw_records),
        "bronze_versions": platform.bronze.count(source, entity),
        **_rows(conn, table),
        "quarantine": len(upkeep.quarantined(platform.bronze, source, entity)),
        "cursor": cursor,
        "checks": [],
        "last_load": last and {
            "batch_id": last["batch_id"], "read": last["in"], **{n: last[n] for n in names}
        },
    }  # fmt: skip


def _rows(conn: sa.Connection, table: str) -> dict[str, int]:
    if not sa.inspect(conn).has_table(table, schema="silver"):
        return {"silver_rows": 0, "silver_current": 0}
    query = f"select count(*), count(*) filter (where dp_current) from {qualified('silver', table)}"
    row = conn.exec_driver_sql(query).one()
    return {"silver_rows": row[0], "silver_current": row[1]}


def _gold(conn: sa.Connection) -> dict[str, Any]:
    return {
        r["name"]: {n: r[n] for n in ("materialized", "rows", "seconds", "built_at")}
        for r in conn.execute(sa.select(t.gold_model).order_by(t.gold_model.c.name)).mappings()
    }


def _runs(conn: sa.Connection) -> list[dict[str, Any]]:
    query = sa.select(t.run).order_by(t.run.c.started_at.desc()).limit(10)
    return [dict(r) for r in conn.execute(query).mappings()]


def _show(found: dict[str, Any]) -> None:
    for source, about in found["sources"].items():
        table = Table(title=f"{source}, {about['batches']} batches", title_style="bold")
        table.add_column("entity", overflow="fold")
        for name in ("raw", "bronze", "silver", "current", "quarantine"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("last load")
        for entity, e in about["entities"].items():
            last = e["last_load"]
            when = f"{batch_time(last['batch_id']):%m-%d %H:%M} {last['status']}" if last else "never"
            table.add_row(
                entity, f"{e['raw_records']:,}", f"{e['bronze_versions']:,}", f"{e['silver_rows']:,}",
                f"{e['silver_current']:,}", str(e["quarantine"]), when,
            )  # fmt: skip
        out.print(table)
        for entity, e in about["entities"].items():
            for check in e["checks"]:
                if check["status"] != "passed":
                    out.print(
                        f"{check['status']}: {entity}, {check['check']}: {check['found']}", markup=False
                    )
    if found["gold"]:
        models = Table("gold model", "materialized", "rows", "built")
        for name, m in found["gold"].items():
            models.add_row(name, m["materialized"], f"{m['rows']:,}", f"{m['built_at']:%Y-%m-%d %H:%M}")
        out.print(models)
    for run in found["runs"]:
        if run["status"] == "failed":
            out.print(f"failed: {run['source']}, {run['started_at']:%Y-%m-%d %H:%M}: {run['error']}",
                      markup=False)  # fmt: skip
            break
