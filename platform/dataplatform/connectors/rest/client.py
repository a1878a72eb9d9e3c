"""Sends requests: credentials, budget, patience, redirects within the origin, what answers are to be done about.

Imported only where an API is read. No secret is in anything that describes a request.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urljoin, urlsplit

import httpx
import orjson

from dataplatform.connectors.contract import Request
from dataplatform.connectors.rest.answer import too_much
from dataplatform.connectors.rest.credentials import Renewed, credentials
from dataplatform.connectors.rest.gate import Gate
from dataplatform.connectors.rest.limits import left, may_pass, reset, retry_after
from dataplatform.connectors.rest.model import ResponseAction, RestConnector, RestEntity
from dataplatform.connectors.rest.turning import Call
from dataplatform.errors import ConnectionExpiredError, SourceError, SourceUnavailableError
from dataplatform.metadata.base import SecretRef
from dataplatform.metadata.paths import MISSING, dig, found_by, is_jsonpath
from dataplatform.secrets.masking import MASK, SHORTEST, Noted

log = logging.getLogger(__name__)

LONGEST_WAIT = 300.0  # seconds; asked to wait longer, we give up and let the flow come back later
_CREDENTIAL = frozenset(
    [
        "access_token",
        "api_key",
        "apikey",
        "auth",
        "client_secret",
        "code",
        "key",
        "passwd",
        "password",
        "refresh_token",
        "secret",
        "sig",
        "signature",
        "token",
        "x-amz-credential",
        "x-amz-security-token",
        "x-amz-signature",
        "x-goog-signature",
    ]
)


@dataclass
class Session:
    """What all requests of one extraction share. What `noted` knows is never shown."""

    name: str
    connector: RestConnector
    base_url: str
    auth: httpx.Auth | None
    client: httpx.Client
    gate: Gate
    noted: Noted
    actions: tuple[ResponseAction, ...] = ()
    verb: str = "GET"
    form: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    @cached_property
    def origin(self) -> str:
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}"

    def described(self, call: Call) -> dict[str, Any]:
        """The request as raw keeps it: without headers, without secrets."""
        params = {k: self.shown(k, v) for k, v in call.params.items()}
        about = {"method": self.verb, "url": self.masked(_without_credentials(call.url)), "params": params}
        return about | ({"body": self.noted.masker.value(call.body)} if call.body is not None else {})

    def shown(self, name: str, value: Any) -> str:
        return MASK if name.lower() in _CREDENTIAL else self.masked(str(value))

    def masked(self, text: str) -> str:
        masker = self.noted.masker
        for short in masker.values:  # in a request even a PIN
            text = text.replace(short, MASK)
        return masker.text(text)


class ResetError(Exception):
    """The paging is to begin again."""


class IgnoredError(Exception):
    """The answer counts as no records."""


class _TryAgainError(Exception):
    """An answer, or none, that another try may better. `wait`: seconds the server asked for."""

    def __init__(self, problem: str, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


def session_of(
    request: Request, connector: RestConnector, entity: RestEntity, client: httpx.Client, gate: Gate
) -> Session:
    def resolved(value: Any) -> str:
        return str(request.resolve(value))

    wanted = entity.request
    kinds = {
        "auto": "application/json",
        "json": "application/json",
        "xml": "application/xml, text/xml",
        "csv": "text/csv",
        "jsonl": "*/*",
    }
    headers = {"Accept": kinds[wanted.format], "User-Agent": "dataplatform"}
    headers |= {k: resolved(v) for k, v in {**connector.headers, **wanted.headers}.items()}
    base_url = _base_url(request, connector)
    return Session(
        f"source {request.source.source}, entity {request.name}",
        connector,
        base_url,
        credentials(request, connector.auth, base_url),
        client,
        gate,
        request.noted,
        (*wanted.response_actions, *connector.response_actions),
        wanted.verb,
        wanted.form is not None,
        headers,
    )


def gate_of(request: Request, connector: RestConnector) -> Gate:
    path = request.home / "api" / request.source.source if request.home else None
    return Gate(connector.budget, Path(path) if path else None, connector.concurrency)


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


def send(session: Session, call: Call, beyond: bool = False, public: bool = False) -> httpx.Response:
    """One request, tried again while that may help; waits as long as the server asks for.

    `beyond`: it may lie beyond the last page, and then a 404 is an answer. `public`: another server may be asked, and
    gets no credentials. Raises IgnoredError and ResetError where `response_actions` say so.
    """
    tries, failing_since, renewed = 0, 0.0, False
    while True:
        wait = session.gate.turn()
        if wait > LONGEST_WAIT:
            raise _unavailable(session, call, "the budget of requests is used up", wait)
        if wait:
            time.sleep(wait)
        try:
            with session.gate.lanes:
                response = _follow(session, call, public)
            action = _action(session, response)
            if action is not None and action.action == "refresh_token" and not renewed:
                renewed = _renew(session)
                continue
            return _judged(session, call, response, action, beyond)
        except httpx.InvalidURL as error:
            raise SourceError(
                f"{session.name}: {session.masked(call.url)} is no address: {error}",
                "correct `base_url` and `path`",
            ) from None
        except httpx.TransportError as error:
            problem = _TryAgainError(f"{type(error).__name__}: {session.masked(str(error))}")
        except httpx.DecodingError as error:
            problem = _TryAgainError(f"the answer cannot be unpacked: {session.masked(str(error))}")
        except _TryAgainError as error:
            problem = error
        tries += 1
        failing_since = failing_since or time.monotonic()
        failing_since += _pause(session, call, problem, tries, failing_since)


def _pause(session: Session, call: Call, problem: _TryAgainError, tries: int, since: float) -> float:
    """Waits before another try; the seconds that the server asked for, which do not count as failing."""
    asked = problem.wait or 0.0
    seconds = asked or min(60.0, 0.25 * 2**tries) * random.uniform(0.5, 1)
    left = session.connector.give_up.total_seconds() - (time.monotonic() - since)
    if tries > session.connector.retries or asked > LONGEST_WAIT or (not asked and seconds > left):
        raise _unavailable(session, call, str(problem), problem.wait) from None
    log.warning("%s: %s; trying again in %.1f s", session.name, problem, seconds)
    if asked:
        session.gate.pause(asked)  # for all that ask this source
        return asked
    time.sleep(seconds)
    return 0.0


def _unavailable(session: Session, call: Call, problem: str, wait: float | None) -> SourceUnavailableError:
    return SourceUnavailableError(
        f"{session.name}: {session.masked(_without_credentials(call.url))} failed: {problem}",
        "try again later; the batch was not landed, nothing is half-written",
        retry_after=wait,
    )


def _judged(
    session: Session, call: Call, response: httpx.Response, action: ResponseAction | None, beyond: bool
) -> httpx.Response:
    """The answer; raises _TryAgainError where another try may help, SourceError where it will not."""
    _heed(session, response)
    if action is not None:
        said = action.message or f"HTTP {response.status_code}: {_words(session, response)}"
        match action.action:
            case "ignore":
                raise IgnoredError
            case "reset_paging":
                raise ResetError
            case "retry":
                raise _TryAgainError(said, retry_after(response))
            case "fail":
                raise SourceError(
                    f"{session.name}: {said}", "`response_actions` in its metadata make this answer an error"
                )
            case "accept":
                return response
    if response.is_success or response.status_code == 304 or (beyond and response.status_code == 404):
        return response
    if may_pass(response):
        raise _TryAgainError(f"HTTP {response.status_code}", retry_after(response))
    raise _refused(session, call, response)


def _action(session: Session, response: httpx.Response) -> ResponseAction | None:
    for action in session.actions:
        if action.status and response.status_code not in action.status:
            continue
        if action.text and action.text.lower() not in response.text.lower():
            continue
        if action.where and not _holds(response, action.where):
            continue
        return action
    return None


def _holds(response: httpx.Response, path: str) -> bool:
    try:
        document = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return False
    value = found_by(document, path) if is_jsonpath(path) else dig(document, path)
    return value is not MISSING and bool(value)


def _renew(session: Session) -> bool:
    """Gets a new token in place of the one that was used last; True, so that it is done once."""
    if isinstance(session.auth, Renewed):
        session.auth.token(session.auth.token(""))
    return True


def _follow(session: Session, call: Call, public: bool) -> httpx.Response:
    """Sends; follows redirects within the same origin only, for our credentials go along."""
    url, params = call.url, call.params
    for _ in range(6):
        ours = _same_origin(session, url)
        if not ours and not public:
            other = urlsplit(url)
            raise SourceError(
                f"{session.name}: the API sends us on to another server, {other.scheme}://{other.netloc.rpartition('@')[2]}",
                "if that is right, make it the `base_url`; credentials are never sent elsewhere",
            )
        response = _receive(session, call, _with_params(url, params), ours)
        if not response.has_redirect_location:
            return response
        url, params = urljoin(url, response.headers["location"]), {}
    raise SourceError(f"{session.name}: {session.masked(call.url)} redirects in circles")


def _receive(session: Session, call: Call, url: httpx.URL, ours: bool) -> httpx.Response:
    """The answer, read up to `max_bytes`: what unpacks to more is refused before it fills the memory."""
    headers = {**session.headers, **call.headers} if ours else {"User-Agent": "dataplatform"}
    body: dict[str, Any] = {}
    if call.body is not None:
        body = {"data": call.body} if session.form else {"json": call.body}
    verb = session.verb if ours or call.body is not None else "GET"
    request = session.client.build_request(verb, url, headers=headers, **body)
    response = session.client.send(request, auth=session.auth if ours else None, stream=True)
    try:
        if "," in response.headers.get("content-encoding", ""):  # gzip in gzip: a few bytes may be all memory
            raise SourceError(
                f"{session.name}: the answer is packed several times over", "ask the API's maker"
            )
        bound, pieces, size = session.connector.max_bytes, [], 0
        for piece in response.iter_bytes():
            pieces.append(piece)
            size += len(piece)
            if size > bound:
                raise too_much(session.name, bound)
    finally:
        response.close()
    response._content = b"".join(pieces)  # what httpx's own `read` does, without a bound
    return response


def _with_params(url: str, params: dict[str, Any]) -> httpx.URL:
    """The URL's own query stays; `params` overrides what has the same name."""
    return httpx.URL(url).copy_merge_params(params) if params else httpx.URL(url)


