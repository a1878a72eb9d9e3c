"""What others take on the workload: dlt (scd2, arrow and default loader), dbt snapshot and SQLMesh. Runs in an
environment of its own (benchmarks/peers.txt), as a process of its own: peers.py NAME HOST DATABASE FILE FOLDER.

HOST is the folder of Postgres' socket. dlt reads the records flattened as the limit does, lists as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2

TYPES = {
    "id": "text",
    "account_id": "text",
    "booked_at": "timestamptz",
    "value_date": "date",
    "amount": "numeric(14,2)",
    "currency": "text",
    "merchant": "text",
    "description": "text",
    "category": "text",
    "status": "text",
    "is_card": "bool",
    "balance_after": "numeric(14,2)",
    "mcc": "int",
    "note": "text",
    "updated_at": "timestamptz",
    "loc_lat": "float8",
    "loc_lon": "float8",
    "loc_city": "text",
    "loc_country": "text",
    "loc_address": "text",
    "splits": "jsonb",
}
BLOCK = 20_000


def rows(file: Path) -> Iterator[dict[str, Any]]:
    """Flat records, as the limit makes them."""
    with file.open("rb") as lines:
        for line in lines:
            record = json.loads(line)
            place, splits = record.pop("location"), record.pop("splits")
            record |= {f"loc_{name}": value for name, value in place.items()}
            yield record | {"splits": json.dumps(splits)}


def blocks(file: Path) -> Iterator[list[dict[str, Any]]]:
    block: list[dict[str, Any]] = []
    for row in rows(file):
        block.append(row)
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block


def hashed(row: dict[str, Any]) -> dict[str, Any]:
    """dlt's own helper needs pandas; this is cheaper."""
    return row | {"row_hash": hashlib.md5(json.dumps(row).encode()).hexdigest()}


def dlt_load(host: str, database: str, file: Path, folder: Path, arrow: bool) -> None:
    import dlt
    import pyarrow as pa

    name = "dlt_arrow" if arrow else "dlt_default"
    url = f"postgresql://postgres:none@{host.replace('/', '%2F')}:5432/{database}"
    disposition: Any = {"disposition": "merge", "strategy": "scd2"}
    if arrow:
        disposition["row_version_column_name"] = "row_hash"

    @dlt.resource(name="t", write_disposition=disposition, max_table_nesting=0)
    def t() -> Any:
        for block in blocks(file):
            yield pa.Table.from_pylist(list(map(hashed, block))) if arrow else block

    pipeline = dlt.pipeline(
        name,
        pipelines_dir=str(folder / "dlt"),
        dataset_name=name,
        destination=dlt.destinations.postgres(credentials=url),
    )
    pipeline.run(t()).raise_on_failed_jobs()


PROJECT = """name: bench
version: "1.0"
profile: bench
snapshot-paths: [snapshots]
"""
PROFILE = """bench:
  target: main
  outputs:
    main: {{type: postgres, host: "{host}", port: 5432, user: postgres, password: none, dbname: {database},
            schema: dbt, threads: 2}}
"""
SNAPSHOT = """{% snapshot t %}
{{ config(target_schema='dbt', unique_key='id', strategy='check', check_cols='all', hard_deletes='invalidate') }}
select * from dbt.staging
{% endsnapshot %}
"""


def staged(host: str, database: str, file: Path, schema: str) -> None:
    """COPY into a table, for those that load nothing themselves."""
    columns = ", ".join(f"{n} {t}" for n, t in TYPES.items())
    with psycopg2.connect(host=host, dbname=database, user="postgres") as conn, conn.cursor() as cursor:
        cursor.execute(f"create schema if not exists {schema}; drop table if exists {schema}.staging")
        cursor.execute(f"create unlogged table {schema}.staging ({columns})")
        cursor.copy_expert(f"copy {schema}.staging from stdin", _Stream(map(_line, rows(file))))


def dbt_load(host: str, database: str, file: Path, folder: Path) -> None:
    """COPY, then `dbt snapshot`."""
    staged(host, database, file, "dbt")
    project = folder / "dbt"
    (project / "snapshots").mkdir(parents=True, exist_ok=True)
    (project / "dbt_project.yml").write_text(PROJECT)
    (project / "profiles.yml").write_text(PROFILE.format(host=host, database=database))
    (project / "snapshots" / "t.sql").write_text(SNAPSHOT)
    dbt = Path(sys.executable).with_name("dbt")
    argv = [str(dbt), "snapshot", "--project-dir", str(project), "--profiles-dir", str(project)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


MESH = """gateways:
  main:
    connection: {{type: postgres, host: "{host}", port: 5432, user: postgres, password: none, database: {database}}}
default_gateway: main
disable_anonymized_analytics: true
model_defaults: {{dialect: postgres, start: "2026-01-01"}}
"""
MESH_MODEL = """MODEL (
  name mesh.t,
  kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns *, invalidate_hard_deletes true),
  cron '@daily'
);
select {columns} from mesh_in.staging
"""


def sqlmesh_load(host: str, database: str, file: Path, folder: Path) -> None:
    """COPY, then a plan or, where the model is there, its run a day later: SQLMesh does one of each day."""
    from sqlmesh import Context

    staged(host, database, file, "mesh_in")
    project = folder / "sqlmesh"
    (project / "models").mkdir(parents=True, exist_ok=True)
    (project / "config.yaml").write_text(MESH.format(host=host, database=database))
    typed = ", ".join(f"{name}::{type_}" for name, type_ in TYPES.items())
    (project / "models" / "t.sql").write_text(MESH_MODEL.format(columns=typed))
    days = len(list(project.glob("day*")))
    context = Context(paths=str(project))
    if days:
        context.run(execution_time=f"2026-02-{days + 1:02} 01:00:00", ignore_cron=True, skip_janitor=True)
    else:
        context.plan(auto_apply=True, no_prompts=True, execution_time="2026-02-01 01:00:00")
    (project / f"day{days}").touch()


_ESCAPE = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _line(row: dict[str, Any]) -> str:
    values = ("\\N" if (v := row[name]) is None else str(v).translate(_ESCAPE) for name in TYPES)
    return "\t".join(values) + "\n"


class _Stream:
    """Lines as the file that psycopg2 reads from."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.lines = lines

    def read(self, size: int) -> str:
        found, length = [], 0
        for line in self.lines:
            found.append(line)
            length += len(line)
            if length >= size:
                break
        return "".join(found)


def main(name: str, host: str, database: str, file: str, folder: str) -> None:
    os.environ |= {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
    if name == "dbt_snapshot":
        dbt_load(host, database, Path(file), Path(folder))
    elif name == "sqlmesh":
        sqlmesh_load(host, database, Path(file), Path(folder))
    else:
        dlt_load(host, database, Path(file), Path(folder), name == "dlt_arrow")


if __name__ == "__main__":
    main(*sys.argv[1:])
