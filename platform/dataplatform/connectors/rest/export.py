"""Asynchronous exports: makes a job, looks until it is ready, downloads what it gave."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx

from dataplatform.connectors.rest.answer import parsed
from dataplatform.connectors.rest.client import Session, send
from dataplatform.connectors.rest.filling import filled
from dataplatform.connectors.rest.model import Export
from dataplatform.connectors.rest.turning import Call
from dataplatform.errors import SourceError, SourceUnavailableError
from dataplatform.metadata.paths import MISSING, dig, found_by, is_jsonpath

Result = tuple[Call, httpx.Response]


def results(session: Session, wanted: Export, call: Call) -> Iterator[Result]:
    """The answers that hold the records, each with the call that gave it."""
    response = send(session, call)
    job = parsed(response.content, response, session.name)
    if not isinstance(job, dict):
        job = {"id": job}
    asking = _plain(session)
    seen, last = _ready(asking, wanted, job)
    job = {**job, **seen} if isinstance(seen, dict) else job
    if not wanted.download and wanted.download_path is None:
        yield last
        return
    for url in _addresses(session, wanted, job):
        got = Call(url)
        yield got, send(asking, got, public=True)


def _plain(session: Session) -> Session:
    """The same session for requests without a body."""
    from dataclasses import replace

    return replace(session, verb="GET", form=False)


def _ready(session: Session, wanted: Export, job: dict[str, Any]) -> tuple[Any, Result]:
    """Looks at the job until it is done; its last answer."""
    poll, deadline = wanted.poll, time.monotonic() + wanted.poll.limit.total_seconds()
    call = Call(_url(session, str(filled(poll.path, {"job": job}, session.name, path=_is_path(poll.path)))))
    while True:
        response = send(session, call)
        document = parsed(response.content, response, session.name)
        state = _text(document, poll.status).lower()
        if state in {s.lower() for s in poll.done}:
            return document, (call, response)
        if state in {s.lower() for s in poll.failed}:
            raise SourceError(
                f"{session.name}: the export ended as {state!r}", "see the API's own page for the reason"
            )
        if not state:
            raise SourceError(
                f"{session.name}: the job's answer has no state at `{poll.status}`",
                "correct `poll: {status: …}`",
            )
        if time.monotonic() + poll.every.total_seconds() > deadline:
            raise SourceUnavailableError(
                f"{session.name}: the export is still {state!r} after {poll.limit}",
                "raise `poll: {limit: …}`, or try later",
            )
        time.sleep(poll.every.total_seconds())


def _is_path(path: str) -> bool:
    """Whether values are parts of it; a placeholder alone is an address."""
    return not path.startswith("{job.")


def _text(document: Any, path: str) -> str:
    found = dig(document, path)
    return "" if found is MISSING or found is None else str(found)


def _addresses(session: Session, wanted: Export, job: dict[str, Any]) -> list[str]:
    if wanted.download_path is not None:
        found = (
            found_by(job, wanted.download_path)
            if is_jsonpath(wanted.download_path)
            else [dig(job, wanted.download_path)]
        )
        flat = [url for one in found for url in (one if isinstance(one, list) else [one])]
        if not all(isinstance(url, str) and url for url in flat):
            raise SourceError(
                f"{session.name}: no address at `{wanted.download_path}`", "correct `download_path`"
            )
        return [_url(session, url) for url in flat]
    return [
        _url(
            session, str(filled(wanted.download, {"job": job}, session.name, path=_is_path(wanted.download)))
        )
    ]


def _url(session: Session, path: str) -> str:
    return path if "://" in path else session.base_url.rstrip("/") + "/" + path.lstrip("/")
