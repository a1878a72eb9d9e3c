"""Prefect's worker as a process of ours: it ends when we do, however we end."""

from __future__ import annotations

import os
import subprocess
import sys

from dataplatform import project
from dataplatform.embedded import guard
from dataplatform.settings import Settings


def start_worker(settings: Settings, limit: int) -> subprocess.Popen[bytes]:
    """A worker with at most `limit` flow runs at a time, which find the same servers through the same settings.

    The process is its guard's: SIGINT or SIGTERM to it end the worker, and so does our own end.
    """
    env = os.environ | {
        "DATAPLATFORM_HOME": str(settings.home_path),
        "DATAPLATFORM_METADATA": str(settings.metadata_path.absolute()),
        "DATAPLATFORM_CONNECTORS": str(settings.connectors.absolute()),
        "PYTHONSAFEPATH": "1",
    }
    worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", settings.work_pool]
    return subprocess.Popen(
        [
            sys.executable,
            "-I",
            guard.__file__,
            *worker,
            "--type",
            settings.work_pool_type,
            "--limit",
            str(limit),
        ],
        env=env,
        cwd=project.working_directory(),
        stdin=subprocess.PIPE,  # its other end goes when we go
        stdout=sys.stderr,
        start_new_session=True,  # Ctrl-C is for us; we tell it
    )


def stop_worker(worker: subprocess.Popen[bytes]) -> None:
    """Its flow runs are asked to end; returns when all has ended."""
    if worker.poll() is None:
        worker.terminate()
        worker.wait(guard.PATIENCE + 30)
    if worker.stdin:
        worker.stdin.close()
