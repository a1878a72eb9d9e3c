"""`dataplatform migrate`: the platform's own tables, and what metadata change in silver."""

from __future__ import annotations

from typing import Annotated

import typer

from dataplatform.audit import migrate as platform_tables
from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.context import Platform
from dataplatform.layers.silver.pending import apply, plan_changes, rewrites
from dataplatform.metadata.source import Source
from dataplatform.records.refs import EntityRef
from dataplatform.runs.corrections import changed_key


@command
def migrate(
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
    json_: Json = False,
) -> None:
    """Applies additive changes; says which the next run makes, for they make values anew from bronze."""
    with open_platform() as platform:  # opening brings the platform's own tables up to date
        revision = platform_tables.current_revision(platform.engine)
        sources = list(platform.catalog.sources.values())
        changes = [change for source in sources for change in plan_changes(platform.engine, source)]
        safe = [c for c in changes if not c.remakes]
        remakes = [str(c) for c in changes if c.remakes]
        later = list(remakes)
        for source in sources:
            later += map(str, rewrites(platform.engine, source))
            later += _new_keys(platform, source)
        if not plan:
            for change in safe:
                apply(platform.engine, change)
    if json_:
        print_json({
            "status": "failed" if remakes and not plan else "done", "revision": revision,
            "applied": [] if plan else [str(c) for c in safe], "planned": [str(c) for c in safe] if plan else [],
            "destructive": remakes, "by_the_next_run": later,
        })  # fmt: skip
    else:
        _print(revision, [f"{'would ' if plan else ''}{change}" for change in safe], later)
    if remakes and not plan:
        raise typer.Exit(1)


def _print(revision: str | None, done: list[str], later: list[str]) -> None:
    out.print(f"platform tables: revision {revision}")
    for text in done:
        out.print(text, markup=False)
    for text in later:
        out.print(f"by the next run: {text}", markup=False, soft_wrap=True)
    if not done and not later:
        out.print("silver is what the metadata say")


def _new_keys(platform: Platform, source: Source) -> list[str]:
    refs = [EntityRef(source.source, name) for name in source.entities]
    keys = {ref: key for ref in refs if (key := changed_key(platform, ref)) is not None}
    return [
        f"{ref}: its key was {', '.join(old) or 'row'} and now is {', '.join(new) or 'row'}; bronze and silver are "
        "made anew from raw, with another history"
        for ref, (old, new) in keys.items()
    ]
