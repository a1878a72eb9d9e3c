"""Prefect's REST API without Prefect's library, whose import takes a second."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from dataplatform.errors import ServerError
from dataplatform.settings import PrefectApi

TAG = "dataplatform"  # of every deployment of ours
PAGE = 200  # as many as Prefect gives at once
TIMEOUT = 30.0  # seconds
BUSY = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds until a server that answers 503 is asked again


@dataclass
class Rest:
    """One caller of an API, with its password and the token that Prefect wants with whatever is no GET.

    Raises urllib.error.HTTPError, OSError, and ValueError for an answer that is no JSON.
    """

    api: PrefectApi
    caller: str = field(default_factory=lambda: str(uuid4()))
    token: str | None = field(default=None, repr=False)

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str, body: Any) -> Any:
        return self.call("POST", path, body)

    def pages(self, path: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """All that a filter finds, over the pages in which Prefect gives it."""
        offset = 0
        while page := self.post(path, asked | {"limit": PAGE, "offset": offset}):
            yield from page
            offset += len(page)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON; None where it is empty."""
        headers = {"Content-Type": "application/json"}
        if self.api.auth:
            headers["Authorization"] = f"Basic {base64.b64encode(self.api.auth.encode()).decode()}"
        if method != "GET":
            headers |= self._csrf()
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.api.url.rstrip('/')}{path}", data, headers, method=method)
        text = _answer(request)
        return json.loads(text) if text else None

    def _csrf(self) -> dict[str, str]:
        if self.token is None:
            self.token = self._new_token()
        return {"Prefect-Csrf-Client": self.caller, "Prefect-Csrf-Token": self.token} if self.token else {}

    def _new_token(self) -> str:
        """Empty where the server wants none (it answers 422)."""
        try:
            return str(self.get(f"/csrf-token?client={self.caller}")["token"])
        except urllib.error.HTTPError as error:
            if error.code != 422:
                raise
            return ""


@contextmanager
def translated(api: PrefectApi) -> Iterator[None]:
    """What a caller of Prefect's may meet, as a ServerError for people."""
    try:
        yield
    except urllib.error.HTTPError as error:
        asks = error.code == 401
        hint = "set PREFECT_API_AUTH_STRING to its user:password" if asks else "see the server's log"
        raise ServerError(f"Prefect at {api.url} answers {error.code} {error.reason}", hint) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ServerError(f"Prefect at {api.url} does not answer: {reason}", "check that it runs") from None


def moment(text: str) -> datetime:
    """A time as Prefect writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _answer(request: urllib.request.Request) -> bytes:
    """The answer's body; a server that is busy (SQLite takes one writer at a time) is asked again."""
    waits = iter(BUSY)
    while True:
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            error.close()
            wait = next(waits, None)
            if error.code != 503 or wait is None:
                raise
            time.sleep(wait)
