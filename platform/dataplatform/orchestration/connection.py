"""Which Prefect API this process talks to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.context import refresh_global_settings_context
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from dataplatform.errors import ServerError
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


@contextmanager
def api_errors() -> Iterator[None]:
    """What Prefect's client raises where its server went away or failed, as a ServerError.

    A flow run's own errors are in its state; these come from before it began, or from telling how it ended. That the
    server's version cannot be asked is a RuntimeError.
    """
    try:
        yield
    except (httpx.HTTPError, PrefectException, RuntimeError) as error:
        raise ServerError(
            f"Prefect at {PREFECT_API_URL.value()} failed: {type(error).__name__}: {error}",
            "what was loaded until then is loaded (`dataplatform status`); see that its server runs, then run again",
        ) from error
