"""Kills every process of an `up`, idle and in the middle of a run, and says how long until all is well again.

    python benchmarks/faults.py [idle|busy] [PROCESS…]

A source is loaded every 20 seconds; before each kill its data gain a record. Measured from the kill, in seconds:

    back        until that process runs again (for `up` itself: it is started again as systemd would, after its
                children have ended, whose seconds stand behind it)
    loaded      until a scheduled run has the new record in silver; more than its period and a run's time is a failure
    closed      until no audit row says that a run is under way whose process is gone

At the end silver holds what the source holds, each record once; else the exit code is 1. Everything is in a folder of
its own and stops by itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from dataplatform.embedded import postgres
from dataplatform.embedded.process import joined

PERIOD = 20  # seconds
PATIENCE = 150.0  # seconds until a kill counts as not recovered
ALLOWED = {"loaded": PERIOD + 100.0, "closed": 120.0}
PROGRAM = Path(sys.executable).with_name("dataplatform")

SOURCE = """source: steady
connector: {type: python, module: slow, config: {folder: "FOLDER"}}
triggers: [{type: interval, every: 20s}]
entities:
  e: {key: [id]}
"""
CONNECTOR = '''"""A file in five pages, one a second."""
import time
from pathlib import Path
from dataplatform.connectors import Page

def extract(request, since):
    lines = Path(request.source.connector.config["folder"], "e.jsonl").read_bytes().splitlines()
    for at in range(5):
        time.sleep(1.0)
        yield Page(lines[at::5], {"page": at})
'''


@dataclass
class Stand:
    """One HOME with its `up`."""

    folder: Path
    up: subprocess.Popen[bytes] | None = None
    records: int = 0

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def start(self) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DATAPLATFORM_", "PREFECT_"))}
        env = kept | {
            "DATAPLATFORM_HOME": str(self.home),
            "DATAPLATFORM_METADATA": str(self.folder / "metadata"),
            "DATAPLATFORM_CONNECTORS": str(self.folder / "connectors"),
            "DATAPLATFORM_LINGER": "0",
        }
        log = (self.folder / "up.log").open("ab")
        self.up = subprocess.Popen([PROGRAM, "up"], env=env, stdout=log, stderr=log, start_new_session=True)
        log.close()

    def add(self) -> None:
        self.records += 1
        with (self.folder / "e.jsonl").open("a") as file:
            file.write(json.dumps({"id": self.records, "v": f"v{self.records}"}) + "\n")

    def ask(self, query: str) -> list[tuple[object, ...]] | None:
        """None where Postgres does not answer, or there is no such table yet."""
        about = joined(self.home / "postgres")
        if about is None:
            return None
        try:
            with psycopg.connect(postgres.url(about), connect_timeout=3) as conn:
                return conn.execute(query).fetchall()
        except psycopg.Error:
            return None

    def loaded(self) -> bool:
        return self.ask("select max(id) from silver_current.steady__e") == [(self.records,)]

    def running(self) -> bool:
        return self.ask("select 1 from audit.run where status = 'running' limit 1") == [(1,)]

    def closed(self, before: float) -> bool:
        moment = f"to_timestamp({before})"
        return self.ask(f"select 1 from audit.run where status = 'running' and started_at < {moment}") == []

    def pid(self, process: str) -> int | None:
        """`up`, `guard`, `worker`, `run`, or `postgres`, `mongo`, `prefect`, and their `…-keeper`."""
        if process == "up":
            return self.up.pid if self.up and self.up.poll() is None else None
        name, _, keeper = process.partition("-")
        if name in ("postgres", "mongo", "prefect"):
            return self._of_state(name, "keeper" if keeper else "pid")
        sign = {"guard": "guard.py", "worker": "prefect\0worker", "run": "prefect.engine"}[process]
        return next((pid for pid, line in _processes() if sign in line and self._is_ours(pid)), None)

    def _of_state(self, name: str, what: str) -> int | None:
        try:
            pid = int(json.loads((self.home / name / "state.json").read_text())[what])
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError):
            return None

    def _is_ours(self, pid: int) -> bool:
        try:
            env = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return f"DATAPLATFORM_HOME={self.home}".encode() in env

    def processes(self) -> list[int]:
        """All processes of this HOME."""
        return [pid for pid, line in _processes() if str(self.home) in line or self._is_ours(pid)]


def _processes() -> list[tuple[int, str]]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                found.append((int(folder.name), (folder / "cmdline").read_bytes().decode("utf-8", "replace")))
            except OSError:
                continue
    return found


def until(condition: Callable[[], bool], what: str, limit: float = PATIENCE) -> float | None:
    """Seconds until it holds; None where it does not within the limit."""
    begun = time.monotonic()
    while time.monotonic() - begun < limit:
        if condition():
            return time.monotonic() - begun
        time.sleep(0.2)
    print(f"  not within {limit:.0f} s: {what}", file=sys.stderr)
    return None


def kill(stand: Stand, process: str, busy: bool) -> dict[str, float | None]:
    stand.add()
    if busy or process == "run":
        until(stand.running, "a run begins", 60)
    else:
        until(lambda: not stand.running() and stand.pid("run") is None, "no run is under way", 60)
    pid = stand.pid(process)
    if pid is None:
        return {"back": None}
    moment, begun = time.time(), time.monotonic()
    os.kill(pid, signal.SIGKILL)
    ended: float | None = None
    if process == "up":
        assert stand.up is not None
        stand.up.wait()
        ended = until(lambda: not stand.processes(), "the children of a killed `up` end", 90)
        stand.start()
    back = until(lambda: stand.pid(process) not in (None, pid), f"{process} is back")
    until(stand.loaded, "a scheduled run has loaded the new record")
    loaded = time.monotonic() - begun
    until(lambda: stand.closed(moment), "the run that was under way is closed")
    closed = time.monotonic() - begun
    return {"back": back, "loaded": loaded, "closed": closed} | ({"ended": ended} if process == "up" else {})


PROCESSES = (
    "worker",
    "guard",
    "prefect",
    "prefect-keeper",
    "postgres",
    "postgres-keeper",
    "mongo",
    "mongo-keeper",
    "up",
)


def main(argv: list[str]) -> int:
    modes = [a for a in argv if a in ("idle", "busy")] or ["idle", "busy"]
    wanted = [a for a in argv if a not in modes] or [*PROCESSES, "run"]
    with tempfile.TemporaryDirectory(prefix="dp-faults-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        stand = Stand(Path(name))
        for folder in ("metadata/sources", "connectors"):
            (stand.folder / folder).mkdir(parents=True)
        (stand.folder / "metadata/sources/steady.yaml").write_text(SOURCE.replace("FOLDER", name))
        (stand.folder / "connectors/slow.py").write_text(CONNECTOR)
        stand.add()
        stand.start()
        try:
            return measure(
                stand, [(p, m == "busy") for m in modes for p in wanted if p != "run" or m == "busy"]
            )
        finally:
            assert stand.up is not None
            stand.up.send_signal(signal.SIGINT)
            stand.up.wait(120)
            if os.environ.get("KEEP_LOG"):
                Path(os.environ["KEEP_LOG"]).write_bytes((stand.folder / "up.log").read_bytes())


def row(process: str, busy: bool, took: dict[str, float | None]) -> str:
    cells = (f"{'-' if (t := took.get(key)) is None else format(t, '.1f'):>8}" for key in ("back", *ALLOWED))
    ended = took.get("ended")
    more = f"  its children ended after {ended:.1f}" if ended is not None else ""
    return f"{process:<18}{'busy' if busy else 'idle':<6}{''.join(cells)}{more}"


def measure(stand: Stand, kills: list[tuple[str, bool]]) -> int:
    if until(stand.loaded, "the first load") is None:
        print((stand.folder / "up.log").read_text()[-3000:], file=sys.stderr)
        return 1
    wrong = []
    print(f"{'killed':<18}{'when':<6}{'back':>8}{'loaded':>8}{'closed':>8}")
    for process, busy in kills:
        took = kill(stand, process, busy)
        print(row(process, busy, took), flush=True)
        late = [k for k, most in ALLOWED.items() if (took.get(k) or PATIENCE) > most]
        if late or (process != "run" and took.get("back") is None):
            wrong.append(f"{process}: {late or 'did not come back'}")
    rows = stand.ask("select count(*), count(distinct id), min(v), max(id) from silver_current.steady__e")
    history = stand.ask("select count(*) from silver.steady__e")
    print(f"silver: {rows}, versions {history}; the source: {stand.records}")
    if rows is None or rows[0][:2] != (stand.records, stand.records) or history != [(stand.records,)]:
        wrong.append("silver is not what the source holds")
    print("\n".join(wrong) or "all came back")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
