"""Links from Prefect's pages to ours, where DATAPLATFORM_WEB_URL says what their address is."""

from __future__ import annotations

import contextlib
from urllib.parse import quote, urlencode

from prefect.artifacts import create_link_artifact
from prefect.context import FlowRunContext

from dataplatform.settings import Settings


def link(settings: Settings, *path: str, **query: str) -> str:
    """The address of one of our pages; empty where nobody said where they are."""
    if not settings.web_url:
        return ""
    there = "/".join([settings.web_url, *(quote(step, safe="") for step in path)])
    return f"{there}?{urlencode(query)}" if query else there


def described(text: str, url: str, what: str) -> str:
    """A description of a deployment, which Prefect shows as Markdown."""
    return f"{text}\n\n[{what}]({url})" if url else text


def show_link(key: str, url: str, text: str) -> None:
    """On the page of the flow run that goes on; nothing where there is no address, and never an error."""
    if url and FlowRunContext.get() is not None:
        with contextlib.suppress(Exception):  # as for all artifacts: it must not make a run fail
            create_link_artifact(url, link_text=text, key=key, description="In dataplatform's pages")
