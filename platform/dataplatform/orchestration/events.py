"""Prefect's events as the receiver of the outbox."""

from __future__ import annotations

from typing import Any

from prefect.events import emit_event


def send(event: str, resource: str, payload: dict[str, Any]) -> None:
    emit_event(event=event, resource={"prefect.resource.id": resource}, payload=payload)
