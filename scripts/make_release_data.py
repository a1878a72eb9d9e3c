"""Makes what a release leaves behind, for the tests of upgrades: tests/data/releases/VERSION.*; once, at each release.

usage: make_release_data.py [FOLDER]

A small platform of everything: a source with history, deletes and returns, child tables, quarantine, a secret, gold
models, a warehouse of auto_dw's. Out come its backup (`.tar.zst.age`), the key that opens it (`.key`; it protects
nothing: the data are made up), and figures that every later release has to find again (`.json`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from dataplatform import __version__

ROOT = Path(__file__).resolve().parents[1]
SHOP = """
source: shop
description: A shop that nobody has ever been to
connector: {type: files, path: ../../data}
entities:
  customers: {file: customers.jsonl, key: [customer_id], max_quarantine: 1.0, columns: {phone: {scd: 1}}}
  orders:
    file: orders.jsonl
    key: [order_id]
    load: delta
    columns: {ordered_at: {type: timestamptz}, amount: {type: numeric}}
    children: {lines: {key: [line]}}
"""
BY_TOWN = """/*
description: Customers by town
materialized: table
*/
select town, count(*) as customers from silver_current.shop__customers group by town
"""
TOWNS = ("Utrecht", "Köln", "Gent", "Łódź")


def customers(delivery: int) -> list[dict[str, Any]]:
    """One leaves at the second delivery and is back at the third; every fifth moves from delivery to delivery."""
    return [
        {"customer_id": n, "name": f"Customer {n}", "town": TOWNS[(n + (delivery if n % 5 == 0 else 0)) % 4],
         "phone": f"+31 30 {delivery}{n:05}"}
        for n in range(1, 41) if (n, delivery) != (7, 1)
    ]  # fmt: skip


def orders(delivery: int) -> list[dict[str, Any]]:
    """Sixty new ones with each delivery, and ten of the one before with another amount."""
    begin = delivery * 60
    return [
        {"order_id": n, "customer_id": n * 7 % 40 + 1,
         "ordered_at": f"2026-{1 + n // 60:02}-{1 + n % 28:02}T10:00:00Z",
         "amount": n * 1.25 + (0.5 if n < begin else 0),
         "lines": [{"line": k, "item": f"item {(n + k) % 9}"} for k in range(n % 3)]}
        for n in range(max(0, begin - 10), begin + 60)
    ]  # fmt: skip


def deliver(place: Path, delivery: int) -> None:
    """The files of one delivery; two lines of the third cannot be loaded, for which nothing is deleted by it."""
    (place / "data").mkdir(exist_ok=True)
    for name, records in (("customers", customers(delivery)), ("orders", orders(delivery))):
        lines = [json.dumps(record, ensure_ascii=False) for record in records]
        bad = ['{"customer_id": null}', "no json"] if (name, delivery) == ("customers", 2) else []
        (place / "data" / f"{name}.jsonl").write_text("\n".join([*lines, *bad]) + "\n")


def make(place: Path, out: Path) -> None:
    for folder in ("sources", "gold"):
        (place / "metadata" / folder).mkdir(parents=True)
    (place / "metadata" / "sources" / "shop.yaml").write_text(SHOP.lstrip())
    (place / "metadata" / "gold" / "by_town.sql").write_text(BY_TOWN)
    for delivery in range(3):
        deliver(place, delivery)
        call(place, "run", "shop")
    call(place, "secrets", "set", "shop/token", told="made-up-token")
    call(place, "auto-dw", "go")
    call(place, "gold")
    made = call(place, "backup", "--to", str(place / "backup"))
    base = out / __version__
    Path(made["archive"]).rename(base.with_name(f"{__version__}.tar.zst.age"))
    base.with_name(f"{__version__}.key").write_text(made["key"] + "\n")
    base.with_name(f"{__version__}.json").write_text(json.dumps(figures(place), indent=1) + "\n")
    call(place, "stop")


def figures(place: Path) -> dict[str, Any]:
    """Rows of every table of silver and gold, and of what is current."""
    query = "select schemaname, tablename from pg_tables where schemaname in ('silver', 'gold') order by 1, 2"
    tables = [f'"{r["schemaname"]}"."{r["tablename"]}"' for r in call(place, "sql", query)["rows"]]
    counted = " union all ".join(f"select '{t}' as name, count(*) as rows from {t}" for t in tables)
    return {"rows": {r["name"]: r["rows"] for r in call(place, "sql", counted)["rows"]}}


def call(place: Path, *argv: str, told: str | None = None) -> dict[str, Any]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DATAPLATFORM_", "PREFECT_"))}
    program = [sys.executable, "-c", "from dataplatform.cli.app import main; main()"]
    done = subprocess.run(
        [*program, *argv, "--json"],
        cwd=place,
        env=env,
        input=told,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"dataplatform {' '.join(argv)}\n{done.stdout}\n{done.stderr}")
    return dict(json.loads(done.stdout or "{}"))


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "data" / "releases"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        make(Path(place), folder)
