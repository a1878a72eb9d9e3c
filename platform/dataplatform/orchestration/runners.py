"""Where the moves of a run are done: Prefect's task runners, by the name that `DATAPLATFORM_TASK_RUNNER` gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from dataplatform.errors import SettingsError

Runner = TaskRunner[Any]

# another one is an entry here; it performs `bootstrap.perform` wherever it likes, with that process's platform
RUNNERS: dict[str, Callable[[], Runner]] = {"threads": ThreadPoolTaskRunner}


def runner_named(name: str) -> Runner:
    """A new runner, not started yet; raises SettingsError with the names there are."""
    if name not in RUNNERS:
        raise SettingsError(
            f"the setting DATAPLATFORM_TASK_RUNNER is {name!r}, and no task runner has that name",
            f"legal: {', '.join(sorted(RUNNERS))}",
        )
    return RUNNERS[name]()
