"""Connector `rest`: JSON APIs over HTTP, with paging, authentication and patient retries."""

from __future__ import annotations

import base64
import logging
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import orjson

from dataplatform.connectors import rest_paging as paging
from dataplatform.connectors.contract import Page, Request, Since
from dataplatform.connectors.json_text import one_line
from dataplatform.errors import SourceError, SourceUnavailableError
from dataplatform.metadata.base import SecretRef
from dataplatform.metadata.connector import ApiKeyAuth, BasicAuth, BearerAuth, RestConnector
from dataplatform.metadata.paths import records_in

log = logging.getLogger(__name__)

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_WAIT = 300.0  # seconds; asked to wait longer, we give up and let the flow come back later
MASK = "***"


def extract(request: Request, since: Since) -> Iterator[Page]:
    """Responses as they came, one page each."""
    connector = request.source.connector
    assert isinstance(connector, RestConnector)
    session = _session(request, connector)
    with httpx.Client(timeout=session.timeout, follow_redirects=False) as client:
        call: paging.Call | None = _first_call(request, connector, session, since)
        seen: set[str] = set()
        while call is not None:
            if len(seen) >= connector.max_pages:
                raise SourceError(
                    f"{session.name}: more than {connector.max_pages} pages",
                    "raise `max_pages` in the connector, or check the paginator",
                )
            if repr(call) in seen:
                raise SourceError(
                    f"{session.name}: the paginator asks for the same page again",
                    "check the paginator's paths and parameters against the API's documentation",
                )
            seen.add(repr(call))
            response = _send(client, session, call, connector.retries)
            if response.status_code == 404:
                return  # many APIs answer 404 beyond the last page
            document = _json(session, response)
            records = request.entity.request.records if request.entity.request else None
            yield Page([one_line(response.content)], session.described(call), "document", records)
            count = _count(session, document, records)
            call = paging.next_call(connector.paginator, call, response, document, count)


