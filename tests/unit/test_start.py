"""A command starts in a blink: what each of them may import, with no server and before any work."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dataplatform.cli.app import COMMANDS, app
from dataplatform.cli.common import as_ours

ROOT = Path(__file__).parents[2]
# what costs a tenth of a second or more; nobody waits for it who does not use it
HEAVY = {
    "alembic", "cryptography", "docker", "fastapi", "httpx", "mongoengine", "networkx", "numpy", "openai",
    "prefect", "psycopg", "pymongo", "sqlalchemy", "sqlglot", "zstandard",
}  # fmt: skip
STORES = {"mongoengine", "numpy", "psycopg", "pymongo", "sqlalchemy", "zstandard"}
MAY = {
    "schema": set(), "check": set(), "secrets": set(),
    "stop": {"psycopg", "pymongo"}, "doctor": STORES,
    "status": STORES, "run": STORES, "push": STORES, "listen": STORES, "replay": STORES, "migrate": STORES, "trace": STORES, "show": STORES, "sql": STORES, "purge": STORES, "retention": STORES, "forget": STORES, "actions": STORES,
    "quarantine": STORES, "new": STORES, "backup": STORES, "restore": STORES, "up": STORES, "deploy": STORES, "serve": STORES,
    "gold": STORES | {"sqlglot"}, "auto-dw": STORES | {"sqlglot"}, "demo": STORES | {"sqlglot"},
}  # fmt: skip

LOADED = """
import json, sys
from dataplatform.cli.app import app
if sys.argv[1] != "--help":
    app.commands[sys.argv[1]].load()
else:
    try:
        app(["--help"])
    except SystemExit:
        pass
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def loaded(command: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, command], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("command", ["--help", *COMMANDS])
def test_a_command_imports_what_it_uses(command: str) -> None:
    assert loaded(command) & HEAVY <= MAY.get(command, set())


def test_help_says_of_each_command_what_the_command_says_of_itself() -> None:
    for name, command in app.commands.items():
        first = command.load().help.split("\n\n")[0]
        assert command.help == " ".join(first.split()), name


def test_check_reads_metadata_and_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "metadata" / "sources").mkdir(parents=True)
    (tmp_path / "metadata" / "sources" / "s.yaml").write_text(
        "source: s\nconnector: {type: sql, url: sqlite:///x.db}\nentities:\n  e: {table: t, key: [id]}\n"
    )
    code = (
        "import sys\nfrom dataplatform.cli.app import app\napp(['check'], standalone_mode=False)\n"
        "print(*{m.split('.')[0] for m in sys.modules}, sep=',')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert not set(done.stdout.splitlines()[-1].split(",")) & HEAVY


def test_a_closed_file_is_told_with_the_user_that_needs_it() -> None:
    told = as_ours(PermissionError(errno.EACCES, "Permission denied", "/app/metadata/gold"))
    assert told is not None
    assert told.message == f"/app/metadata/gold: Permission denied, for the user {os.geteuid()}"
    assert "DATAPLATFORM_UID" in told.remedy
    assert as_ours(PermissionError("no file is named")) is None
