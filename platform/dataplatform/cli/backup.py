"""`dataplatform backup`: makes an archive, tries one, lists them, shows the recovery key."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.errors import SecretError
from dataplatform.settings import Settings, load_settings
from dataplatform.upkeep.backup import keep, keys
from dataplatform.upkeep.backup.make import make, target
from dataplatform.upkeep.backup.stores import Stores
from dataplatform.upkeep.backup.verify import verify as tried

app = typer.Typer(
    help="Makes one encrypted archive of everything; verify, list, key. Runs go on meanwhile.",
    add_completion=False,
)
KeyFile = Annotated[Path | None, typer.Option("--key-file", help="File with the recovery key.")]


@app.callback(invoke_without_command=True)
def backup(
    context: typer.Context,
    to: Annotated[
        str | None, typer.Option("--to", help="Folder or fsspec URL; else DATAPLATFORM_BACKUP_URL.")
    ] = None,
    json_: Json = False,
) -> None:
    """Makes one encrypted archive of everything; verify, list, key. Runs go on meanwhile."""
    if context.invoked_subcommand is None:
        _backup(to=to, json_=json_)


@command
def _backup(to: str | None, json_: bool) -> None:
    with open_platform() as platform:
        made = make(Stores.of(platform), to)
        key = keys.ensured(platform.settings.home_path)
        said = _say_once(platform.settings, key, json_)
    if json_:
        print_json({"status": "done", **asdict(made), **said})
        return
    out.print(
        f"{made.archive}: {made.bytes:,} bytes; {made.rows:,} rows, {made.documents:,} documents, {made.files:,} files "
        f"in {made.seconds} s",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    for name in made.removed:
        out.print(f"removed {name}", markup=False, highlight=False, soft_wrap=True)


def _say_once(settings: Settings, key: keys.Key, json_: bool) -> dict[str, str]:
    """The recovery key, to the person who sees it for the first time."""
    if key.seen or key.secret is None:
        return {}
    if not json_:
        _show(settings, key)
    keys.mark_seen(settings.home_path, key)
    return {"key": key.secret} if json_ else {}


def _show(settings: Settings, key: keys.Key) -> None:
    sys.stderr.write(
        f"\nThe recovery key of these backups. Keep it in another place than them and than this machine: without it\n"
        f"nobody opens them.\n\n    {key.secret}\n\nIt lies in {keys.path_of(settings.home_path)}, too.\n\n"
    )


@app.command()
@command
def verify(
    archive: Annotated[
        str, typer.Argument(help="File, URL, or name of a backup; the newest is `latest`.")
    ] = "latest",
    key_file: KeyFile = None,
    json_: Json = False,
) -> None:
    """Unpacks a backup into throw-away servers, and compares every table, collection and file."""
    settings = load_settings()
    found = tried(settings, archive, asked_for_key(settings, key_file))
    if json_:
        print_json({"status": "done", **asdict(found)})
        return
    out.print(
        f"{found.archive} is whole: {found.tables:,} tables with {found.rows:,} rows, {found.collections:,} "
        f"collections with {found.documents:,} documents, {found.files:,} files with {found.bytes:,} bytes, "
        f"in {found.seconds} s",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip


@app.command("list")
@command
def list_(
    at: Annotated[
        str | None, typer.Option("--at", help="Folder or URL; else DATAPLATFORM_BACKUP_URL.")
    ] = None,
    json_: Json = False,
) -> None:
    """Lists the backups there are, newest first."""
    found = keep.archives(target(at or load_settings().backup_location))
    if json_:
        print_json({"status": "done", "archives": [asdict(one) for one in found]})
        return
    for one in found:
        out.print(
            f"{one.made_at:%Y-%m-%d %H:%M} UTC  {one.bytes:>15,}  {one.location}",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
    if not found:
        out.print("there is no backup yet: dataplatform backup")


@app.command()
@command
def key(
    new: Annotated[bool, typer.Option("--new", help="Another key for the backups from now on.")] = False,
    json_: Json = False,
) -> None:
    """Shows the recovery key; makes it where there is none."""
    settings = load_settings()
    found = keys.renewed(settings.home_path) if new else keys.ensured(settings.home_path)
    if json_:
        print_json({"status": "done", "key": found.secret, "recipient": found.public})
    elif found.secret is None:
        out.print(f"only the public half is here: {found.public}", markup=False)
    else:
        _show(settings, found)
    keys.mark_seen(settings.home_path, found)


def asked_for_key(settings: Settings, file: Path | None) -> list[str]:
    """Every recovery key that is at hand; a person at a terminal is asked where there is none."""
    found: list[Any] = keys.secrets_known(settings, file)
    if found:
        return found
    if not sys.stdin.isatty():
        raise SecretError(
            "the recovery key is not known here", "give it: --key-file FILE, or DATAPLATFORM_BACKUP_KEY"
        )
    err.print("the recovery key is not known here")
    return keys.secrets_in(typer.prompt("recovery key (AGE-SECRET-KEY-…)", hide_input=True, err=True))
