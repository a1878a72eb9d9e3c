"""Where the moves of a run are done: Prefect's task runners, by the name that `DATAPLATFORM_TASK_RUNNER` gives them."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from dataplatform.errors import SettingsError

Runner = TaskRunner[Any]

ADDRESS = re.compile(r"(tcp|tls|ws|wss)://[^\s/]+:\d+")  # of a Dask scheduler


def _dask(**how: Any) -> Runner:
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError:
        raise SettingsError(
            "the setting DATAPLATFORM_TASK_RUNNER asks for Dask, which is not installed",
            "pip install 'dataplatform[dask]', on every machine that is to do a part",
        ) from None
    # what its parts say to one another is of use to nobody who waits for a run
    logging.getLogger("distributed").setLevel(logging.ERROR)
    return DaskTaskRunner(**how)


def _local_cluster(parallel: int) -> Runner:
    """Processes on this machine, for the time of the run; none listens beyond it."""
    number = max(1, min(parallel, os.cpu_count() or 1))
    return _dask(
        cluster_kwargs={
            "n_workers": number,
            "threads_per_worker": 1,
            "dashboard_address": None,
            "silence_logs": logging.ERROR,
            "host": "127.0.0.1",
        }
    )


# another one is an entry here; it performs `bootstrap.perform` wherever it likes, with that process's platform
RUNNERS: dict[str, Callable[[int], Runner]] = {
    "threads": lambda parallel: ThreadPoolTaskRunner(),
    "dask": _local_cluster,
}


def runner_named(name: str, parallel: int = 4) -> Runner:
    """A new runner, not started yet, for so many tasks at once; raises SettingsError with the names there are."""
    if ADDRESS.fullmatch(name):
        return _dask(address=name)
    if name not in RUNNERS:
        raise SettingsError(
            f"the setting DATAPLATFORM_TASK_RUNNER is {name!r}, and no task runner has that name",
            f"legal: {', '.join(sorted(RUNNERS))}, or a Dask scheduler's address, such as tcp://10.0.0.2:8786",
        )
    return RUNNERS[name](parallel)


def is_elsewhere(name: str) -> bool:
    """Whether other processes do the work."""
    return name != "threads"
