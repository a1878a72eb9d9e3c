"""Asks Prefect for a run of a source, and how a run is; by its REST API, without its library."""

from __future__ import annotations

import urllib.error
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from dataplatform.errors import MetadataError
from dataplatform.orchestration.rest import Rest, translated
from dataplatform.settings import PrefectApi


@dataclass(frozen=True)
class FlowRun:
    """A flow run as Prefect knows it; `ended`: nothing more comes of it."""

    id: str
    name: str
    state: str
    message: str
    ended: bool


_ENDED = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}


def request_ingest(
    api: PrefectApi, source: str, entities: Sequence[str] = (), full: bool = False, force: bool = False
) -> str:
    """Id of the new flow run; a worker takes it. Raises MetadataError where the source is not deployed."""
    parameters: dict[str, Any] = {"source": source, "full": full, "force": force}
    if entities:
        parameters["entities"] = list(entities)
    return _request(api, f"ingest/{source}", parameters)


def request_gold(api: PrefectApi) -> str:
    """Id of the new flow run of the flow gold."""
    return _request(api, "gold/gold", {})


def _request(api: PrefectApi, deployment: str, parameters: dict[str, Any]) -> str:
    rest = Rest(api)
    with translated(api):
        try:
            found = rest.get(f"/deployments/name/{quote(deployment)}")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            raise MetadataError(
                f"{deployment} is not deployed", "wait until `up` has seen its file, or: dataplatform deploy"
            ) from None
        wanted = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(rest.post(f"/deployments/{found['id']}/create_flow_run", wanted)["id"])


def flow_run(api: PrefectApi, id_: str) -> FlowRun | None:
    """None where Prefect knows none of that id."""
    with translated(api):
        try:
            found = Rest(api).get(f"/flow_runs/{quote(id_)}")
        except urllib.error.HTTPError as error:
            if error.code in (404, 422):
                return None
            raise
    state = found.get("state") or {}
    return FlowRun(
        str(found["id"]), str(found["name"]), str(state.get("name") or "?"), str(state.get("message") or ""),
        state.get("type") in _ENDED,
    )  # fmt: skip
