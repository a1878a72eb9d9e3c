"""`dataplatform secrets`: the local encrypted store, and where else secrets are found."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.errors import DataplatformError, MetadataError, SecretError
from dataplatform.metadata import load_catalog
from dataplatform.orchestration.blocks import known_secrets
from dataplatform.secrets import LocalStore
from dataplatform.secrets.resolver import names_in
from dataplatform.secrets.stores import SecretStore, variable_of
from dataplatform.settings import Settings, load_settings

app = typer.Typer(
    help="Secrets of sources, encrypted under HOME.", no_args_is_help=True, add_completion=False
)
Name = Annotated[str, typer.Argument(help="Such as github/token.")]
T = TypeVar("T")


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
    names, used, silent = _local().names(), _used_by(settings), dict[str, str]()
    stores = known_secrets(settings).stores
    about = []
    for name in _all_names(stores, used, silent):
        where = [store.name for store in stores if _has(store, name, silent)]
        about.append({"name": name, "stores": where, "sources": used.get(name, [])})
    for store, error in silent.items():
        err.print(f"{store} cannot be asked: {error}", markup=False, highlight=False, soft_wrap=True)
    if json_:
        print_json({"status": "done", "secrets": names, "about": about, "silent": silent})
        return
    for one in about:
        shown = ", ".join(one["stores"]) or ("not found" if silent else "NOT SET")
        by = f"; used by {', '.join(one['sources'])}" if one["sources"] else ""
        out.print(f"{one['name']}: {shown}{by}", markup=False, highlight=False, soft_wrap=True)
    if not about:
        out.print("no store has a secret, and no source uses one", markup=False)


def _all_names(
    stores: tuple[SecretStore, ...], used: Mapping[str, list[str]], silent: dict[str, str]
) -> list[str]:
    """Those that sources use, and those that stores tell of; once where a store spells one in its own way."""
    found = {variable_of(name): name for name in used}
    for store in sorted(stores, key=lambda store: store.name != "local"):  # it keeps names as they were given
        for name in _asked(store, store.names, silent) or ():
            found.setdefault(variable_of(name), name)
    return sorted(found.values())


def _has(store: SecretStore, name: str, silent: dict[str, str]) -> bool:
    return _asked(store, lambda: store.get(name), silent) is not None


def _asked(store: SecretStore, ask: Callable[[], T], silent: dict[str, str]) -> T | None:
    """A store that failed is noted in `silent` and not asked again: each of its time-outs takes seconds."""
    if store.name in silent:
        return None
    try:
        return ask()
    except DataplatformError as error:
        silent[store.name] = error.message
        return None


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
    file: Annotated[str, typer.Argument(help="A .env file, a JSON object, or - for standard input.")] = "",
    store: Annotated[
        str, typer.Option("--from", help="A store instead: vault, prefect, docker, environment.")
    ] = "",
    force: Annotated[bool, typer.Option(help="Overwrite what is there with another value.")] = False,
    json_: Json = False,
) -> None:
    """Sets many secrets, all or none. `DATAPLATFORM_SECRET_GITHUB_TOKEN` is the name that a source uses for it."""
    if bool(file) == bool(store):
        raise SecretError("either a file or --from STORE", "dataplatform secrets import --help")
    given = _of_store(store) if store else _of_file(file)
    if not given:
        raise SecretError(
            f"{file or store} holds no secret", "lines of NAME=VALUE, or a JSON object of texts"
        )
    local = _local()
    there = local.read()
    other = sorted(name for name, value in given.items() if there.get(name, value) != value)
    if other and not force:
        raise SecretError(f"there with another value: {', '.join(other)}", "--force overwrites them")
    local.update(given)
    _done(json_, f"{len(given)} secrets are set: {', '.join(sorted(given))}", secrets=sorted(given))


def _of_file(file: str) -> dict[str, str]:
    text = sys.stdin.read() if file == "-" else _read(Path(file))
    parsed, used = _parsed(text), {variable_of(name): name for name in _used_by(load_settings())}
    left = sorted(key for key in parsed if _is_setting(key))
    if left:
        err.print(f"settings, left where they are: {', '.join(left)}", markup=False, soft_wrap=True)
    return {_named(key, used): value for key, value in parsed.items() if key not in left}


def _of_store(name: str) -> dict[str, str]:
    settings = load_settings()
    stores = {store.name: store for store in known_secrets(settings).stores if store.name != "local"}
    if name not in stores:
        raise SecretError(f"there is no store {name!r} to import from", f"legal: {', '.join(stores)}")
    store, used = stores[name], _used_by(settings)
    wanted = {
        variable_of(n): n for n in (*store.names(), *used)
    }  # what a source calls it comes last, and counts
    found = {name: store.get(name) for name in wanted.values()}
    return {name: value for name, value in found.items() if value}


def _is_setting(key: str) -> bool:
    """What a .env file holds beside secrets of sources: settings of ours and of Prefect's, the store's own key."""
    ours = key.startswith(("DATAPLATFORM_", "PREFECT_"))
    return ours and (not key.startswith(variable_of("")) or key.endswith("_FILE"))


def _local() -> LocalStore:
    """The store of HOME, which is closed to others where it was open."""
    store = LocalStore(load_settings().home_path)
    if any(
        path.exists() and path.stat().st_mode & 0o066 for path in (store.home, store.path, store.key_path)
    ):
        from dataplatform.embedded.private import make_private  # with the drivers: a fifth of a second

        make_private(store.home)
    return store


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
    if text.lstrip().startswith("["):
        raise SecretError("a JSON list has no names", "an object of texts")
    from dotenv import dotenv_values

    return {
        key: value
        for key, value in dotenv_values(stream=io.StringIO(text), interpolate=False).items()
        if value
    }


def _flat(tree: Mapping[str, Any], head: str = "") -> list[tuple[str, str]]:
    found = []
    for key, value in tree.items():
        name = f"{head}{key}"
        if isinstance(value, dict):
            found += _flat(value, f"{name}/")
        elif isinstance(value, str | int) and not isinstance(value, bool):
            found.append((name, str(value)))
        else:
            raise SecretError(f"{name} is no text", "write it in quotes, or leave it away")
    return found


def _named(key: str, used: Mapping[str, str]) -> str:
    """What a source calls it, where one does; else the variable's end in small letters."""
    head = variable_of("")
    return used.get(key) or (key.removeprefix(head).lower() if key.startswith(head) else key)
