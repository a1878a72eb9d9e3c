"""The SCD2 workload: our whole way beside a hand-written limit, CPU and wall seconds of all processes.

usage: scd2.py [RECORDS…]       needs the workload generator and the limit in ../shared/bench
                                BENCH_PEERS=PYTHON: also dlt, dbt and SQLMesh, of that environment (peers.py)

W1: first load; W2: the next full load, 2 % touched; W3: the same file again. CPU is that of the client and
of the servers (postmaster and mongod with all their children), so it says the same on a noisy machine.
Prints a table of ratios to the limit of the same run, and where ours went: by move and process. Writes
benchmarks/out/scd2.json.
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
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass
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
BENCH = Path(os.environ.get("BENCH_WORKLOAD", ROOT.parent / "shared" / "bench"))
PARTS = ("ours_raw", "ours_bronze", "ours_silver")
PEERS = ("dlt_arrow", "dlt_default", "dbt_snapshot", "sqlmesh")
STEPS = {"W1": "v1", "W2": "v2", "W3": "v2"}

YAML = """source: bench
connector: {type: files, path: %s}
entities:
  t:
    file: t.jsonl
    key: [id]
    columns: {splits: {type: jsonb}}   # as the limit has it
"""


@dataclass(frozen=True)
class Spent:
    """Seconds: CPU of our processes and of the servers, and of the clock."""

    client: float = 0.0
    postgres: float = 0.0
    mongo: float = 0.0
    wall: float = 0.0

    @property
    def cpu(self) -> float:
        return self.client + self.postgres + self.mongo

    def __sub__(self, other: Spent) -> Spent:
        return Spent(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def server_cpu(folder: Path) -> float:
    """CPU of a server and all its processes.

    What a process took passes to its parent when that has waited for it: read in between, it would be in neither.
    So we look until nobody came or went meanwhile.
    """
    pid = json.loads((folder / "state.json").read_text())["pid"]
    while True:
        try:
            before = _of_ended(pid), _children(pid)
            total = sum(map(_own, (pid, *before[1])))
            if before == (_of_ended(pid), _children(pid)):
                return (total + before[0]) / os.sysconf("SC_CLK_TCK")
        except (FileNotFoundError, ProcessLookupError):
            continue  # a child has just ended


def _children(pid: int) -> list[int]:
    """By the parent that each names: lists of a thread's children miss those of one that has just ended."""
    return sorted(
        int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit() and _parent(one) == pid
    )


def _parent(process: Path) -> int:
    """0 where it has just ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
    return 0


def _own(pid: int) -> int:
    """Ticks of a process itself."""
    return sum(_ticks(pid)[:2])


def _of_ended(pid: int) -> int:
    """Ticks of its children that it has waited for."""
    return sum(_ticks(pid)[2:])


def _ticks(pid: int) -> list[int]:
    """User, system, and the same of the children that were waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return [int(field) for field in fields[11:15]]


def spent(home: Path | None) -> Spent:
    """Until now: the client (its children too) and the servers."""
    usages = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    client = sum(u.ru_utime + u.ru_stime for u in usages) + sharing_cpu()
    servers = [server_cpu(home / name) for name in ("postgres", "mongo")] if home else [0.0, 0.0]
    return Spent(client, *servers, time.perf_counter())


