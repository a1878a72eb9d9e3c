"""Python environments of other people's connectors, each made once under HOME: their pins fight ours, and one
another's.

`environment` is called by the kinds that run such connectors. Whoever comes second waits for who came first.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import gettempdir

from dataplatform.errors import SourceError

log = logging.getLogger(__name__)

# many a package imports pkg_resources, says setuptools or nothing, and means one of those that had it
_SETUPTOOLS = "setuptools<81"
LIMIT = 1_800.0  # seconds for an installation


def environment(home: Path | None, requirements: Sequence[str], what: str) -> Path:
    """Folder of the programs of an environment with these packages; it is made where it is not there.

    Raises SourceError with the installer's own words where they cannot be installed.
    """
    if home is None:
        raise SourceError(f"{what}: there is no HOME to make its environment in", "set DATAPLATFORM_HOME")
    text = "\n".join(["v2", f"{sys.version_info[:2]}", *requirements])
    folder = home / "environments" / hashlib.sha256(text.encode()).hexdigest()[:20]
    ready = folder / ".ready"
    if not ready.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.with_suffix(".lock"), what):
            if not ready.exists():
                _make(folder, requirements, what)
                ready.write_text("\n".join(requirements))
    return folder / ("Scripts" if os.name == "nt" else "bin")


class _alone:  # reads as a word
    """One process makes the environment; the others wait, and say so."""

    def __init__(self, path: Path, what: str) -> None:
        self.path, self.what = path, what

    def __enter__(self) -> None:
        self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s: another process makes its environment; waiting", self.what)
            fcntl.flock(self.handle, fcntl.LOCK_EX)

    def __exit__(self, *error: object) -> None:
        os.close(self.handle)


def _make(folder: Path, requirements: Sequence[str], what: str) -> None:
    """What an earlier try left is taken away first; nothing counts before `.ready` is there."""
    started = time.monotonic()
    log.info(
        "%s: making an environment with %s, once; this takes seconds to minutes",
        what,
        ", ".join(requirements),
    )
    shutil.rmtree(folder, ignore_errors=True)
    uv, python = _uv(), str(folder / "bin" / "python")
    if uv:
        _call([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], what)
        install = [*uv, "pip", "install", "--python", python]
    else:
        _call([sys.executable, "-m", "venv", str(folder)], what)
        install = [python, "-m", "pip", "install", "--quiet"]
    try:
        _call([*install, *requirements, _SETUPTOOLS], what)
    except SourceError:  # they want another, or cannot be installed at all: then this says so
        _call([*install, *requirements], what)
    log.info("%s: its environment is ready, after %.0f s", what, time.monotonic() - started)


def _uv() -> list[str]:
    """How uv is called; empty where there is none, and pip does it."""
    if importlib.util.find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    found = shutil.which("uv")
    return [found] if found else []


def _call(argv: list[str], what: str) -> None:
    """Elsewhere than here: uv would take overrides and indexes out of a pyproject.toml above the working directory."""
    quiet = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")}
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, env=quiet, timeout=LIMIT, check=False, cwd=gettempdir()
        )
    except subprocess.TimeoutExpired:
        raise SourceError(
            f"{what}: its packages were not installed within {LIMIT:.0f} s", "try again"
        ) from None
    if done.returncode:
        said = " ".join(
            line.strip() for line in done.stderr.splitlines() if line.strip() and "WARNING" not in line
        )
        raise SourceError(
            f"{what}: its packages cannot be installed: {said[-600:]}",
            "check name and version on PyPI; other Python versions may fit where this one does not",
        )


def install_into(folder: Path, package: str, what: str) -> None:
    """The files of one package, without what it depends on, in a folder; nothing of it is run."""
    ready = folder / ".ready"
    if ready.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.with_suffix(".lock"), what):
        if ready.exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
        log.info("%s: fetching %s, once", what, package)
        uv = _uv()
        if uv:  # its own bound of Python is not ours: only its files are read
            head = [
                *uv,
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--python-version",
                "3.11",
                "--only-binary",
                ":all:",
            ]
        else:
            head = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--ignore-requires-python",
            ]
        _call([*head, "--target", str(folder), package], what)
        ready.write_text(package)
