"""`dataplatform secrets`: the local encrypted store."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.errors import SecretError
from dataplatform.secrets import LocalStore
from dataplatform.settings import load_settings

app = typer.Typer(
    help="Secrets of sources, encrypted under HOME.", no_args_is_help=True, add_completion=False
)
Name = Annotated[str, typer.Argument(help="Such as github/token.")]


@app.command("set")
@command
def set_(name: Name, json_: Json = False) -> None:
    """Sets a secret; the value is asked for, or read from standard input, never an argument."""
    value = typer.prompt("value", hide_input=True) if sys.stdin.isatty() else sys.stdin.read().rstrip("\r\n")
    if not value:
        raise SecretError("the value is empty", f"echo VALUE | dataplatform secrets set {name}")
    LocalStore(load_settings().home_path).set(name, value)
    if json_:
        print_json({"status": "done", "name": name})
    else:
        out.print(f"{name} is set", markup=False)


@app.command("list")
@command
def list_(json_: Json = False) -> None:
    """Lists names, never values."""
    names = sorted(LocalStore(load_settings().home_path).read())
    if json_:
        print_json({"status": "done", "secrets": names})
    else:
        out.print("\n".join(names) or "no secrets in the local store", markup=False)


@app.command("delete")
@command
def delete(name: Name, json_: Json = False) -> None:
    """Removes a secret from the local store."""
    if not LocalStore(load_settings().home_path).delete(name):
        raise SecretError(f"the local store has no secret {name!r}", "dataplatform secrets list")
    if json_:
        print_json({"status": "done", "name": name})
    else:
        out.print(f"{name} is removed", markup=False)
