"""Asks an API, page by page: authentication, patient retries, redirects within the origin; no secret in any page.

Imported only where an API is read.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urljoin, urlsplit

import httpx
import orjson
from tenacity import RetryCallState, Retrying, retry_if_exception_type

from dataplatform.connectors import paging
from dataplatform.connectors.auth import httpx_auth
from dataplatform.connectors.contract import Item, Records, Request, Since, State, of_kind
from dataplatform.connectors.cursors import greatest
from dataplatform.connectors.json_text import one_line
from dataplatform.connectors.rest import RestConnector, RestEntity
from dataplatform.errors import SourceError, SourceUnavailableError
from dataplatform.metadata.base import SecretRef
from dataplatform.metadata.paths import records_in
from dataplatform.secrets.masking import MASK, SHORTEST, Noted

log = logging.getLogger(__name__)

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_WAIT = 300.0  # seconds; asked to wait longer, we give up and let the flow come back later


def read(request: Request, since: Since) -> Iterator[Item]:
    """Responses as they came, one page each; at the end how far the cursor came."""
    connector, entity = of_kind(request, RestConnector, RestEntity)
    session = _session(request, connector, entity)
    with httpx.Client(timeout=session.timeout, follow_redirects=False) as client:
        call: paging.Call | None = _first_call(request, connector, entity, session.base_url, since)
        seen: set[str] = set()
        newest = None
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
                break  # many APIs answer 404 beyond the last page
            document = _json(session, response)
            records = entity.request.records
            yield Records([one_line(response.content)], session.described(call), "document", records)
            delivered = _records(session, document, records)
            newest = greatest(newest, delivered, entity.cursor)
            call = paging.next_call(connector.paginator, call, response, document, len(delivered))
    if newest is not None:
        yield State(newest)


@dataclass(frozen=True)
class _Session:
    """What all requests of one extraction share. What `noted` knows is never shown."""

    name: str
    method: str
    base_url: str
    headers: dict[str, str]
    auth: httpx.Auth | None
    body: Any
    timeout: float
    noted: Noted
    paginator: Any

    def described(self, call: paging.Call) -> dict[str, Any]:
        """The request as raw keeps it: without headers, without secrets."""
        params = {k: self.masked(str(v)) for k, v in call.params.items()}
        return {"method": self.method, "url": self.masked(call.url), "params": params}

    def masked(self, text: str) -> str:
        masker = self.noted.masker
        for short in masker.values:  # in a request even a PIN
            text = text.replace(short, MASK)
        return masker.text(text)


def _session(request: Request, connector: RestConnector, entity: RestEntity) -> _Session:
    def resolved(value: Any) -> str:
        return str(request.resolve(value))

    def credential(value: Any) -> str:
        return request.noted.note(resolved(value))  # also one that was written as it is

    wanted = entity.request
    headers = {"Accept": "application/json", "User-Agent": "dataplatform"}
    headers |= {k: resolved(v) for k, v in {**connector.headers, **wanted.headers}.items()}
    timeout = connector.timeout.total_seconds() if connector.timeout else request.timeout
    return _Session(
        name=f"source {request.source.source}, entity {request.name}",
        method=wanted.method,
        base_url=_base_url(request, connector),
        headers=headers,
        auth=httpx_auth(connector.auth, resolved, credential),
        body=request.resolve(wanted.body),
        timeout=timeout,
        noted=request.noted,
        paginator=connector.paginator,
    )


def _base_url(request: Request, connector: RestConnector) -> str:
    """Where the API is. Of a URL that is a secret its path and query are, too (as of a webhook's), by their parts."""
    url = request.noted.note_url(str(request.resolve(connector.base_url)))
    if isinstance(connector.base_url, SecretRef):
        parts = urlsplit(url)
        for part in (*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))):
            if len(part) >= SHORTEST:
                request.noted.note(part)
                request.noted.note(unquote(part))
    return url


def _first_call(
    request: Request, connector: RestConnector, entity: RestEntity, base_url: str, since: Since
) -> paging.Call:
    wanted = entity.request
    params = request.resolve({**connector.params, **wanted.params})
    params = {k: v for k, v in params.items() if v is not None}
    cursor = entity.cursor
    if cursor and cursor.param and since.cursor is not None:
        params[cursor.param] = since.cursor
    url = base_url.rstrip("/") + "/" + wanted.path.lstrip("/")
    return paging.first_call(connector.paginator, url, params)


class _TryAgainError(Exception):
    """An answer, or none, that another try may better. `wait`: seconds the server asked for."""

    def __init__(self, problem: str, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


def _send(client: httpx.Client, session: _Session, call: paging.Call, retries: int) -> httpx.Response:
    """One request, tried again while that may help; waits as long as the server asks for."""
    retrying = Retrying(
        retry=retry_if_exception_type(_TryAgainError),
        stop=lambda state: state.attempt_number > retries or (_asked(state) or 0) > LONGEST_WAIT,
        wait=lambda state: (
            _asked(state) or min(60.0, 0.25 * 2**state.attempt_number) * random.uniform(0.5, 1)
        ),
        before_sleep=lambda state: _say(session, state),
        reraise=True,
    )
    try:
        return retrying(_once, client, session, call)
    except _TryAgainError as error:
        raise SourceUnavailableError(
            f"{session.name}: {session.masked(call.url)} failed: {error}",
            "try again later; the batch was not landed, nothing is half-written",
            retry_after=error.wait,
        ) from None


def _once(client: httpx.Client, session: _Session, call: paging.Call) -> httpx.Response:
    """The answer; raises _TryAgainError where another try may help, SourceError where it will not."""
    try:
        response = _follow(client, session, call)
    except httpx.InvalidURL as error:
        raise SourceError(
            f"{session.name}: {session.masked(call.url)} is no address: {error}",
            "correct `base_url` and `path`",
        ) from None
    except httpx.TransportError as error:
        raise _TryAgainError(f"{type(error).__name__}: {session.masked(str(error))}") from None
    beyond = response.status_code == 404 and paging.counts_up(session.paginator, call)
    if response.is_success or beyond:
        return response
    if not _may_pass(response):
        raise _refused(session, call, response)
    raise _TryAgainError(f"HTTP {response.status_code}", _retry_after(response))


def _asked(state: RetryCallState) -> float | None:
    """Seconds that the server asked us to wait."""
    error = state.outcome.exception() if state.outcome else None
    return error.wait if isinstance(error, _TryAgainError) else None


def _say(session: _Session, state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("%s: %s; trying again in %.1f s", session.name, error, state.upcoming_sleep)


def _follow(client: httpx.Client, session: _Session, call: paging.Call) -> httpx.Response:
    """Sends; follows redirects within the same origin only, for our credentials go along."""
    url, params = call.url, call.params
    for _ in range(5):
        _same_origin(session, url)
        response = client.request(
            session.method,
            _with_params(url, params),
            headers=session.headers,
            json=session.body,
            auth=session.auth,
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


def _records(session: _Session, document: Any, records: str | None) -> list[Any]:
    try:
        return records_in(document, records)
    except ValueError as error:
        raise SourceError(f"{session.name}: {error}", "correct `records` in the request") from None
