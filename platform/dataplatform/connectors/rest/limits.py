"""What an answer says of limits: whether another try may help, and when; by `Retry-After` and rate-limit headers."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


def may_pass(response: httpx.Response) -> bool:
    limited = response.status_code == 403 and (
        "retry-after" in response.headers or left(response) == 0
    )  # GitHub's way to say 429
    return response.status_code in RETRIED or limited


def left(response: httpx.Response) -> int | None:
    """Requests that the server says are left, by either spelling of the header."""
    for name in ("x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining"):
        text = response.headers.get(name, "")
        if text.isdigit():
            return int(text)
    return None


def reset(response: httpx.Response) -> float | None:
    for name in ("x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset"):
        text = response.headers.get(name, "")
        if text.replace(".", "", 1).isdigit():
            value = float(text)
            return max(0.0, value - time.time()) if value > 1e9 else value  # a moment, or seconds from now
    return None


def retry_after(response: httpx.Response) -> float | None:
    """Seconds, from `Retry-After` (seconds or a date, RFC 9110 10.2.3) or the time a limit is reset."""
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
    return reset(response) if left(response) == 0 else None
