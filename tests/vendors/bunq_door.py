"""bunq's door, as doc.bunq.com says: installation, device, session; what is not signed by the key that was installed is
refused. Signatures are checked by the library's own verification, over the very bytes that came."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from rest_api import Asked

MUST = ("cache-control", "user-agent", "x-bunq-client-request-id", "x-bunq-language", "x-bunq-region", "x-bunq-geolocation")  # fmt: skip


def refused(code: int, words: str) -> Any:
    return code, {}, {"Error": [{"error_description": words, "error_description_translated": words}]}


@dataclass
class Door:
    """Who is in. `keys`: the public key of each token; `asked`: which of the handshake's calls came."""

    api_key: str
    timeout: int = 3600
    keys: dict[str, rsa.RSAPublicKey] = field(default_factory=dict)
    devices: set[str] = field(default_factory=set)
    sessions: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def answer(self, asked: Asked) -> Any:
        """Of the handshake's calls; None of others."""
        name = asked.path.removeprefix("/v1/")
        if name not in ("installation", "device-server", "session-server") or asked.method != "POST":
            return None
        self.asked.append(name)
        if name == "installation":
            return self._installation(asked)
        token = asked.headers.get("x-bunq-client-authentication", "")
        if not self.is_signed(asked) or token in self.sessions:
            return refused(401, "The request signature is invalid.")
        if asked.json["secret"] != self.api_key:
            return refused(400, "User credentials are incorrect. Incorrect API key or IP address.")
        if name == "device-server":
            assert asked.json["description"]
            self.devices.add(token)
            return {"Response": [{"Id": {"id": len(self.devices)}}]}
        if token not in self.devices:
            return refused(403, "Insufficient authentication.")
        return self._session(token)

    def _installation(self, asked: Asked) -> Any:
        assert "x-bunq-client-authentication" not in asked.headers
        key = serialization.load_pem_public_key(asked.json["client_public_key"].encode())
        assert isinstance(key, rsa.RSAPublicKey)
        assert key.key_size == 2048
        token = f"installation-{len(self.keys):08}"
        self.keys[token] = key
        about = [{"Id": {"id": 1}}, {"Token": {"id": 2, "token": token}}, {"ServerPublicKey": {"server_public_key": "-"}}]  # fmt: skip
        return {"Response": about}

    def _session(self, token: str) -> Any:
        session = f"session-{len(self.asked):08}"
        self.keys[session] = self.keys[token]
        self.sessions.add(session)
        user = {"UserPerson": {"id": 1, "display_name": "Ann", "session_timeout": self.timeout}}
        return {"Response": [{"Id": {"id": 3}}, {"Token": {"id": 4, "token": session}}, user]}

    def is_signed(self, asked: Asked) -> bool:
        """By the key of its token, and with all headers that bunq wants."""
        key = self.keys.get(asked.headers.get("x-bunq-client-authentication", ""))
        if key is None or not all(asked.headers.get(name) for name in MUST):
            return False
        signature = base64.b64decode(asked.headers.get("x-bunq-client-signature", ""))
        try:
            key.verify(signature, asked.body, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def is_in(self, asked: Asked) -> bool:
        return self.is_signed(asked) and asked.headers["x-bunq-client-authentication"] in self.sessions

    def forget_sessions(self) -> None:
        self.sessions.clear()