@dataclass(frozen=True)
class _Session:
    """What all requests of one extraction share. `secrets` are values never to be shown."""

    name: str
    method: str
    base_url: str
    headers: dict[str, str]
    auth_params: dict[str, str]
    body: Any
    timeout: float
    secrets: tuple[str, ...]
    paginator: Any

    def described(self, call: paging.Call) -> dict[str, Any]:
        """The request as raw keeps it: without headers, without secrets."""
        params = {k: self.masked(str(v)) for k, v in call.params.items()}
        return {"method": self.method, "url": self.masked(call.url), "params": params}

    def masked(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return text


def _session(request: Request, connector: RestConnector) -> _Session:
    secrets: list[str] = []

    def resolved(value: Any) -> str:
        text = str(request.resolve(value))
        if isinstance(value, SecretRef) and text:
            secrets.append(text)
        return text

    wanted = request.entity.request
    assert wanted is not None
    headers = {"Accept": "application/json", "User-Agent": "dataplatform"}
    headers |= {k: resolved(v) for k, v in {**connector.headers, **wanted.headers}.items()}
    auth_headers, auth_params = _auth(connector, resolved)
    timeout = connector.timeout.total_seconds() if connector.timeout else request.timeout
    return _Session(
        name=f"source {request.source.source}, entity {request.name}",
        method=wanted.method,
        base_url=resolved(connector.base_url),
        headers=headers | auth_headers,
        auth_params=auth_params,
        body=request.resolve(wanted.body),
        timeout=timeout,
        secrets=tuple(secrets) + tuple(auth_params.values()),
        paginator=connector.paginator,
    )


def _auth(connector: RestConnector, resolved: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Headers and parameters that authenticate."""
    auth = connector.auth
    if isinstance(auth, BearerAuth):
        return {"Authorization": f"Bearer {resolved(auth.token)}"}, {}
    if isinstance(auth, BasicAuth):
        pair = f"{resolved(auth.username)}:{resolved(auth.password)}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}, {}
    if isinstance(auth, ApiKeyAuth):
        pair_ = {auth.name: resolved(auth.key)}
        return (pair_, {}) if auth.location == "header" else ({}, pair_)
    return {}, {}


def _first_call(request: Request, connector: RestConnector, session: _Session, since: Since) -> paging.Call:
    wanted = request.entity.request
    assert wanted is not None
    params = request.resolve({**connector.params, **wanted.params})
    params = {k: v for k, v in params.items() if v is not None}
    cursor = request.entity.cursor
    if cursor and cursor.param and since.cursor is not None:
        params[cursor.param] = since.cursor
    url = session.base_url.rstrip("/") + "/" + wanted.path.lstrip("/")
    return paging.first_call(connector.paginator, url, params)


def _send(client: httpx.Client, session: _Session, call: paging.Call, retries: int) -> httpx.Response:
    """One request, tried again while that may help; waits as long as the server asks for."""
    for attempt in range(retries + 1):
        wait: float | None = None
        try:
            response = _follow(client, session, call)
        except httpx.InvalidURL as error:
            raise SourceError(
                f"{session.name}: {session.masked(call.url)} is no address: {error}",
                "correct `base_url` and `path`",
            ) from None
        except httpx.TransportError as error:
            problem = f"{type(error).__name__}: {session.masked(str(error))}"
        else:
            beyond = response.status_code == 404 and paging.counts_up(session.paginator, call)
            if response.is_success or beyond:
                return response
            if not _may_pass(response):
                raise _refused(session, call, response)
            problem = f"HTTP {response.status_code}"
            wait = _retry_after(response)
        if attempt == retries or (wait or 0) > LONGEST_WAIT:
            break
        pause = wait if wait is not None else min(60.0, 0.5 * 2**attempt) * random.uniform(0.5, 1)
        log.warning("%s: %s; trying again in %.1f s", session.name, problem, pause)
        time.sleep(pause)
    raise SourceUnavailableError(
        f"{session.name}: {session.masked(call.url)} failed: {problem}",
        "try again later; the batch was not landed, nothing is half-written",
        retry_after=wait,
    )


def _follow(client: httpx.Client, session: _Session, call: paging.Call) -> httpx.Response:
    """Sends; follows redirects within the same origin only, for our credentials go along."""
    url, params = call.url, {**call.params, **session.auth_params}
    for _ in range(5):
        _same_origin(session, url)
        response = client.request(
            session.method, _with_params(url, params), headers=session.headers, json=session.body
        )
        if not response.is_redirect:
            return response
        url, params = urljoin(url, response.headers["location"]), {}
    raise SourceError(f"{session.name}: {session.masked(call.url)} redirects in circles")


def _with_params(url: str, params: dict[str, Any]) -> httpx.URL:
    """The URL's own query stays; `params` overrides what has the same name."""
    return httpx.URL(url).copy_merge_params(params) if params else httpx.URL(url)


def _same_origin(session: _Session, url: str) -> None:
    base, other = urlsplit(session.base_url), urlsplit(url)
    if (base.hostname, base.port, base.scheme) == (other.hostname, other.port, other.scheme):
        return
    if base.hostname == other.hostname and other.scheme == "https":
        return
    raise SourceError(
        f"{session.name}: the API sends us on to another server, {other.scheme}://{other.netloc}",
        "if that is right, make it the `base_url`; credentials are never sent elsewhere",
    )


def _may_pass(response: httpx.Response) -> bool:
    limited = response.status_code == 403 and (
        "retry-after" in response.headers or response.headers.get("x-ratelimit-remaining") == "0"
    )  # GitHub's way to say 429
    return response.status_code in RETRIED or limited


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, from `Retry-After` (seconds or a date, RFC 9110 10.2.3) or GitHub's reset time."""
    text = response.headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    if text:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    if response.headers.get("x-ratelimit-remaining") == "0":
        reset = response.headers.get("x-ratelimit-reset", "")
        return max(0.0, float(reset) - time.time()) if reset.isdigit() else None
    return None


def _refused(session: _Session, call: paging.Call, response: httpx.Response) -> SourceError:
    code = response.status_code
    hints = {
        401: "the credentials are wrong or have expired; check the secret",
        403: "the credentials lack a right; check the token's scopes",
        404: "check `base_url` and `path`",
    }
    text = session.masked(" ".join(response.text.split()))[:200]
    return SourceError(
        f"{session.name}: {session.masked(call.url)} answered HTTP {code}: {text}",
        hints.get(code, "check the request against the API's documentation"),
    )


def _json(session: _Session, response: httpx.Response) -> Any:
    if response.status_code == 204 or not response.content.strip():
        raise SourceError(f"{session.name}: the answer is empty where JSON was expected")
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError as error:
        try:
            return response.json()  # NaN, lone surrogates: quarantined by record later
        except ValueError:
            kind = response.headers.get("content-type", "unknown type")
            raise SourceError(
                f"{session.name}: the answer is not JSON ({kind}): {error.msg}",
                "check `base_url` and `path`; an HTML page often means a login is missing",
            ) from None


def _count(session: _Session, document: Any, records: str | None) -> int:
    try:
        return len(records_in(document, records))
    except ValueError as error:
        raise SourceError(f"{session.name}: {error}", "correct `records` in the request") from None
