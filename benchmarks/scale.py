"""A first load by one process and by several, on one core and on all: wall seconds, CPU, memory of all processes.

usage: scale.py [RECORDS…]      needs the workload generator in ../shared/bench, Linux and `taskset`

Each way in a HOME of its own, one after the other; what they loaded is compared. Writes benchmarks/out/scale.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import scd2
import sqlalchemy as sa
from dataplatform.bootstrap import open_platform
from dataplatform.embedded import stop_servers
from dataplatform.metadata import load_catalog
from dataplatform.processes import cores
from dataplatform.settings import Settings

OUT = Path(__file__).parent / "out" / "scale.json"


@dataclass(frozen=True)
class Way:
    """How many processes share the work, on how many cores, servers included."""

    processes: int
    cores: int


@dataclass(frozen=True)
class Found:
    """Seconds, megabytes of our processes together at their most, a checksum."""

    wall: float
    cpu: float
    client: float
    raw: float
    bronze: float
    silver: float
    memory: int
    checksum: str


def main(sizes: list[int]) -> None:
    if "--one" in sys.argv:
        one(Path(sys.argv[2]), int(sys.argv[3]))
        return
    found: dict[str, list[dict[str, object]]] = {}
    for records in sizes:
        with tempfile.TemporaryDirectory(prefix="dp-scale-") as name:
            folder = Path(name)
            folder.chmod(0o755)
            subprocess.run([sys.executable, scd2.BENCH / "gen.py", str(records), folder], check=True)
            (folder / "v2.jsonl").unlink()
            ways = [Way(1, 1), Way(1, cores()), *([Way(cores(), cores())] if cores() > 1 else [])]
            print(f"{records:,} records: wall (of one core's), CPU; wall of raw, bronze, silver; memory")
            results: list[tuple[Way, Found]] = []
            for way in ways:
                results.append((way, measured(folder, way)))
                show(results)
        assert len({result.checksum for _, result in results}) == 1, "the tables differ"
        found[str(records)] = [asdict(way) | asdict(result) for way, result in results]
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(found, indent=2) + "\n")


def measured(folder: Path, way: Way) -> Found:
    """In a process of its own, so that the kernel keeps it and its servers on so many cores."""
    mine = sorted(os.sched_getaffinity(0))[: way.cores]
    argv = ["taskset", "-c", ",".join(map(str, mine)), sys.executable, __file__, "--one", str(folder)]
    said = subprocess.run([*argv, str(way.processes)], check=True, stdout=subprocess.PIPE).stdout
    return Found(**json.loads(said.splitlines()[-1]))


def one(folder: Path, processes: int) -> None:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dp-scale-")))
        stack.callback(stop_servers, home / "home")
        home.chmod(0o755)
        (home / "metadata" / "sources").mkdir(parents=True)
        (home / "in").mkdir()
        (home / "metadata" / "sources" / "bench.yaml").write_text(scd2.YAML % (home / "in"))
        settings = Settings(home=home / "home", metadata_path=home / "metadata", processes=processes)
        with open_platform(settings, load_catalog(settings.metadata_path)) as platform, memory() as most:
            moves: dict[str, scd2.Spent] = {}
            before = scd2.spent(settings.home_path)
            scd2.ours(platform, home, folder / "v1.jsonl", moves)
            took = scd2.spent(settings.home_path) - before
            with platform.engine.connect() as conn:
                checksum = conn.execute(sa.text(CHECKSUM)).scalar_one()
        parts = {layer: round(moves[layer].wall, 2) for layer in ("raw", "bronze", "silver")}
        found = Found(round(took.wall, 2), round(took.cpu, 2), round(took.client, 2), **parts, memory=most[0] >> 20,
                      checksum=checksum)  # fmt: skip
        print(json.dumps(asdict(found)))


CHECKSUM = "select count(*) || ' ' || sum(hashtextextended(dp_key::text || dp_hash2, 0)) from silver.bench__t"


@contextmanager
def memory() -> Iterator[list[int]]:
    """Bytes of ours and of the processes that share our work, at their most, looked at ten times a second."""
    most, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            most[0] = max(most[0], sum(map(share, [os.getpid(), *scd2.sharing()])))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def share(pid: int) -> int:
    """Bytes of memory that are the process's: of pages that n processes have, its nth part (Pss of proc(5))."""
    try:
        found = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it has just ended
    return sum(int(line.split()[1]) for line in found if line.startswith("Pss:")) << 10


def show(results: list[tuple[Way, Found]]) -> None:
    """The last one, beside the first."""
    (_, first), (way, found) = results[0], results[-1]
    name = f"processes {way.processes}, cores {way.cores}"
    parts = ", ".join(f"{seconds:.1f}" for seconds in (found.raw, found.bronze, found.silver))
    wall = f"{found.wall:8.1f} ({found.wall / first.wall:.2f})"
    print(f"  {name:24}{wall} {found.cpu:8.1f};  {parts};  {found.memory} MB", flush=True)


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:] if size.isdigit()] or [200_000, 1_000_000])
