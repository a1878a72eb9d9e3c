"""How long pages take with 100 sources, 500 tables, 10 million rows, 10,000 runs and 50,000 records in quarantine.

usage: python benchmarks/web.py [FOLDER]      (servers and data in FOLDER, which is used again; else a temporary one)
"""

from __future__ import annotations

import logging
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import sqlalchemy as sa
from dataplatform.access import users
from dataplatform.bootstrap import open_platform
from dataplatform.context import Platform
from dataplatform.metadata import load_catalog
from dataplatform.settings import Settings
from dataplatform.web.server import Serving, prepare

SOURCES, ENTITIES, RUNS, WAITING, ROWS, MODELS = 100, 5, 10_000, 50_000, 10_000_000, 60
TIMES = 40  # requests of each page
NAME, PASSWORD = "bench", "a word for the benchmark"
PAGES = (
    "/", "/sources", "/sources/s001", "/way", "/way?source=s001", "/way?model=m001", "/tables", "/tables?q=s042",
    "/tables/silver/s001__e0", "/tables/silver/s001__e0?f=n&o=is&v=5000000", "/tables/silver/s001__e1",
    "/quarantine", "/quarantine?source=s001&entity=e0", "/auto-dw", "/sql", "/sql/names", "/runs", "/runs?source=s050",
    "/runs?status=failed", "/runs/RUN", "/settings", "/help", "/help/silver", "/api/v1/health", "/metrics",
)  # fmt: skip
TABLE = """
create table silver.{name} (dp_id bigint generated always as identity primary key, dp_key uuid not null,
  dp_hash1 bytea, dp_hash2 bytea, dp_valid_from timestamptz not null, dp_valid_to timestamptz,
  dp_current boolean not null, dp_deleted boolean not null, dp_batch_id text, dp_run_id text,
  dp_updated_batch_id text, dp_created_at timestamptz,
  dp_updated_at timestamptz, n bigint, name text);
create view silver_current.{name} as select * from silver.{name} where dp_current;
comment on table silver.{name} is 'A table of the benchmark';
"""
FILL = """
insert into silver.{name} (dp_key, dp_valid_from, dp_current, dp_deleted, dp_batch_id, n, name)
select gen_random_uuid(), now(), n % 10 <> 0, false, 'b', n, 'name ' || n from generate_series(1, {rows}) n;
"""


def write_metadata(root: Path) -> None:
    """Sources of five entities each; models that read two tables and one another."""
    (root / "sources").mkdir(parents=True, exist_ok=True)
    (root / "gold").mkdir(exist_ok=True)
    for number in range(SOURCES):
        name = f"s{number:03}"
        entities = "".join(f"  e{e}: {{file: e{e}.csv, key: [n]}}\n" for e in range(ENTITIES))
        text = f"source: {name}\ndescription: Source {number}\nconnector: {{type: files, path: /nowhere/{name}}}\n"
        text += f"triggers: [{{type: interval, every: 1h}}]\nentities:\n{entities}"
        (root / "sources" / f"{name}.yaml").write_text(text)
    for number in range(MODELS):
        above = f" union all select n from gold.m{number - 1:03}" if number % 3 else ""
        text = f"/*\ndescription: Model {number}\n*/\nselect a.n from silver_current.s{number:03}__e0 a join "
        text += f"silver_current.s{number:03}__e1 b using (n){above}\n"
        (root / "gold" / f"m{number:03}.sql").write_text(text)


def fill(platform: Platform) -> None:
    """Once: tables, runs, loads, quarantine."""
    with platform.engine.begin() as conn:
        if conn.execute(sa.text("select to_regclass('silver.s000__e0')")).scalar() is not None:
            return
        for schema in ("silver", "silver_current", "gold"):
            conn.exec_driver_sql(f"create schema if not exists {schema}")
        for number in range(SOURCES):
            for e in range(ENTITIES):
                name = f"s{number:03}__e{e}"
                conn.exec_driver_sql(TABLE.format(name=name))
                rows = ROWS if (number, e) == (1, 0) else 200
                conn.exec_driver_sql(FILL.format(name=name, rows=rows).replace("%", "%%"))
        conn.exec_driver_sql("create index on silver.s001__e0 (n)")
        _runs(conn)
    with platform.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("analyze")
    _quarantine(platform)


