"""Which Prefect API this process talks to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.context import refresh_global_settings_context
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings


def use_api(url: str) -> None:
    """Points Prefect, which may have been imported before its server was up, at the API under `url`."""
    os.environ["PREFECT_API_URL"] = url
    refresh_global_settings_context()


@contextmanager
def in_sight() -> Iterator[None]:
    """For a flow run that a person waits for: no heartbeats, whose thread ends up to a second after the run."""
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield
