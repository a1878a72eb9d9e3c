"""`dataplatform secrets`: the local encrypted store, and where else secrets are found."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.errors import MetadataError, SecretError
from dataplatform.metadata import load_catalog
from dataplatform.orchestration.blocks import known_secrets
from dataplatform.secrets import LocalStore
from dataplatform.secrets.resolver import names_in
from dataplatform.secrets.stores import variable_of
from dataplatform.settings import Settings, load_settings

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
    _local().set(name, value)
    _done(json_, f"{name} is set", name=name)


@app.command()
@command
def get(name: Name, json_: Json = False) -> None:
    """Prints the value that counts, from whichever store; in the clear."""
    secrets = known_secrets(load_settings())
    found = secrets.find(name)
    store, value = found if found else ("", secrets.get(name))
    if json_:
        print_json({"status": "done", "name": name, "store": store, "value": value})
    else:
        sys.stdout.write(f"{value}\n")


@app.command("list")
@command
def list_(json_: Json = False) -> None:
    """Lists names, where each is found and which sources use it; never values."""
    settings = load_settings()
    names, used = _local().names(), _used_by(settings)
    secrets = known_secrets(settings)
    about = []
    for name in sorted({*names, *used}):
        stores = [store.name for store in secrets.stores if store.get(name) is not None]
        about.append({"name": name, "stores": stores, "sources": used.get(name, [])})
    if json_:
        print_json({"status": "done", "secrets": names, "about": about})
        return
    for one in about:
        where = ", ".join(one["stores"]) or "NOT SET"
        by = f"; used by {', '.join(one['sources'])}" if one["sources"] else ""
        out.print(f"{one['name']}: {where}{by}", markup=False, highlight=False, soft_wrap=True)
    if not about:
        out.print("no secrets in the local store, and no source uses one", markup=False)


@app.command()
@command
def delete(name: Name, json_: Json = False) -> None:
    """Removes a secret from the local store."""
    if not _local().delete(name):
        raise SecretError(f"the local store has no secret {name!r}", "dataplatform secrets list")
    _done(json_, f"{name} is removed", name=name)


@app.command()
@command
def rotate(json_: Json = False) -> None:
    """Encrypts the local store with a new key. Values are to be changed where they come from, then set anew."""
    store = _local()
    store.rotate()
    _done(json_, f"{len(store.names())} secrets are encrypted anew", secrets=store.names())


@app.command("import")
@command
def import_(
    file: Annotated[str, typer.Argument(help="A .env file, a JSON object, or - for standard input.")],
    force: Annotated[bool, typer.Option(help="Overwrite what is there with another value.")] = False,
    json_: Json = False,
) -> None:
    """Sets many secrets, all or none. `DATAPLATFORM_SECRET_GITHUB_TOKEN` is the name that a source uses for it."""
    text = sys.stdin.read() if file == "-" else _read(Path(file))
    used = {variable_of(name): name for name in _used_by(load_settings())}
    given = {_named(key, used): value for key, value in _parsed(text).items()}
    if not given:
        raise SecretError(f"{file} holds no secret", "lines of NAME=VALUE, or a JSON object of texts")
    store = _local()
    there = store.read()
    other = sorted(name for name, value in given.items() if there.get(name, value) != value)
    if other and not force:
        raise SecretError(f"there with another value: {', '.join(other)}", "--force overwrites them")
    store.update(given)
    _done(json_, f"{len(given)} secrets are set: {', '.join(sorted(given))}", secrets=sorted(given))


def _local() -> LocalStore:
    return LocalStore(load_settings().home_path)


def _done(json_: bool, text: str, **about: Any) -> None:
    if json_:
        print_json({"status": "done", **about})
    else:
        out.print(text, markup=False, soft_wrap=True)


def _used_by(settings: Settings) -> dict[str, list[str]]:
    """Name of a secret → the sources that refer to it; nothing where there are no metadata yet."""
    try:
        sources = load_catalog(settings.metadata_path).sources
    except MetadataError:
        return {}
    used: dict[str, list[str]] = {}
    for name, source in sources.items():
        for secret in names_in(source.model_dump(mode="python")):
            used.setdefault(secret, []).append(name)
    return used


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(
            f"{path} cannot be read: {error}", "a .env file or a JSON object, in UTF-8"
        ) from None


def _parsed(text: str) -> dict[str, str]:
    """Lines of NAME=VALUE, or JSON: objects in objects are names with slashes."""
    if text.lstrip().startswith("{"):
        try:
            return dict(_flat(json.loads(text)))
        except ValueError as error:
            raise SecretError(f"not JSON: {type(error).__name__}", "an object of texts") from None
    from dotenv import dotenv_values

    return {
        key: value
        for key, value in dotenv_values(stream=io.StringIO(text), interpolate=False).items()
        if value
    }


def _flat(tree: Mapping[str, Any], head: str = "") -> list[tuple[str, str]]:
    found = []
    for key, value in tree.items():
        found += _flat(value, f"{head}{key}/") if isinstance(value, dict) else [(f"{head}{key}", str(value))]
    return found


def _named(key: str, used: Mapping[str, str]) -> str:
    """What a source calls it, where one does; else the variable's end in small letters."""
    head = variable_of("")
    return used.get(key) or (key.removeprefix(head).lower() if key.startswith(head) else key)
