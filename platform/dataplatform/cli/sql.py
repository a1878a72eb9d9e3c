"""`dataplatform sql`: psql, one query's result, or the address of Postgres for other programs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text

from dataplatform.bootstrap import open_database
from dataplatform.cli.common import Json, command, err, out, print_json
from dataplatform.embedded import postgres
from dataplatform.embedded.servers import postgres_address
from dataplatform.errors import EmbeddedServerError, SettingsError
from dataplatform.reading.query import Result, asked, written
from dataplatform.settings import load_settings

READ_ONLY = "-c default_transaction_read_only=on"


@command
def sql(
    query: Annotated[
        str | None, typer.Argument(help="SQL to run; without it psql opens, or it is read from stdin.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="What it writes stays; else nothing may.")] = False,
    url: Annotated[
        bool, typer.Option("--url", help="Print the whole URL, with its password, for other programs.")
    ] = False,
    json_: Json = False,
) -> None:
    """Runs SQL on Postgres and shows the result; without a query it opens psql. Read-only unless --write.

    Without --write it takes one statement.

    `sql --url` prints what DBeaver, Grafana or Metabase need to connect."""
    settings = load_settings()
    with open_database(settings) as engine:
        if url:
            return _show_address(postgres_address(settings), json_)
        if query is None and sys.stdin.isatty() and not json_:
            raise typer.Exit(_psql(engine.url, write))
        text = sys.stdin.read() if query is None else query
        result = written(engine, text) if write else asked(engine, text)
    return _show(result, json_)


def _show_address(address: str, json_: bool) -> None:
    if json_:
        print_json({"status": "done", "url": address})
    else:
        sys.stdout.write(address + "\n")  # as it is, for a script: not wrapped, not coloured


def _show(result: Result, json_: bool) -> None:
    if json_:
        return print_json(result.as_json())
    if result.columns:
        table = Table(*(Column(Text(name), overflow="fold") for name in result.columns))
        for row in result.rows:
            table.add_row(*(Text("" if value is None else str(value)) for value in row))
        out.print(table)
    err.print(result.done, markup=False, highlight=False)
    return None


def _psql(url: Any, write: bool) -> int:
    """psql in this terminal; its exit code. The password goes by the environment, where no `ps` shows it."""
    address = url.set(drivername="postgresql")
    env = os.environ | ({"PGPASSWORD": str(address.password)} if address.password else {})
    if not write:
        env["PGOPTIONS"] = f"{env.get('PGOPTIONS', '')} {READ_ONLY}".strip()
        err.print("read-only; --write to change something", highlight=False)
    plain = address.set(password=None).render_as_string(hide_password=False)
    before = signal.signal(signal.SIGINT, lambda number, frame: None)  # Ctrl-C is psql's, not ours
    try:
        return subprocess.run([_program(), plain], env=env, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _program() -> str:
    """psql on the PATH, else that of the embedded Postgres."""
    found = shutil.which("psql")
    if found:
        return found
    try:
        return str(postgres.programs() / "psql")
    except EmbeddedServerError:
        raise SettingsError(
            "there is no psql on the PATH", "install it, or give the query: dataplatform sql 'select 1'"
        ) from None
