"""Writes docs/auto_dw_demo.md from what the commands print: demo_transcript.py FOLDER

FOLDER holds northwind/load.sql.gz and sakila/load.sql.gz: the classic samples without keys, constraints or comments.
"""

from __future__ import annotations

import gzip
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from dataplatform.embedded import postgres
from sqlalchemy import make_url

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
INTRO = """# auto_dw on northwind, step by step

The schema of the classic sample, in a plain Postgres, with no keys, constraints or comments at all. Everything below is
what the commands printed (`scripts/demo_transcript.py` ran them). auto_dw learned from northwind, among seventy
schemas: of yours it will be less sure.
"""
TOP = """select c.country, sum(f.quantity) from gold.fact_order_detail f join gold.dim_customer c \
using (customer_sk) group by 1 order by 2 desc limit 3"""
CHANGE = "update northwind.order_details set quantity = quantity + 10 where order_id = 10248"
NEW = """create table northwind.promotions as select g as promotion_id, 'promotion ' || g as promotion_name \
from generate_series(1, 12) g"""
STEPS = {
    "1. Evaluate": ["dataplatform auto-dw evaluate --schema northwind"],
    "2. One column needs help: say what it is": [
        "dataplatform auto-dw evaluate products --schema northwind",
        "dataplatform auto-dw describe products.discontinued 'whether it is sold no more' --schema northwind",
        "dataplatform auto-dw evaluate products --schema northwind",
    ],
    "3. Go": ["dataplatform auto-dw go --schema northwind --accept-amber", f"psql -c '{TOP}'"],
    "4. The source changes, gold follows": [
        f"psql -qc '{CHANGE}'; dataplatform auto-dw health --schema northwind",
        "dataplatform gold --json > /dev/null; dataplatform auto-dw health --schema northwind",
    ],
    "5. A new table": [f'psql -qc "{NEW}"; dataplatform auto-dw go --schema northwind --accept-amber'],
    "6. Leave two tables out, and look at the builds": [
        "dataplatform auto-dw omit us_states promotions --schema northwind",
        "dataplatform auto-dw go --schema northwind",
        "dataplatform auto-dw status",
        "dataplatform auto-dw undo --schema northwind; dataplatform auto-dw go --schema northwind",
    ],
}
QUERIES = [
    """select "table", role, confidence, status from auto_dw.evaluate('products')""",
    "select model, rows from auto_dw.go()",
    "select * from auto_dw.omit(array['shippers'])",
    "select model, change from auto_dw.plan()",
    "select * from auto_dw.include(array['shippers'])",
    "select build, style, status from auto_dw.status()",
    "select * from auto_dw.health()",
]


def shown(command: str, env: dict[str, str]) -> str:
    done = subprocess.run(
        command, shell=True, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    lines = (line.rstrip() for line in done.stdout.splitlines())
    told = (line for line in lines if line and " INFO " not in line)  # without the logs of this run's servers
    return "\n".join(told)


def steps(env: dict[str, str]) -> Iterator[str]:
    for title, commands in STEPS.items():
        yield f"\n### {title}\n"
        for command in commands:
            yield f"```console\n$ {command}\n{shown(command, env)}\n```"


def from_psql(env: dict[str, str]) -> Iterator[str]:
    subprocess.run(
        [PROGRAMS / "dataplatform", "auto-dw", "install"], env=env, check=True, capture_output=True
    )
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    worker = subprocess.Popen([PROGRAMS / "dataplatform", "auto-dw", "work"], env=env, **quiet)
    try:
        time.sleep(5)  # until it listens
        yield "\n### The same from psql\n\n```console\n$ dataplatform auto-dw work &"
        for query in QUERIES:
            yield f"northwind=> {query};\n{shown(shlex.join(['psql', '-c', query]), env)}\n"
        yield "```"
    finally:
        worker.terminate()
        worker.wait()


def diagram(env: dict[str, str], path: Path) -> str:
    shown(f"dataplatform gold export --mermaid {path}", env)
    return f"```mermaid\n{path.read_text().strip()}\n```"


def load(folder: Path, env: dict[str, str]) -> None:
    text = gzip.decompress((folder / "load.sql.gz").read_bytes())
    subprocess.run(
        ["psql", "-q", "-v", "ON_ERROR_STOP=1"], input=text, env=env, check=True, stdout=subprocess.DEVNULL
    )


def libpq(url: str) -> dict[str, str]:
    """The URL as environment variables: https://www.postgresql.org/docs/current/libpq-envars.html."""
    found = make_url(url)
    host = found.host or found.query.get("host", "")
    return {
        "PGHOST": str(host),
        "PGUSER": found.username or "",
        "PGDATABASE": found.database or "",
        "PGPASSWORD": found.password or "",
    }


def written(folder: Path, home: Path, url: str) -> str:
    (home / "metadata" / "sources").mkdir(parents=True)
    env = {
        **os.environ,
        "PATH": f"{PROGRAMS}:{postgres.programs()}:{os.environ['PATH']}",
        "COLUMNS": "150",
        "DATAPLATFORM_HOME": str(home / "home"),
        "DATAPLATFORM_METADATA": str(home / "metadata"),
        "DATAPLATFORM_LLM_URL": "",
        **libpq(url),
        "PGOPTIONS": "-c auto_dw.schema=northwind",
    }
    load(folder / "northwind", env)
    parts = [INTRO, *steps(env), *from_psql(env)]
    parts += ["\n### The star schema\n", diagram(env, home / "northwind.mmd")]
    shown(
        "dataplatform auto-dw omit '*' --schema northwind && dataplatform auto-dw go --schema northwind", env
    )
    load(folder / "sakila", env)
    shown("dataplatform auto-dw go --schema sakila --accept-amber", env)
    parts += ["\n### Another one: sakila\n", diagram(env, home / "sakila.mmd")]
    return "\n".join(parts) + "\n"


def main(folder: str) -> None:
    with tempfile.TemporaryDirectory(prefix="dp-transcript-") as name:
        home = Path(name)
        home.chmod(0o755)
        lease = postgres.start(home / "home", 0)
        try:
            text = written(Path(folder), home, postgres.url(lease.about))
        finally:
            lease.release()
            lease.wait_stopped()
    (ROOT / "docs" / "auto_dw_demo.md").write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
