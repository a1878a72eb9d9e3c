"""HashiCorp Vault and OpenBao, over hvac: secrets of a key-value engine, version 1 or 2."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dataplatform.errors import SecretError, ServerError
from dataplatform.secrets.masking import PROCESS

TIMEOUT = 10  # seconds


@dataclass
class Vault:
    """A server, and who we are there: a token, or the role of an AppRole (role id and secret id).

    `github/token` is the field `token` of `<prefix>/github`, else the field `value` of `<prefix>/github/token`.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    role: tuple[str, str] | None = field(default=None, repr=False)
    mount: str = "secret"
    prefix: str = "dataplatform"
    namespace: str | None = None
    version: int = 2
    name: str = "vault"
    _client: Any = field(default=None, repr=False)

    def get(self, name: str) -> str | None:
        parent, _, last = name.rpartition("/")
        for path, key in ((parent, last), (name, "value")):
            found = self._read(self._path(path)) if path else None
            if found and key in found:
                return str(found[key])
        return None

    def names(self) -> list[str]:
        """Empty where we may read and not list."""
        from hvac.exceptions import Forbidden, InvalidPath

        with self._told(self.prefix):
            try:
                return sorted(self._below(""))
            except (Forbidden, InvalidPath):
                return []

    def _below(self, folder: str) -> Iterator[str]:
        """Names of all fields of all secrets in a folder, and in those in it."""
        kv = self._signed_in().secrets.kv
        engine = kv.v1 if self.version == 1 else kv.v2
        for key in engine.list_secrets(self._path(folder), mount_point=self.mount)["data"]["keys"]:
            name = f"{folder}/{key}".strip("/")
            if key.endswith("/"):
                yield from self._below(name)
            else:
                fields = self._fields(self._path(name)) or {}
                yield from (name if field == "value" else f"{name}/{field}" for field in fields)

    def _path(self, name: str) -> str:
        return "/".join(filter(None, (self.prefix, name)))

    def remedy(self, name: str) -> str:
        return f"bao kv put {self.mount}/{self._path(name)} value=…"

    def _read(self, path: str) -> dict[str, Any] | None:
        """The fields of a secret; None where there is none. A token that has expired is got anew once."""
        from hvac.exceptions import Forbidden

        with self._told(path):
            try:
                return self._fields(path)
            except Forbidden:
                if self.role is None:
                    raise
                self._client = None
                return self._fields(path)

    def _fields(self, path: str) -> dict[str, Any] | None:
        from hvac.exceptions import InvalidPath

        kv = self._signed_in().secrets.kv
        try:
            if self.version == 1:
                return dict(kv.v1.read_secret(path, mount_point=self.mount)["data"])
            read = kv.v2.read_secret_version
            return dict(read(path, mount_point=self.mount, raise_on_deleted_version=True)["data"]["data"])
        except InvalidPath as error:
            if "versioned" in str(error.text):  # what an engine of version 2 says to a caller of version 1
                raise SecretError(
                    f"the key-value engine {self.mount} at {self._where} has versions",
                    "set DATAPLATFORM_VAULT_KV=2",
                ) from None
            return None

    def _signed_in(self) -> Any:
        if self._client is None:
            import hvac

            PROCESS.note_url(self.url)
            client = hvac.Client(self.url, self.token, namespace=self.namespace, timeout=TIMEOUT)
            if self.role is not None:
                client.auth.approle.login(role_id=self.role[0], secret_id=self.role[1])
            PROCESS.note(str(client.token or ""))
            self._client = client
        return self._client

    @property
    def _where(self) -> str:
        return re.sub("//[^/@]*@", "//***@", self.url)

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """What may go wrong, for people; never with a value."""
        from hvac.exceptions import Forbidden, InvalidRequest, Unauthorized, VaultDown, VaultError
        from requests.exceptions import RequestException

        where = f"the secret store at {self._where}"
        try:
            yield
        except (Forbidden, Unauthorized, InvalidRequest) as error:
            raise SecretError(
                f"{where} does not let us read {self.mount}/{path}: {PROCESS.masker.text(str(error)).strip()[:200]}",
                "check its token or role, and that its policy allows `read` there",
            ) from None
        except VaultDown:
            raise ServerError(f"{where} is sealed", "unseal it: bao operator unseal") from None
        except (VaultError, RequestException) as error:
            said = PROCESS.masker.text(f"{type(error).__name__}: {error}")[:200]
            raise ServerError(f"{where} does not answer: {said}", "check DATAPLATFORM_VAULT_URL") from None
        except (KeyError, TypeError, ValueError):
            raise ServerError(
                f"{where} answers something else than Vault does", "check DATAPLATFORM_VAULT_URL"
            ) from None
