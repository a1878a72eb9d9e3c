"""Which Prefect API this process talks to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.context import refresh_global_settings_context
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from dataplatform.settings import PrefectApi


def use_api(api: PrefectApi) -> None:
    """Points Prefect, which may have been imported before its server was up, at that API; so for our children."""
    os.environ["PREFECT_API_URL"] = api.url
    if api.auth:
        os.environ["PREFECT_API_AUTH_STRING"] = api.auth
    refresh_global_settings_context()


@contextmanager
def in_sight() -> Iterator[None]:
    """For a flow run that a person waits for: no heartbeats, whose thread ends up to a second after the run."""
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield
