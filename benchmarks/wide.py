"""Times auto_dw on a generated schema: wide.py [TABLES] [MILLION_ROWS]     (default 500 tables, 10 million rows)

An ERP's look: modules of twenty tables each (`sales_order`, `billing_order`, …), a tenth of the tables with most of
the rows, no constraint declared. A table refers to up to three tables of its own module by their short names and to
one of another module by its whole name. Loads it into an embedded Postgres, runs `dataplatform auto-dw evaluate` as
a user would, twice (the second time everything is cached), and counts the references found.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataplatform.embedded import postgres

PROGRAM = Path(sys.executable).with_name("dataplatform")
NOUNS = """customer product order invoice payment shipment contract employee project task warehouse supplier account
    category region campaign ticket document vehicle event"""
MODULES = """sales billing purchasing logistics finance support marketing fleet hr legal quality planning production
    repair rental travel training insurance energy property catering security web archive lab"""
ATTRIBUTES = {
    "title": "'text ' || md5(n::text)",
    "status": "(array['new','open','done','void'])[1 + n % 4]",
    "amount": "(n * 7919 % 100000) / 100.0",
    "quantity": "(n * 31 % 500)::int",
    "created_at": "timestamp '2024-01-01' + n * interval '97 seconds'",
}


def tables(count: int) -> list[str]:
    names = [f"{module}_{noun}" for module in MODULES.split() for noun in NOUNS.split()]
    return [names[n % len(names)] + ("" if n < len(names) else f"_{n // len(names)}") for n in range(count)]


def references(names: list[str], pick: random.Random) -> Iterator[tuple[str, str, str]]:
    """Table, column, parent; parents come earlier, so that nothing refers in a circle."""
    size = len(NOUNS.split())
    for place, name in enumerate(names):
        module = place // size * size
        near = pick.sample(range(module, place), min(3, place - module))
        for parent in near:
            yield name, f"{names[parent].split('_', 1)[1]}_id", names[parent]
        if module:
            parent = pick.randrange(module)
            yield name, f"{names[parent]}_id", names[parent]


def script(names: list[str], million: float) -> tuple[str, set[tuple[str, str, str]]]:
    """What makes the schema `wide`, and its references."""
    pick = random.Random(4)
    large = set(pick.sample(names, max(1, len(names) // 10)))
    rows = {
        n: int(million * 1e6 * 0.95 / len(large)) if n in large else pick.randint(20, 2000) for n in names
    }
    truth = set(references(names, pick))
    lines = ["create schema wide;"]
    for name in names:
        own = sorted((column, parent) for table, column, parent in truth if table == name)
        keys = [f"(1 + (n * 104729 + {len(c)}) % {rows[p]})::int as {c}" for c, p in own]
        about = [f"{formula} as {called}" for called, formula in ATTRIBUTES.items()]
        columns = ", ".join(["n::int as id", *keys, *about])
        lines.append(
            f"create table wide.{name} as select {columns} from generate_series(1, {rows[name]}::bigint) n;"
        )
    return "\n".join([*lines, "analyze;"]), truth


def evaluate(url: str, home: Path) -> tuple[dict[str, Any], float, float]:
    """The answer, its seconds, and the program's greatest memory in MB."""
    env = {
        **os.environ,
        "DATAPLATFORM_HOME": str(home / "home"),
        "DATAPLATFORM_METADATA": str(home / "metadata"),
        "DATAPLATFORM_LLM_URL": "",
        "DATAPLATFORM_POSTGRES_URL": url,
    }
    start = time.perf_counter()
    argv = [str(PROGRAM), "auto-dw", "evaluate", "--schema", "wide", "--json"]
    done = subprocess.run(argv, env=env, check=True, capture_output=True, text=True)
    took = time.perf_counter() - start
    return json.loads(done.stdout), took, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main(count: int = 500, million: float = 10) -> None:
    with tempfile.TemporaryDirectory(prefix="dp-wide-") as name:
        home = Path(name)
        home.chmod(0o755)
        (home / "metadata" / "sources").mkdir(parents=True)
        lease = postgres.start(home / "postgres", 0)
        try:
            url = postgres.url(lease.about)
            text, truth = script(tables(count), million)
            psql = [str(postgres.programs() / "psql"), "-q", "-v", "ON_ERROR_STOP=1", url]
            subprocess.run(psql, input=text, text=True, check=True, stdout=subprocess.DEVNULL)
            for said in ("first", "again, cached"):
                found, took, memory = evaluate(url, home)
                print(f"{said}: {took:.0f} s, {memory:.0f} MB at most", flush=True)
        finally:
            lease.release()
            lease.wait_stopped()
    columns = sum(len(t["columns"]) for t in found["tables"].values())
    print(f"{len(found['tables'])} tables, {columns:,} columns, {million:g} million rows")
    said = {(f["table"], f["columns"][0], f["ref_table"]) for f in found["foreign_keys"]}
    keys = sum(t["primary_key"] == ["id"] for t in found["tables"].values())
    hits = len(said & truth)
    print(f"primary keys {keys} of {count}; references {hits} of {len(truth)}, {len(said) - hits} wrong")


if __name__ == "__main__":
    main(*(float(n) if "." in n else int(n) for n in sys.argv[1:]))