def _runs(conn: sa.Connection) -> None:
    per = RUNS // SOURCES
    conn.exec_driver_sql(
        "insert into audit.run (run_id, source, batch_id, status, parameters, error, started_at, finished_at) "
        "select gen_random_uuid()::text, 's' || lpad((n %% 100)::text, 3, '0'), "
        "'b' || lpad((n / 100)::text, 5, '0'), "
        'case when n %% 97 = 0 then \'failed\' else \'done\' end, \'{"entities": ["e0", "e1", "e2", "e3", "e4"]}\', '
        "case when n %% 97 = 0 then 'it failed' end, now() - (10000 - n) * interval '5 minutes', "
        f"now() - (10000 - n) * interval '5 minutes' + interval '3 s' from generate_series(0, {per * SOURCES - 1}) n"
    )
    conn.exec_driver_sql(
        'insert into audit.load (source, entity, layer, batch_id, run_id, status, mode, "in", inserted, updated, '
        "closed, "
        "unchanged, quarantined, seconds, error, finished_at) select r.source, 'e' || e, l, r.batch_id, r.run_id, "
        "case when r.status = 'failed' and e = 0 and l = 'silver' then 'failed' else 'done' end, 'full', 200, 2, 0, 1, "
        "197, 0, 0.1, case when r.status = 'failed' and e = 0 and l = 'silver' then 'it failed' end, r.finished_at "
        "from audit.run r, generate_series(0, 4) e, unnest(array['raw', 'bronze', 'silver']) l"
    )
    conn.exec_driver_sql(
        'insert into audit.check_result (source, entity, batch_id, run_id, "check", status, found, created_at) '
        "select source, 'e0', batch_id, run_id, 'not_null: n', "
        "case when source = 's007' then 'warned' else 'passed' end, "
        "case when source = 's007' then '3 rows' else '' end, finished_at from audit.run"
    )
    conn.exec_driver_sql(
        "insert into audit.gold_model (name, fingerprint, materialized, rows, seconds, built_at) "
        f"select 'm' || lpad(n::text, 3, '0'), 'x', 'table', 100, 0.1, now() from generate_series(0, {MODELS - 1}) n"
    )


def _quarantine(platform: Platform) -> None:
    from datetime import UTC, datetime

    documents = [
        {
            "_id": f"q{n}", "source": f"s{n % SOURCES:03}" if n % 2 else "s001", "entity": "e0",
            "batch_id": "b00001", "layer": "silver", "reason": f"column n: 'x{n}' is no number",
            "record": '{"n": "x"}' * 5, "truncated": False,
            "raw_file": "f", "raw_line": n, "version": "", "key": "", "content": "", "status": "open",
            "created_at": datetime.now(UTC),
        }
        for n in range(WAITING)
    ]  # fmt: skip
    platform.bronze.db["quarantine"].insert_many(documents)


def measure(serving: Serving, run_id: str) -> None:
    """Prints for each page the median and the 95th percentile in milliseconds."""
    with httpx.Client(base_url=serving.address.url, timeout=60, trust_env=False) as client:
        client.post("/sign-in", data={"name": NAME, "password": PASSWORD})
        print(f"{'page':50} {'median':>8} {'p95':>8} {'KB':>7}")
        worst = 0.0
        for page in PAGES:
            path, took, size = page.replace("RUN", run_id), [], 0
            client.get(path).raise_for_status()
            for _ in range(TIMES):
                started = time.perf_counter()
                size = len(client.get(path).content)
                took.append((time.perf_counter() - started) * 1000)
            p95 = statistics.quantiles(took, n=20)[-1]
            worst = max(worst, p95)
            print(f"{page:50} {statistics.median(took):8.1f} {p95:8.1f} {size / 1024:7.0f}", flush=True)
        print(f"the slowest page at p95: {worst:.0f} ms")


def main(folder: Path) -> None:
    logging.getLogger("dataplatform").setLevel("ERROR")
    write_metadata(folder / "metadata")
    settings = Settings(home=folder / "home", metadata_path=folder / "metadata", linger=0)
    with open_platform(settings, load_catalog(settings.metadata_path)) as platform:
        fill(platform)
        serving = prepare(platform, "127.0.0.1", 0)
        if not users.there_are_users(platform.engine):
            users.add(platform.engine, NAME, PASSWORD, "admin")
        with platform.engine.connect() as conn:
            run_id = str(conn.execute(sa.text("select run_id from audit.run limit 1")).scalar_one())
        thread = threading.Thread(target=serving.run, daemon=True)
        thread.start()
        try:
            measure(serving, run_id)
        finally:
            serving.stop()
            thread.join(10)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]).absolute())
    else:
        with tempfile.TemporaryDirectory(prefix="dataplatform-web-") as temporary:
            main(Path(temporary))
