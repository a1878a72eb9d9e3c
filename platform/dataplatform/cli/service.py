"""`dataplatform service`: `up` at every start of the machine, under systemd or launchd."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.errors import ServerError
from dataplatform.settings import load_settings
from dataplatform.upkeep.service import Installed, for_launchd, for_systemd, service_of

app = typer.Typer(no_args_is_help=True, help="`up` at every start of the machine, under systemd or launchd.")
Name = Annotated[str, typer.Option(help="The service's name; one for each HOME.")]
Commands = tuple[tuple[str, ...], ...]


@app.command()
@command
def show(name: Name = "dataplatform", json_: Json = False) -> None:
    """Prints the file that `install` writes, and where; writes nothing."""
    _tell("shown", _found(name), json_)


@app.command()
@command
def install(name: Name = "dataplatform", json_: Json = False) -> None:
    """Writes the service's file and starts it where systemd or launchd runs; else says how."""
    found = _found(name)
    found.path.parent.mkdir(parents=True, exist_ok=True)
    found.path.write_text(found.text)
    ran = _run(found.start)
    _tell("started" if ran else "written", found, json_)


@app.command()
@command
def uninstall(name: Name = "dataplatform", json_: Json = False) -> None:
    """Stops the service for good and removes its file; data stay."""
    found = _found(name)
    ran = found.path.exists() and _run(found.stop)
    found.path.unlink(missing_ok=True)
    _tell("removed" if ran else "file removed", found, json_)


def _found(name: str) -> Installed:
    service = service_of(load_settings(), name)
    if sys.platform == "darwin":
        return for_launchd(service, Path.home())
    return for_systemd(service, Path.home(), os.geteuid() == 0)


def _run(commands: Commands) -> bool:
    """False where there is no such system; raises ServerError with what a command said."""
    if sys.platform != "darwin" and not Path("/run/systemd/system").is_dir():
        return False
    for argv in commands:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServerError(
                f"`{shlex.join(argv)}` failed: {done.stderr.strip()}", "mend that, then run it again"
            )
    return True


def _tell(status: str, found: Installed, json_: bool) -> None:
    commands = {"start": [shlex.join(c) for c in found.start], "stop": [shlex.join(c) for c in found.stop]}
    if json_:
        print_json({"status": status, "path": str(found.path), "text": found.text, **commands})
        return
    if status == "shown":
        out.print(found.text, markup=False, highlight=False, soft_wrap=True)
    err.print(f"{status}: {found.path}", markup=False, soft_wrap=True)
    if status in ("shown", "written"):
        err.print("to start it:", *commands["start"], sep="\n  ", markup=False, soft_wrap=True)
