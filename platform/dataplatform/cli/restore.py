"""`dataplatform restore`: a backup in the place of what is there."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dataplatform.bootstrap import open_platform
from dataplatform.cli.backup import KeyFile, asked_for_key
from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.errors import SettingsError
from dataplatform.settings import Settings, load_settings
from dataplatform.upkeep import forget
from dataplatform.upkeep.backup import restore as upkeep
from dataplatform.upkeep.backup.archive import Header
from dataplatform.upkeep.backup.restore import Restored


@command
def restore(
    archive: Annotated[
        str,
        typer.Argument(help="File, URL, or name of a backup; `latest` is the newest.", show_default=False),
    ] = "",
    key_file: KeyFile = None,
    metadata: Annotated[
        Path | None,
        typer.Option(
            "--metadata", help="Put the archive's metadata into this folder, in place of what is there."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    go_on: Annotated[bool, typer.Option("--continue", help="Finish a restore that was interrupted.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back a restore that was interrupted.")] = False,
    json_: Json = False,
) -> None:
    """Puts a backup in the place of what is there, after making one of that; whole or not at all.

    Servers are started where they must be; nothing else may be running (`up`, a worker)."""
    settings = load_settings()
    if bool(archive) + go_on + undo != 1:
        raise SettingsError("name one: an archive, --continue or --undo", "see: dataplatform backup list")
    if go_on or undo:
        done = upkeep.undo(settings) if undo else upkeep.go_on(settings, asked_for_key(settings, key_file))
        if go_on:
            _keep_out(settings)
        _tell_end(done, undo, json_)
        return

    def ask(header: Header) -> bool:
        if yes:
            return True
        if json_ or not sys.stdin.isatty():
            raise SettingsError("there are data here already", "replace them: dataplatform restore … --yes")
        question = f"replace what is here by the backup of {header.made_at}? (a backup of what is here is made first)"
        return typer.confirm(question, err=True)

    found = upkeep.restore(settings, archive, asked_for_key(settings, key_file), ask, metadata)
    if found is None:
        out.print("nothing was changed")
        raise typer.Exit(1)
    again = _keep_out(settings)
    if json_:
        print_json({"status": "done", **asdict(found), "forgotten": again})
    else:
        _tell(found)


def _keep_out(settings: Settings) -> int:
    """What a person had forgotten since the backup was made goes again; returns how many records' worth of keys."""
    if not (settings.home_path / forget.FILE).exists():
        return 0
    with open_platform(settings) as platform:
        gone = forget.again(platform)
    for one in gone:
        err.print(
            f"{one.entity}: what was forgotten is out again, {one.number}", markup=False, highlight=False
        )
    return sum(len(one.digests) for one in gone)


def _tell(found: Restored) -> None:
    lines = [
        f"restored {found.archive} of {found.made_at}: {found.tables:,} tables with {found.rows:,} rows, "
        f"{found.documents:,} documents, {found.files:,} files in {found.seconds} s"
    ]
    if found.restore_point:
        lines.append(f"what was here before: dataplatform restore {found.restore_point}")
    lines += [f"{kind} → {place}" for kind, place in found.placed.items()]
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _tell_end(archive: str, undone: bool, json_: bool) -> None:
    if json_:
        print_json({"status": "done", "archive": archive, "undone": undone})
    else:
        err.print(
            "what was here is here again" if undone else f"restored {archive}", markup=False, soft_wrap=True
        )
