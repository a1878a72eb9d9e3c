"""`dataplatform migrate`: the platform's own tables, and what metadata change in silver."""

from __future__ import annotations

from typing import Annotated

import typer

from dataplatform.audit import migrate as platform_tables
from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.layers.silver.pending import apply, plan_changes


@command
def migrate(
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
    json_: Json = False,
) -> None:
    """Applies additive changes; stops before those that lose or remake values."""
    with open_platform() as platform:  # opening brings the platform's own tables up to date
        revision = platform_tables.current_revision(platform.engine)
        changes = [
            change
            for source in platform.catalog.sources.values()
            for change in plan_changes(platform.engine, source)
        ]
        safe = [c for c in changes if not c.destructive]
        unsafe = [c for c in changes if c.destructive]
        if not plan:
            for change in safe:
                apply(platform.engine, change)
    if json_:
        print_json(
            {
                "status": "failed" if unsafe and not plan else "done",
                "revision": revision,
                "applied": [] if plan else [str(c) for c in safe],
                "planned": [str(c) for c in safe] if plan else [],
                "destructive": [str(c) for c in unsafe],
            }
        )
    else:
        out.print(f"platform tables: revision {revision}")
        for change in safe:
            out.print(f"{'would ' if plan else ''}{change}", markup=False)
        if not changes:
            out.print("silver is what the metadata say")
    for change in unsafe:
        err.print(f"not done: {change}", markup=False)
        err.print(f"  → values are made anew from bronze by: dataplatform replay {change.ref.source}")
    if unsafe and not plan:
        raise typer.Exit(1)
