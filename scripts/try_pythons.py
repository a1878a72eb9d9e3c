"""Sets the platform up and loads a tiny source on every Python from 3.11 on that this machine has.

    python3 scripts/try_pythons.py [--test-ends]

A copy of the checkout's tracked files is made for each: `make setup`, `dataplatform run`, and a look at the rows.
Run as root, the system's own Python is tried as an ordinary user. `--test-ends` then runs `make test` on the
oldest, and `make unit` on the newest: all tests on both would take CI too long.
Standard library only; exit code 1 where a Python failed.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCE = """source: tiny
connector: {type: files, path: "DATA"}
entities:
  things: {file: things.jsonl, key: [id]}
"""


@dataclass(frozen=True)
class Python:
    """One interpreter; `user` is who runs it where that is somebody else than we are."""

    program: str
    version: tuple[int, ...]
    user: str = ""

    @property
    def name(self) -> str:
        return ".".join(map(str, self.version)) + (f" as {self.user}" if self.user else "")


@dataclass(frozen=True)
class Copy:
    """A copy of the checkout in a folder of its own, and how to run things there."""

    python: Python
    folder: Path

    def run(self, *argv: str, timeout: float = 900) -> str:
        dropped = ("DATAPLATFORM_", "PREFECT_", "VIRTUAL_ENV", "UV_", "PYTHONPATH")
        env = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
        env |= {"HOME": str(self.folder), "DATAPLATFORM_LINGER": "60"}
        who: dict[str, Any] = {}
        if self.python.user:
            entry = pwd.getpwnam(self.python.user)
            who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            env |= {"PATH": "/usr/local/bin:/usr/bin:/bin"}
        done = subprocess.run(
            argv,
            cwd=self.folder / "checkout",
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            **who,
        )
        if done.returncode:
            raise SystemExit(f"{self.python.name}: {' '.join(argv)}\n{(done.stdout + done.stderr)[-6000:]}")
        return done.stdout

    def program(self, *argv: str) -> Any:
        return json.loads(self.run(".venv/bin/dataplatform", *argv, "--json"))


def pythons() -> list[Python]:
    """Every interpreter ≥ 3.11 of the system, of PATH and of pyenv; one of each version, the oldest first."""
    places = [Path("/usr/bin"), *map(Path, os.environ["PATH"].split(":"))]
    places += sorted((Path.home() / ".pyenv" / "versions").glob("*/bin"))
    candidates = [f for place in places for f in sorted(place.glob("python3*")) if os.access(f, os.X_OK)]
    found: dict[tuple[int, ...], Python] = {}
    for path in candidates:
        if path.name.replace("python3", "").replace(".", "").isdigit() or path.name == "python3":
            version = _version(path)
            if version and version >= (3, 11) and "/.venv/" not in str(path):
                ordinary = os.geteuid() == 0 and path.parent == Path("/usr/bin")
                found.setdefault(version, Python(str(path), version, "nobody" if ordinary else ""))
    return [found[v] for v in sorted(found)]


def _version(path: Path) -> tuple[int, ...] | None:
    asked = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    done = subprocess.run([path, "-c", asked], capture_output=True, text=True, check=False)
    return tuple(map(int, done.stdout.strip().split("."))) if done.returncode == 0 else None


def copy(python: Python, folder: Path) -> Copy:
    """The tracked files as they are in the working tree."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (folder / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / "checkout" / name)
    folder.chmod(0o755)
    if python.user:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, python.user)
    return Copy(python, folder)


def load_a_tiny_source(made: Copy) -> None:
    """Two records into silver through a Prefect flow run, on embedded servers."""
    checkout = made.folder / "checkout"
    (made.folder / "things.jsonl").write_text('{"id": 1, "at": "2026-01-01"}\n{"id": 2, "at": null}\n')
    (checkout / "metadata" / "sources" / "tiny.yaml").write_text(SOURCE.replace("DATA", str(made.folder)))
    result = made.program("run", "tiny")
    rows = made.program("status")["sources"]["tiny"]["entities"]["things"]["silver_current"]
    made.program("stop")
    if result["entities"]["things"]["inserted"] != 2 or rows != 2:
        raise SystemExit(f"{made.python.name}: two records were read, silver has {rows}: {result}")
    (checkout / "metadata" / "sources" / "tiny.yaml").unlink()


def attempt(python: Python, target: str) -> None:
    with tempfile.TemporaryDirectory(prefix="dp-python-", ignore_cleanup_errors=True) as name:
        made = copy(python, Path(name))
        started = time.perf_counter()
        made.run("make", "setup", f"PYTHON={python.program}")
        ready = time.perf_counter()
        load_a_tiny_source(made)
        loaded = time.perf_counter()
        line = f"{python.name:20} set-up {ready - started:5.1f} s, a tiny source {loaded - ready:5.1f} s"
        if target:
            said = [text for text in made.run("make", target, timeout=3000).splitlines() if " passed" in text]
            line += f", make {target}: {said[-1].strip('= ')}"
        print(line, flush=True)


def main(test_ends: bool) -> None:
    found = pythons()
    targets = {found[-1]: "unit", found[0]: "test-data"} if test_ends else {}
    for python in found:
        attempt(python, targets.get(python, ""))


if __name__ == "__main__":
    main("--test-ends" in sys.argv[1:])
