"""`dataplatform init`: passwords and keys for the compose stack, made once."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Annotated

import typer

from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.errors import SettingsError

# what .env.example leaves to be made
MADE = re.compile(r"^([A-Z0-9_]+(?:PASSWORD|SECRETS_KEY|_UID))=$", re.M)
IMAGE_USER = 10001
UNSAFE = "change-me"  # so said the example of older releases


@command
def init(
    folder: Annotated[Path, typer.Argument(help="Where docker-compose.yml and .env.example are.")] = Path(),
    json_: Json = False,
) -> None:
    """Makes .env for docker-compose.yml: random passwords, a key; what stands there stays. As scripts/init.sh does."""
    example, env = folder / ".env.example", folder / ".env"
    if not example.is_file():
        raise SettingsError(
            f"there is no {example}", "run it in a checkout of dataplatform, or name its folder"
        )
    text, made = filled(env.read_text() if env.exists() else example.read_text(), example.read_text(), folder)
    _write(env, text)
    if json_:
        print_json({"status": "done", "path": str(env), "made": made})
        return
    out.print(f"made: {', '.join(made)}" if made else "nothing was missing", markup=False)
    out.print(f"{env} is ready: docker compose up -d", markup=False, soft_wrap=True)


def filled(text: str, example: str, folder: Path) -> tuple[str, list[str]]:
    """The text of an .env with all values that the example wants made, and the names of those that were."""
    made = []
    for name in MADE.findall(example):
        there = re.findall(rf"^{name}=(.*)$", text, re.M)
        if there and there[-1].strip() and not there[-1].startswith(UNSAFE):
            continue
        line = f"{name}={_value(name, folder)}"
        text = re.sub(rf"^{name}=.*", line, text, flags=re.M) if there else f"{text.rstrip()}\n{line}\n"
        made.append(name)
    return text, made


def _value(name: str, folder: Path) -> str:
    if name == "DATAPLATFORM_UID":
        return str(_owner(folder))
    if name == "DATAPLATFORM_SECRETS_KEY":
        from cryptography.fernet import Fernet

        return Fernet.generate_key().decode()
    return secrets.token_hex(24)


def _owner(folder: Path) -> int:
    """Of the checkout; root's is handed to the image's own user, for nothing runs as root."""
    number = folder.absolute().stat().st_uid
    if number:
        return number
    for name in ("metadata", "secrets", "objects"):
        for path in ((folder / name), *(folder / name).rglob("*")):
            if path.exists():
                os.chown(path, IMAGE_USER, -1)
    return IMAGE_USER


def _write(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".new")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    if os.geteuid() == 0:  # with sudo: it is the checkout's owner's
        os.chown(beside, path.absolute().parent.stat().st_uid, -1)
    beside.replace(path)