def _without_credentials(url: str) -> str:
    """What a query calls a token, whoever made it, is not shown."""
    head, mark, query = url.partition("?")
    if not mark:
        return url
    parts = [
        p if p.partition("=")[0].lower() not in _CREDENTIAL else f"{p.partition('=')[0]}={MASK}"
        for p in query.split("&")
    ]
    return head + "?" + "&".join(parts)


def _same_origin(session: Session, url: str) -> bool:
    if url.startswith(session.origin + "/"):
        return True
    base, other = urlsplit(session.base_url), urlsplit(url)
    if (base.hostname, base.port, base.scheme) == (other.hostname, other.port, other.scheme):
        return True
    return (
        base.hostname == other.hostname
        and base.scheme == "http"
        and other.scheme == "https"
        and other.port in (None, 443)
    )


def _heed(session: Session, response: httpx.Response) -> None:
    """Waits before the limit is hit, where the server says that nothing is left and until when."""
    if response.is_success and left(response) == 0:
        seconds = reset(response)
        if seconds:
            session.gate.pause(min(seconds, LONGEST_WAIT + 1))


def _words(session: Session, response: httpx.Response) -> str:
    return session.masked(" ".join(response.text.split()))[:200]


def _refused(session: Session, call: Call, response: httpx.Response) -> SourceError:
    code = response.status_code
    hints = {
        401: "the credentials are wrong or have expired; check the secret",
        403: "the credentials lack a right; check the token's scopes",
        404: "check `base_url` and `path`; `response_actions: [{status: 404, action: ignore}]` takes it for no records",
    }
    kind = SourceError
    if code == 401 and session.connector.auth.type == "oauth2":
        kind, hints[401] = (
            ConnectionExpiredError,
            "connect again: dataplatform connect " + session.name.split()[1].rstrip(","),
        )
    return kind(
        f"{session.name}: {session.masked(_without_credentials(call.url))} answered HTTP {code}: "
        f"{_words(session, response)}",
        hints.get(code, "check the request against the API's documentation"),
    )
