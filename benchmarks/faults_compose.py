"""faults.py for a compose stack that is up: kills every container's process, idle and in the middle of a run.

    python benchmarks/faults_compose.py FOLDER [SERVICE…]

As root: processes are killed by their ids, as a crash would do it. FOLDER holds docker-compose.yml and .env; a source
`steady` and its connector are put there for the time being.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from faults import ALLOWED, CONNECTOR, PATIENCE, SOURCE, row, until

SERVICES = ("postgres", "mongo", "prefect", "follow", "worker", "auto-dw")


@dataclass
class Stack:
    """A running stack."""

    folder: Path
    records: int = 0

    def compose(self, *args: str) -> str:
        argv = ["docker", "compose", *args]
        return subprocess.run(
            argv, cwd=self.folder, capture_output=True, text=True, check=False
        ).stdout.strip()

    def begin(self) -> None:
        source = SOURCE.replace("FOLDER", "/files")
        (self.folder / "metadata/sources/steady.yaml").write_text(source)
        (self.folder / "connectors/slow.py").write_text(CONNECTOR)
        (self.folder / "data/e.jsonl").write_text("")
        for path in ("metadata/sources/steady.yaml", "connectors/slow.py", "data/e.jsonl"):
            (self.folder / path).chmod(0o644)
        self.add()

    def end(self) -> None:
        for path in ("metadata/sources/steady.yaml", "connectors/slow.py", "data/e.jsonl"):
            (self.folder / path).unlink(missing_ok=True)

    def add(self) -> None:
        self.records += 1
        with (self.folder / "data/e.jsonl").open("a") as file:
            file.write(json.dumps({"id": self.records, "v": f"v{self.records}"}) + "\n")

    def ask(self, query: str) -> str:
        return self.compose("exec", "-T", "postgres", "psql", "-U", "dataplatform", "-tAc", query)

    def loaded(self) -> bool:
        return self.ask("select max(id) from silver_current.steady__e") == str(self.records)

    def running(self) -> bool:
        return self.ask("select count(*) from audit.run where status = 'running'") not in ("", "0")

    def closed(self, before: float) -> bool:
        moment = f"started_at < to_timestamp({before})"
        return self.ask(f"select count(*) from audit.run where status = 'running' and {moment}") == "0"

    def pid(self, service: str) -> int:
        container = self.compose("ps", "-q", service)
        inspected = ["docker", "inspect", "-f", "{{.State.Pid}}", container]
        done = subprocess.run(inspected, capture_output=True, text=True, check=False)
        return int(done.stdout.strip() or 0)


def kill(stack: Stack, service: str, busy: bool) -> dict[str, float | None]:
    stack.add()
    if busy:
        until(stack.running, "a run begins", 60)
    else:
        until(lambda: not stack.running(), "no run is under way", 60)
    pid, moment, begun = stack.pid(service), time.time(), time.monotonic()
    os.kill(pid, signal.SIGKILL)
    back = until(lambda: stack.pid(service) not in (0, pid), f"{service} is back")
    until(stack.loaded, "a scheduled run has loaded the new record")
    loaded = time.monotonic() - begun
    until(lambda: stack.closed(moment), "the run that was under way is closed")
    return {"back": back, "loaded": loaded, "closed": time.monotonic() - begun}


def main(argv: list[str]) -> int:
    stack = Stack(Path(argv[0]))
    stack.begin()
    try:
        if until(stack.loaded, "the first load") is None:
            return 1
        wrong = []
        print(f"{'killed':<18}{'when':<6}{'back':>8}{'loaded':>8}{'closed':>8}")
        for busy in (False, True):
            for service in argv[1:] or SERVICES:
                took = kill(stack, service, busy)
                print(row(service, busy, took), flush=True)
                wrong += [f"{service}: {k}" for k, most in ALLOWED.items() if (took[k] or PATIENCE) > most]
        rows = stack.ask("select count(*), count(distinct id) from silver.steady__e")
        print(f"silver: {rows}; the source: {stack.records}")
        wrong += [] if rows == f"{stack.records}|{stack.records}" else ["silver is not what the source holds"]
        print("\n".join(wrong) or "all came back")
        return 1 if wrong else 0
    finally:
        stack.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
