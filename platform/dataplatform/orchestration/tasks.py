"""A move of data as a Prefect task: retried when that may help, its counts as an artifact."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from prefect import Task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.runtime import flow_run

from dataplatform.audit.record import Counts
from dataplatform.errors import DataplatformError, TransientError
from dataplatform.ingest import RunResult, Step

_ARROWS = {"raw": "source → raw", "bronze": "raw → bronze", "silver": "bronze → silver"}


def run_id() -> str:
    """Id of the flow run we are in; stays the same when Prefect runs it again."""
    return str(flow_run.id)


def task_step(retries: int, delay: float) -> Step:
    """A step for ingest.run: every entity × layer becomes a task run."""

    def step(layer: str, name: str, work: Callable[[], Counts]) -> Counts:
        move: Task[[], Counts] = Task(
            work, name=f"{name} {layer}", task_run_name=f"{name}: {_ARROWS[layer]}",
            retries=retries, retry_condition_fn=_may_pass,
            retry_delay_seconds=[delay * 3**n for n in range(retries)],
            cache_policy=NO_CACHE, persist_result=False,
        )  # fmt: skip
        return move()

    return step


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


def publish(result: RunResult) -> None:
    """The counts as a table, the errors as text; both on the flow run's page in Prefect's UI."""
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


def _markdown(result: RunResult) -> str:
    lines = [f"## {result.source}: {result.status}", f"Batch `{result.batch_id}`", ""]
    for name, found in result.entities.items():
        c = found.counts
        text = f"**{found.error}**" if found.error else (
            f"{c.read:,} read, {c.inserted:,} inserted, {c.updated:,} updated, {c.closed:,} closed, "
            f"{c.unchanged:,} unchanged, {c.quarantined:,} in quarantine"
        )  # fmt: skip
        lines.append(f"- {name}: {text}")
    return "\n".join(lines)


def flush(limit: float = 10.0) -> None:
    """Waits until Prefect has our logs and events; after that its server may be stopped.

    Without it the interpreter's end tries to reach the stopped server for more than a minute.
    """
    for service in (APILogWorker, EventsWorker):
        service.drain_all(timeout=limit, at_exit=False)
