"""The SCD2 workload: our whole way beside a hand-written limit, CPU seconds of all processes.

usage: scd2.py [RECORDS]        needs the workload generator and the limit in ../shared/bench
                                BENCH_PEERS=PYTHON: also dlt and dbt, of that environment (peers.py)

W1: first load; W2: the next full load, 2 % touched; W3: the same file again. CPU is that of the client and
of the servers (postmaster and mongod with all their children), so it says the same on a noisy machine.
Prints a table of ratios to the limit of the same run, writes benchmarks/out/scd2.json.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dataplatform import pipeline
from dataplatform.bootstrap import open_platform
from dataplatform.context import Platform
from dataplatform.metadata import load_catalog
from dataplatform.pipeline import Move
from dataplatform.records.counts import Counts
from dataplatform.runs import Order, run
from dataplatform.runs.chains import threads
from dataplatform.settings import Settings

ROOT = Path(__file__).parents[1]
BENCH = ROOT.parent / "shared" / "bench"
PEERS = ("dlt_arrow", "dlt_default", "dbt_snapshot")
STEPS = {"W1": "v1", "W2": "v2", "W3": "v2"}

YAML = """source: bench
connector: {type: files, path: %s}
entities:
  t:
    file: t.jsonl
    key: [id]
    columns: {splits: {type: jsonb}}   # as the limit has it
"""


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and of the children it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(f) for f in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def servers_cpu(home: Path) -> float:
    """All server processes of HOME, children that still run included."""
    total = 0.0
    for name in ("postgres", "mongo"):
        pid = json.loads((home / name / "state.json").read_text())["pid"]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        total += cpu_of(pid) + sum(cpu_of(int(child)) for child in children)
    return total


def measured(home: Path | None, work: Callable[[], Any]) -> float:
    """CPU seconds of the client (its children too) and of the servers."""

    def client() -> float:
        usages = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in usages)

    def all_() -> float:
        return client() + (servers_cpu(home) if home else 0)

    before = all_()
    work()
    return all_() - before


def limit(platform: Platform, file: Path, first: bool) -> None:
    dsn = platform.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    argv = [sys.executable, str(BENCH / "limit.py"), dsn, str(file), *(["--first"] if first else [])]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def ours(platform: Platform, folder: Path, file: Path, silver: list[float]) -> None:
    """The whole way; `silver` gets the CPU of its silver step."""
    target = folder / "in" / "t.jsonl"
    target.unlink(missing_ok=True)
    os.link(file, target)

    def perform(move: Move) -> Counts:
        if move.layer != "silver":
            return pipeline.perform(platform, move)
        result: list[Counts] = []
        work = partial(pipeline.perform, platform, move)
        silver.append(measured(platform.settings.home_path, lambda: result.append(work())))
        return result[0]

    with threads(1, perform) as submit:
        failed = run(platform, Order("bench"), submit).failed
    assert not failed, failed


def peer(platform: Platform, python: str, name: str, file: Path, folder: Path) -> None:
    """dlt or dbt, in its own environment."""
    url = platform.engine.url
    argv = [python, str(ROOT / "benchmarks" / "peers.py"), name, str(url.query["host"]), str(url.database)]
    subprocess.run([*argv, str(file), str(folder)], check=True, stdout=subprocess.DEVNULL)


def prefect_start() -> dict[str, float]:
    """What Prefect costs beside: CPU of its import, and the wall time of its server's start and stop."""
    with tempfile.TemporaryDirectory(prefix="dp-bench-") as name:
        code = "import prefect, prefect.flows"
        imported = measured(None, lambda: subprocess.run([sys.executable, "-c", code], check=True))
        env = {**os.environ, "DATAPLATFORM_HOME": name, "DATAPLATFORM_LINGER": "0"}
        code = (
            "from pathlib import Path; from dataplatform.embedded import prefect_server as p; "
            "s = p.start(Path('" + name + "'), 0); s.release(); s.wait_stopped()"
        )
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env=env)
        return {"import_cpu": imported, "server_start_and_stop_wall": time.perf_counter() - start}


def main(records: int) -> None:
    if not BENCH.exists():
        sys.exit(f"the workload is not here: {BENCH}")
    with tempfile.TemporaryDirectory(prefix="dp-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        subprocess.run([sys.executable, BENCH / "gen.py", str(records), folder], check=True)
        results = bench(folder)
    results |= {"records": records, "prefect": prefect_start()}
    (ROOT / "benchmarks" / "out").mkdir(exist_ok=True)
    (ROOT / "benchmarks" / "out" / "scd2.json").write_text(json.dumps(results, indent=2) + "\n")
    show(results)


def bench(folder: Path) -> dict[str, Any]:
    (folder / "metadata" / "sources").mkdir(parents=True)
    (folder / "in").mkdir()
    (folder / "metadata" / "sources" / "bench.yaml").write_text(YAML % (folder / "in"))
    settings = Settings(home=folder / "home", metadata_path=folder / "metadata")
    results: dict[str, Any] = {"limit": {}, "ours": {}, "ours_silver": {}}
    peers = os.environ.get("BENCH_PEERS", "")
    with open_platform(settings, load_catalog(settings.metadata_path)) as platform:
        home = settings.home_path
        with platform.engine.begin() as conn:  # with less, dlt's NOT IN is no hash any more: minutes
            conn.exec_driver_sql("alter database dataplatform set work_mem = '64MB'")
        platform.engine.dispose()
        for step, version in STEPS.items():
            file, silver = folder / f"{version}.jsonl", []
            results["limit"][step] = measured(home, lambda f=file, s=step: limit(platform, f, s == "W1"))
            results["ours"][step] = measured(home, lambda f=file, s=silver: ours(platform, folder, f, s))
            results["ours_silver"][step] = silver[0]
            for name in PEERS if peers else ():
                work = partial(peer, platform, peers, name, file, folder)
                results.setdefault(name, {})[step] = measured(home, work)
        check(platform)
    return results


def check(platform: Platform) -> None:
    """Both hold the same open rows."""
    with platform.engine.connect() as conn:
        counts = [
            conn.execute(sa.text(query)).scalar_one()
            for query in (
                "select count(*) from bench_limit.t where valid_to is null",
                "select count(*) from silver.bench__t where dp_current",
            )
        ]
    assert counts[0] == counts[1], counts


def show(results: dict[str, Any]) -> None:
    print(f"{'CPU seconds (ratio to limit)':34}" + "".join(f"{s:>16}" for s in STEPS))
    for name in ("limit", "ours", "ours_silver", *PEERS):
        if name not in results:
            continue
        cells = [f"{results[name][s]:.1f} ({results[name][s] / results['limit'][s]:.2f})" for s in STEPS]
        print(f"{name:34}" + "".join(f"{c:>16}" for c in cells))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak memory of our process: {peak} MB")
    print("Prefect, beside: " + ", ".join(f"{n} {s:.1f} s" for n, s in results["prefect"].items()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
