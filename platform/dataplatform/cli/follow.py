"""`dataplatform deploy --follow`: what `up` does beside its servers and worker, for where these are somebody else's.

It stays up for months and is small: deployments are written by a command of their own, for Prefect's library is large.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from dataplatform.bootstrap import open_database
from dataplatform.errors import ServerError, SettingsError
from dataplatform.orchestration.follow import follow
from dataplatform.orchestration.watch import Watch
from dataplatform.settings import load_settings
from dataplatform.triggers.watching import Watching, asking

PROGRAM = Path(sys.executable).with_name("dataplatform")
log = logging.getLogger(__name__)


def stay(ready: Path | None) -> None:
    """Until Ctrl-C or SIGTERM. `ready` is touched every few seconds while servers answer."""
    settings, stop = load_settings(), threading.Event()
    if settings.prefect is None:
        raise SettingsError("there is no PREFECT_API_URL to follow", "set it, or use `dataplatform up`")

    def end(number: int, frame: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with open_database(settings) as engine:
        watch = Watch(settings.prefect, engine, settings.work_pool, ready.touch if ready else lambda: None)
        triggers = Watching(settings.metadata_path, engine, asking(settings.prefect))
        threads = [
            threading.Thread(target=watch.run, args=(stop,), name="runs", daemon=True),
            threading.Thread(target=triggers.run, args=(stop,), name="triggers", daemon=True),
        ]
        for thread in threads:
            thread.start()
        # nothing was seen before: what changed while we were away is deployed first
        follow(settings.metadata_path, {}, _deploy, stop)
        for thread in threads:
            thread.join(10)


def _deploy() -> None:
    done = subprocess.run([PROGRAM, "deploy"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerError(done.stderr.strip() or f"`dataplatform deploy` ended with {done.returncode}")
    log.info("metadata have changed: %s", ", ".join(done.stdout.split("\n"))[:500])
