"""How long a command takes before it does anything: `--help`, `check`, `status`, a tiny `run`.

    python benchmarks/start.py [PROGRAM …]        default: the `dataplatform` beside this Python

Several programs (two checkouts' `.venv/bin/dataplatform`) are measured in turn, one table. Each figure is
the median of its runs; CPU seconds are those of the command itself, without the servers it starts.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ENTITIES, ROWS, SOURCES = 60, 100, 300
USUAL = """  NAME:
    file: NAME.csv
    key: [id]
    effective_at: changed_at
    columns:
      amount: {type: "numeric(12,2)", description: What it cost}
      note: {scd: 1}
      email: {sensitive: true}
      changed_at: {type: timestamptz}
    children: {labels: {key: [id]}}
    checks: [{not_null: [amount]}, {row_count: {min: 1}}]
    retention: {raw: 90d, bronze: keep}
"""


@dataclass(frozen=True)
class Took:
    """Seconds of one command: on the clock, and of its own processor time."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Bench:
    """One program with a folder of its own."""

    program: str
    folder: Path

    def run(self, *args: str, home: str = "home", metadata: str = "metadata") -> Took:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DATAPLATFORM_", "PREFECT_"))}
        env = kept | {
            "DATAPLATFORM_HOME": str(self.folder / home),
            "DATAPLATFORM_METADATA": str(self.folder / metadata),
            "DATAPLATFORM_LINGER": "60",
        }
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            [self.program, *args], env=env, cwd=self.folder, capture_output=True, text=True, check=False
        )
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise SystemExit(f"{self.program} {' '.join(args)}:\n{done.stderr[-3000:]}")
        return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def make(folder: Path) -> None:
    """Three sets of metadata: one tiny source, one of many entities, and many sources."""
    data = folder / "data"
    data.mkdir()
    (data / "tiny.jsonl").write_text('{"id": 1, "name": "a"}\n{"id": 2, "name": "b"}\n')
    for number in range(ENTITIES):
        lines = "".join(f'{{"id": {i}, "name": "n{i}", "entity": {number}}}\n' for i in range(ROWS))
        (data / f"e{number}.jsonl").write_text(lines)
    head = f'connector: {{type: files, path: "{data}"}}\nentities:\n'
    tiny = "  tiny: {file: tiny.jsonl, key: [id]}\n"
    many = "".join(f"  e{n}: {{file: e{n}.jsonl, key: [id]}}\n" for n in range(ENTITIES))
    write(folder / "metadata", {"tiny": head + tiny, "many": head + many})
    usual = "".join(USUAL.replace("NAME", name) for name in ("people", "orders", "lines", "stock", "visits"))
    wide = f'triggers: [{{type: cron, cron: "15 * * * *", timezone: Europe/Amsterdam}}]\n{head}{usual}'
    write(folder / "wide", {f"s{n}": wide for n in range(SOURCES)})


def write(metadata: Path, sources: dict[str, str]) -> None:
    (metadata / "sources").mkdir(parents=True)
    for name, text in sources.items():
        (metadata / "sources" / f"{name}.yaml").write_text(f"source: {name}\n{text}")


def from_nothing(bench: Bench) -> Took:
    """A run in an empty HOME: servers, tables and all; the servers go with the folder."""
    home = f"new{time.monotonic_ns()}"
    took = bench.run("run", "tiny", home=home)
    shutil.rmtree(bench.folder / home, ignore_errors=True)
    time.sleep(3)
    return took


ROWS_OF_THE_TABLE: list[tuple[str, int, Callable[[Bench], float]]] = [
    ("`--help`, CPU s", 5, lambda b: b.run("--help").cpu),
    ("`check`, CPU s", 5, lambda b: b.run("check").cpu),
    (f"`check` with {SOURCES} sources, s", 3, lambda b: b.run("check", metadata="wide").wall),
    ("tiny `run` from nothing, s", 2, lambda b: from_nothing(b).wall),
    ("tiny `run`, servers up, s", 5, lambda b: b.run("run", "tiny").wall),
    ("tiny `run`, servers up, CPU s", 3, lambda b: b.run("run", "tiny").cpu),
    ("`status`, servers up, s", 5, lambda b: b.run("status").wall),
    (f"{ENTITIES} entities of {ROWS} rows, first run, s", 1, lambda b: b.run("run", "many").wall),
    (f"{ENTITIES} entities of {ROWS} rows, second run, s", 3, lambda b: b.run("run", "many").wall),
]


def main(programs: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="dp-start-", ignore_cleanup_errors=True) as name:
        root = Path(name)
        root.chmod(0o755)
        benches = [Bench(str(Path(p).absolute()), root / str(n)) for n, p in enumerate(programs)]
        for bench in benches:
            bench.folder.mkdir()
            make(bench.folder)
            bench.run("run", "tiny")  # servers are up from here on
        print("| | " + " | ".join(programs) + " |\n|---|" + "---|" * len(programs))
        for label, times, measure in ROWS_OF_THE_TABLE:
            figures = [[measure(b) for b in benches] for _ in range(times)]
            medians = [statistics.median(column) for column in zip(*figures, strict=True)]
            print(f"| {label} | " + " | ".join(f"{m:.2f}" for m in medians) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or [str(Path(sys.executable).with_name("dataplatform"))])
