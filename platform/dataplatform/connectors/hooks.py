"""Who may push over HTTP: the ways in which senders sign, and what a request's body says. Compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from dataplatform.connectors.contract import encode
from dataplatform.connectors.json_text import one_line
from dataplatform.errors import SourceError
from dataplatform.metadata.base import Duration, Metadata, SecretRef
from dataplatform.metadata.paths import records_in

Headers = Mapping[str, str]  # by lower-case name
TOLERANCE = timedelta(minutes=5)
_TOLERANCE = Field(description="How old a request may be; the sender's clock may go ahead by as much.")


class BearerHook(Metadata):
    """`Authorization: Bearer <token>`, or the token alone in another header."""

    type: Literal["bearer"]
    token: SecretRef = Field(description="What the sender shows.")
    header: str = Field(default="Authorization", description="Header that it stands in.")


class GitHubHook(Metadata):
    """GitHub (and Gitea, Forgejo): `X-Hub-Signature-256`, and `X-GitHub-Delivery` as idempotency key."""

    type: Literal["github"]
    secret: SecretRef = Field(description="The webhook's secret.")


class StripeHook(Metadata):
    """Stripe: `Stripe-Signature`, with its time; the event's `id` is the idempotency key."""

    type: Literal["stripe"]
    secret: SecretRef = Field(description="The endpoint's secret, `whsec_…`.")
    tolerance: Annotated[Duration, _TOLERANCE] = TOLERANCE


class SlackHook(Metadata):
    """Slack: `X-Slack-Signature`, with its time; the challenge of a new address is answered."""

    type: Literal["slack"]
    secret: SecretRef = Field(description="The app's signing secret.")
    tolerance: Annotated[Duration, _TOLERANCE] = TOLERANCE


class StandardHook(Metadata):
    """Standard Webhooks (standardwebhooks.com): `webhook-id`, `webhook-timestamp`, `webhook-signature`."""

    type: Literal["standard"]
    secret: SecretRef = Field(description="`whsec_…`, or the base64 after it.")
    tolerance: Annotated[Duration, _TOLERANCE] = TOLERANCE


class HmacHook(Metadata):
    """Any other sender that signs the body, or its time and the body."""

    type: Literal["hmac"]
    secret: SecretRef = Field(description="The key.")
    header: str = Field(default="X-Signature", description="Header with the signature.")
    prefix: str = Field(default="", description="What stands before it there, such as `sha256=`.")
    algorithm: Literal["sha256", "sha512", "sha1"] = Field(default="sha256", description="Hash.")
    encoding: Literal["hex", "base64"] = Field(default="hex", description="How the signature is written.")
    timestamp: str | None = Field(
        default=None, description="Header with the time in seconds; it is signed, too."
    )
    signed: str = Field(
        default="{body}",
        description="What is signed: `{body}`; with a time `{timestamp}.{body}`, as the sender says.",
    )
    tolerance: Annotated[Duration, _TOLERANCE] = TOLERANCE


Hook = Annotated[
    BearerHook | GitHubHook | StripeHook | SlackHook | StandardHook | HmacHook, Field(discriminator="type")
]


@dataclass(frozen=True)
class Posted:
    """A request as it came."""

    headers: Headers
    body: bytes
    now: float  # seconds since 1970


def allowed(hook: Hook, posted: Posted, resolve: Callable[[Any], Any]) -> bool:
    """Whether the sender knows the secret, and sent this lately. `resolve` gives a secret's value."""
    match hook:
        case BearerHook():
            said = posted.headers.get(hook.header.lower(), "")
            said = said[7:] if said[:7].lower() == "bearer " else said
            return _same(said.strip(), resolve(hook.token))
        case GitHubHook():
            return _same(
                posted.headers.get("x-hub-signature-256", ""),
                "sha256=" + _signed(resolve(hook.secret), posted.body),
            )
        case StripeHook():
            return _stripe(hook, posted, resolve(hook.secret))
        case SlackHook():
            at = posted.headers.get("x-slack-request-timestamp", "")
            wanted = "v0=" + _signed(resolve(hook.secret), b"v0:%s:%s" % (at.encode(), posted.body))
            return _same(posted.headers.get("x-slack-signature", ""), wanted) and _lately(
                at, posted, hook.tolerance
            )
        case StandardHook():
            return _standard(hook, posted, resolve(hook.secret))
        case HmacHook():
            return _generic(hook, posted, resolve(hook.secret))


