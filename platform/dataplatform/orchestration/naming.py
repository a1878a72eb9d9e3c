"""What runs are called: what they are about, and when they began: `github 2026-11-24 10:15`, in local time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from prefect.runtime import flow_run


def named_now(what: str, at: datetime | None = None) -> str:
    """The name of a run that begins at that moment, else now."""
    return f"{what} {(at or datetime.now(UTC)).astimezone():%Y-%m-%d %H:%M}"


def by_source() -> str:
    """For a flow with the parameter `source`; Prefect calls it when the run begins."""
    return named_now(str(flow_run.parameters["source"]))


def by_schema() -> str:
    """For a flow with the parameter `schema_name`."""
    return named_now(f"{flow_run.flow_name} {flow_run.parameters['schema_name']}")


def by_flow(name: str) -> Callable[[], str]:
    """For a flow that is about the platform as a whole."""

    def run_name() -> str:
        return named_now(name)

    return run_name
