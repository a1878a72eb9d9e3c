"""The second factor: codes of an authenticator app (RFC 6238: SHA-1, six digits, thirty seconds)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from urllib.parse import quote

EVERY = 30  # seconds
DRIFT = (0, -1, 1)  # steps that a phone's clock may be off


def new_secret() -> str:
    """160 random bits, as apps take them."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def uri(secret: str, name: str) -> str:
    """What an app makes an entry of."""
    return f"otpauth://totp/dataplatform:{quote(name)}?secret={secret}&issuer=dataplatform"


def code_at(secret: str, step: int) -> str:
    """
    >>> code_at("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", 1)
    '287082'
    """
    digest = hmac.new(base64.b32decode(secret), step.to_bytes(8, "big"), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


def step_of(secret: str, code: str, after: int = -1) -> int | None:
    """The step that a code is of, now or just about; None for a wrong one, and for one used `after` already."""
    said, now = "".join(code.split()).encode(), int(time.time()) // EVERY
    steps = (now + off for off in DRIFT)
    fits = [step for step in steps if hmac.compare_digest(code_at(secret, step).encode(), said)]
    return next((step for step in fits if step > after), None)
