"""`dataplatform trace`: from a row of silver back to the raw line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.text import Text
from rich.tree import Tree

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.reading.trace import TracedVersion
from dataplatform.reading.trace import trace as read


@command
def trace(
    table: Annotated[str, typer.Argument(help="Table in silver, such as github__issues; or github.issues.")],
    key: Annotated[str, typer.Argument(help="Business key (a,b for two fields), or dp_key.")],
    json_: Json = False,
) -> None:
    """Prints where each version of a record came from: batch, run, bronze version, raw line."""
    with open_platform() as platform:
        traced = read(platform, table, key)
    if json_:
        print_json(traced.as_json())
        return
    tree = Tree(Text.assemble((traced.table, "bold"), f" {key}"))
    for version in traced.versions:
        branch = tree.add(_interval(version))
        for line in _way(version):
            branch.add(Text(line))
    out.print(tree)


def _interval(version: TracedVersion) -> str:
    return f"{version.valid_from} → {version.valid_to or 'now'}{' (deleted)' if version.deleted else ''}"


def _way(version: TracedVersion) -> Iterator[str]:
    """The version's way, backwards: who closed or changed it, who wrote it, from what."""
    yield f"written by batch {version.batch_id}, run {version.run_id}"
    done = "closed" if version.valid_to else "last changed"
    if version.valid_to or version.updated_batch_id != version.batch_id:
        yield f"{done} by batch {version.updated_batch_id}, run {version.updated_run_id or 'unknown'}"
    yield f"bronze version {version.bronze_version or 'unknown'}"
    yield f"raw line {version.raw_line} of {version.raw_file}" if version.raw_file else "raw line unknown"
