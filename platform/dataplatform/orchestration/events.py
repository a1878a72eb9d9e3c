"""Prefect's events as the receiver of the outbox.

By its REST API, which answers when it has the event: Prefect's own client puts it into a queue of this process, and a
process that dies has marked as delivered what never left it. An event's id follows from the outbox, so that one which
is sent again, for its sender died before it noted that, is the same event to Prefect.
"""

from __future__ import annotations

import urllib.error
from functools import cache
from typing import Any
from uuid import UUID, uuid5

from dataplatform.errors import ServerError, TerminalError
from dataplatform.orchestration.rest import Rest, translated
from dataplatform.settings import PrefectApi

OURS = UUID("6f1a2c52-3f0a-4f55-9d1e-0b7c7f5f2f8e")  # the space that ids of our events are in
REFUSED = (400, 413, 422)  # what Prefect answers to an event that it will never take


def send(event: str, resource: str, payload: dict[str, Any]) -> None:
    """`payload` has what `deliver` adds to it.

    Raises TerminalError for an event that Prefect refuses, ServerError where it cannot take any now.
    """
    api = _api()
    body = {
        "id": event_id(event, resource, payload), "occurred": payload["occurred"], "event": event,
        "resource": {"prefect.resource.id": resource}, "related": [], "payload": payload,
    }  # fmt: skip
    with translated(api):
        try:
            _rest(api).post("/events", [body])
        except urllib.error.HTTPError as error:
            if error.code not in REFUSED:
                raise
            said = f"Prefect at {api.url} answers {error.code} {error.reason}"
            raise TerminalError(said, "see the server's log; the event stays in audit.outbox") from None


def event_id(event: str, resource: str, payload: dict[str, Any]) -> str:
    """The same for the same row of the same outbox, whoever sends it."""
    return str(uuid5(OURS, f"{event} {resource} {payload['outbox_id']} {payload['occurred']}"))


def _api() -> PrefectApi:
    """The server that this process speaks to. Raises ServerError where none is named."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if not url:
        raise ServerError("no Prefect server is named", "set PREFECT_API_URL")
    auth: Any = PREFECT_API_AUTH_STRING.value()
    return PrefectApi(str(url), auth.get_secret_value() if hasattr(auth, "get_secret_value") else auth)


@cache
def _rest(api: PrefectApi) -> Rest:
    """One caller a server: it asks for its token once."""
    return Rest(api)