def _stripe(hook: StripeHook, posted: Posted, secret: str) -> bool:
    """https://docs.stripe.com/webhooks#verify-manually"""
    parts = [part.partition("=")[::2] for part in posted.headers.get("stripe-signature", "").split(",")]
    at = next((value for name, value in parts if name.strip() == "t"), "")
    wanted = _signed(secret, b"%s.%s" % (at.encode(), posted.body))
    found = [_same(value, wanted) for name, value in parts if name.strip() == "v1"]
    return any(found) and _lately(at, posted, hook.tolerance)


def _standard(hook: StandardHook, posted: Posted, secret: str) -> bool:
    """https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""
    at, id_ = posted.headers.get("webhook-timestamp", ""), posted.headers.get("webhook-id", "")
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return False
    signed = b"%s.%s.%s" % (id_.encode(), at.encode(), posted.body)
    wanted = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    said = [part.partition(",")[::2] for part in posted.headers.get("webhook-signature", "").split()]
    found = [_same(value, wanted) for version, value in said if version == "v1"]
    return any(found) and _lately(at, posted, hook.tolerance)


def _generic(hook: HmacHook, posted: Posted, secret: str) -> bool:
    at = posted.headers.get((hook.timestamp or "").lower(), "") if hook.timestamp else ""
    before, _, after = hook.signed.partition("{body}")
    signed = (
        before.replace("{timestamp}", at).encode() + posted.body + after.replace("{timestamp}", at).encode()
    )
    digest = hmac.digest(secret.encode(), signed, hook.algorithm)
    wanted = digest.hex() if hook.encoding == "hex" else base64.b64encode(digest).decode()
    said = posted.headers.get(hook.header.lower(), "")
    said = said.lower() if hook.encoding == "hex" else said
    return _same(said, hook.prefix + wanted) and (not hook.timestamp or _lately(at, posted, hook.tolerance))


def _signed(secret: str, text: bytes) -> str:
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def _same(said: str, wanted: str) -> bool:
    return hmac.compare_digest(said.encode(), wanted.encode())


def _lately(at: str, posted: Posted, tolerance: timedelta) -> bool:
    try:
        return abs(posted.now - float(at)) <= tolerance.total_seconds()
    except ValueError:
        return False


def key_of(posted: Posted, body: Any) -> str | None:
    """What tells this delivery from all others, where the sender says it."""
    for name in ("idempotency-key", "x-github-delivery", "x-gitea-delivery", "webhook-id", "x-request-id"):
        if posted.headers.get(name):
            return posted.headers[name]
    if "stripe-signature" in posted.headers and isinstance(body, dict) and isinstance(body.get("id"), str):
        return str(body["id"])
    return None


def lines_of(body: bytes, records: str | None) -> tuple[list[bytes], Any]:
    """The records of a body, each as a line of JSON, and the body where it is one document.

    One object (as it came), a list of objects, JSON lines, or what the path `records` leads to; numbers keep their
    digits. Raises SourceError for all else.
    """
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    try:
        document = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        lines = text.splitlines()
        if len(lines) < 2:
            raise SourceError(
                f"the body is not JSON: {error}", "send an object, a list of them, or one a line"
            ) from None
        return [_object(line, number) for number, line in enumerate(lines, 1) if line.strip()], None
    if isinstance(document, dict) and records is None:
        return [one_line(text)], document
    try:
        found = records_in(document, records) if records else document
    except ValueError as error:
        raise SourceError(str(error), "`records` in the source's file says where they are") from None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise SourceError(
            "the body is neither an object nor a list of objects", "send these, or one object a line"
        )
    return [encode(one) for one in found], document


def _object(line: bytes, number: int) -> bytes:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"line {number} is not JSON: {error}", "nothing was kept") from None
    if not isinstance(value, dict):
        raise SourceError(f"line {number} is no object", "nothing was kept")
    return line.strip()