def sharing() -> list[int]:
    """The processes that share our work and still live: nobody has waited for them, so they count for themselves."""
    found = _children(os.getpid())
    return [pid for pid in found if b"dataplatform.processes" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def sharing_cpu() -> float:
    return sum(map(_own, sharing())) / os.sysconf("SC_CLK_TCK")


def measured(home: Path | None, work: Callable[[], Any]) -> Spent:
    before = spent(home)
    work()
    return spent(home) - before


def limit(platform: Platform, file: Path, first: bool) -> None:
    dsn = platform.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    argv = [sys.executable, str(BENCH / "limit.py"), dsn, str(file), *(["--first"] if first else [])]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def ours(platform: Platform, folder: Path, file: Path, moves: dict[str, Spent]) -> None:
    """The whole way; `moves` gets what each of its moves took."""
    target = folder / "in" / "t.jsonl"
    target.unlink(missing_ok=True)
    os.link(file, target)

    def perform(move: Move) -> Counts:
        result: list[Counts] = []
        work = partial(pipeline.perform, platform, move)
        moves[move.layer] = measured(platform.settings.home_path, lambda: result.append(work()))
        return result[0]

    with threads(1, perform) as submit:
        failed = run(platform, Order("bench"), submit).failed
    assert not failed, failed


def peer(platform: Platform, python: str, name: str, file: Path, folder: Path) -> None:
    """dlt, dbt or SQLMesh, in its own environment."""
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
            "s = p.start(Path('" + name + "'), 0, 7); s.release(); s.wait_stopped()"
        )
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env=env)
        return {"import_cpu": imported.cpu, "server_start_and_stop_wall": time.perf_counter() - start}


def main(sizes: list[int]) -> None:
    if not BENCH.exists():
        sys.exit(f"the workload is not here: {BENCH}")
    results: dict[str, Any] = {}
    for records in sizes:
        with tempfile.TemporaryDirectory(prefix="dp-bench-") as name:
            folder = Path(name)
            folder.chmod(0o755)
            subprocess.run([sys.executable, BENCH / "gen.py", str(records), folder], check=True)
            found = bench(folder)
        show(records, found)
        results[str(records)] = {name: {s: asdict(v) for s, v in of.items()} for name, of in found.items()}
    results["prefect"] = prefect_start()
    (ROOT / "benchmarks" / "out").mkdir(exist_ok=True)
    (ROOT / "benchmarks" / "out" / "scd2.json").write_text(json.dumps(results, indent=2) + "\n")
    print("Prefect, beside: " + ", ".join(f"{n} {s:.1f} s" for n, s in results["prefect"].items()))


def bench(folder: Path) -> dict[str, dict[str, Spent]]:
    (folder / "metadata" / "sources").mkdir(parents=True)
    (folder / "in").mkdir()
    (folder / "metadata" / "sources" / "bench.yaml").write_text(YAML % (folder / "in"))
    settings = Settings(home=folder / "home", metadata_path=folder / "metadata")
    results: dict[str, dict[str, Spent]] = {name: {} for name in ("limit", "ours", *PARTS)}
    peers = os.environ.get("BENCH_PEERS", "")
    with open_platform(settings, load_catalog(settings.metadata_path)) as platform:
        home = settings.home_path
        with platform.engine.begin() as conn:  # with less, dlt's NOT IN is no hash any more: minutes
            conn.exec_driver_sql("alter database dataplatform set work_mem = '64MB'")
        platform.engine.dispose()
        for step, version in STEPS.items():
            file, moves = folder / f"{version}.jsonl", dict[str, Spent]()
            results["limit"][step] = measured(home, partial(limit, platform, file, step == "W1"))
            results["ours"][step] = measured(home, partial(ours, platform, folder, file, moves))
            for layer, took in moves.items():
                results[f"ours_{layer}"][step] = took
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


def show(records: int, results: dict[str, dict[str, Spent]]) -> None:
    print(f"{f'{records:,} records: CPU s (ratio), wall s':42}" + "".join(f"{s:>24}" for s in STEPS))
    for name in ("limit", "ours", *PARTS, *PEERS):
        if name not in results:
            continue
        cells = [
            f"{found.cpu:.1f} ({found.cpu / results['limit'][step].cpu:.2f}) {found.wall:7.1f}"
            for step, found in results[name].items()
        ]
        print(f"{name:42}" + "".join(f"{c:>24}" for c in cells))
    for name in ("limit", "ours", *PARTS):
        took = results[name]["W1"]
        print(
            f"{name:14}W1: client {took.client:.1f}, Postgres {took.postgres:.1f}, MongoDB {took.mongo:.1f}"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak memory of our process: {peak} MB", flush=True)


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [200_000, 1_000_000])
