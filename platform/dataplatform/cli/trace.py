"""`dataplatform trace`: from a row of silver back to the raw line."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.tree import Tree

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.reading.trace import trace as read


@command
def trace(
    table: Annotated[str, typer.Argument(help="Table in silver, such as github__issues.")],
    key: Annotated[str, typer.Argument(help="Business key (a,b for two fields), or dp_key.")],
    json_: Json = False,
) -> None:
    """Prints where each version of a record came from: batch, run, bronze version, raw line."""
    with open_platform() as platform:
        found = read(platform, table, key)
    if json_:
        print_json(found.as_json())
        return
    tree = Tree(f"[bold]{found.table}[/] {key}")
    for version in found.versions:
        until = version.valid_to or "now"
        branch = tree.add(f"{version.valid_from} → {until}{' (deleted)' if version.deleted else ''}")
        for name in ("batch_id", "run_id", "bronze_version", "raw_file", "raw_line"):
            branch.add(f"{name}: {getattr(version, name)}")
    out.print(tree)
