"""Moves as Prefect tasks: retried when that may help, their counts as artifacts."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from prefect import Task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.runtime import flow_run

from dataplatform.errors import DataplatformError, TransientError
from dataplatform.orchestration.links import link, show_link
from dataplatform.orchestration.runners import is_elsewhere, runner_named
from dataplatform.pipeline import Move
from dataplatform.records.counts import Counts
from dataplatform.records.refs import RunRef
from dataplatform.runs.chains import Submit
from dataplatform.runs.order import RunResult
from dataplatform.settings import Settings
from dataplatform.stamp import Stamp

Perform = Callable[[Move, Stamp | None], Counts]


def run_ref() -> RunRef:
    """The flow run we are in; stays the same when Prefect runs it again."""
    return RunRef(str(flow_run.id))


@contextlib.contextmanager
def as_tasks(
    perform: Perform, settings: Settings, stamp: Callable[[], Stamp] | None = None
) -> Iterator[Submit]:
    """Every move becomes a task run of the flow we are in, tried again where that may help.

    The task runner is the one that the settings name, and not one of the flow's decorator: those are read when a
    flow runs, not when its module is imported. `perform` is called where the runner has it done; it opens that
    process's platform. `stamp`: gives what that process must work by. Raises SettingsError where there is no such
    runner.
    """
    task: Task[[Move, Stamp | None], Counts] = Task(
        perform,
        name="move",
        task_run_name="{move.title}",
        retries=settings.retries,
        retry_condition_fn=_may_pass,
        retry_delay_seconds=[settings.retry_delay * 3**n for n in range(settings.retries)],
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    asked = stamp() if stamp and is_elsewhere(settings.task_runner) else None
    with runner_named(settings.task_runner, settings.parallel) as runner:
        yield lambda move: runner.submit(task, {"move": move, "stamp": asked})


def _may_pass(task_: Any, run: Any, state: Any) -> bool:
    try:
        state.result()
    except TransientError:
        return True
    except BaseException:  # only asks whether to retry; the error is raised anyway
        return False
    return False


class _Quiet(logging.Filter):
    """Takes the traceback off errors that are meant for people; the message says it all."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(error, DataplatformError):
            record.exc_info = None
        return True


def quiet_errors() -> None:
    """Makes Prefect log our errors without tracebacks; defects keep theirs."""
    for name in ("prefect.task_runs", "prefect.flow_runs"):
        logger = logging.getLogger(name)
        if not any(isinstance(f, _Quiet) for f in logger.filters):
            logger.addFilter(_Quiet())


def publish(result: RunResult, settings: Settings) -> None:
    """The counts as a table, the errors as text, a link to our page; all on the flow run's page in Prefect's UI."""
    if FlowRunContext.get() is None:
        return
    rows = [{"entity": n, **asdict(r.counts), "error": r.error or ""} for n, r in result.entities.items()]
    key = result.source.replace("_", "-")
    with contextlib.suppress(Exception):  # an artifact must never fail a load that is done
        create_table_artifact(rows, key=f"{key}-counts", description=f"Batch {result.batch_id}")
        create_markdown_artifact(_markdown(result), key=f"{key}-run")
        if result.checks:
            create_table_artifact(
                result.checks, key=f"{key}-checks", description=f"Checks of {result.batch_id}"
            )
    show_link(f"{key}-page", link(settings, "runs", run_ref().run_id), f"This run of {result.source}")


def _markdown(result: RunResult) -> str:
    lines = [f"## {result.source}: {result.status}", f"Batch `{result.batch_id}`", ""]
    for name, entity in result.entities.items():
        c = entity.counts
        text = (
            f"**{entity.error}**"
            if entity.error
            else (
                f"{c.read:,} read, {c.inserted:,} inserted, {c.updated:,} updated, {c.closed:,} closed, "
                f"{c.unchanged:,} unchanged, {c.quarantined:,} in quarantine"
            )
        )
        lines.append(f"- {name}: {text}")
    return "\n".join(lines)


def flush(limit: float = 10.0) -> None:
    """Waits until Prefect has our logs and events; after that its server may be stopped.

    Without it the interpreter's end tries to reach the stopped server for more than a minute.
    """
    for service in (APILogWorker, EventsWorker):
        service.drain_all(timeout=limit, at_exit=False)
