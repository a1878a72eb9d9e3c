"""HashiCorp Vault and OpenBao, over hvac: secrets of a key-value engine, version 1 or 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dataplatform.errors import SecretError
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
            found = self._read("/".join(filter(None, (self.prefix, path)))) if path else None
            if found and key in found:
                return str(found[key])
        return None

    def names(self) -> list[str]:
        return []  # the right to read is not the right to list

    def remedy(self, name: str) -> str:
        return f"bao kv put {self.mount}/{self.prefix}/{name} value=…"

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
        except InvalidPath:
            return None

    def _signed_in(self) -> Any:
        if self._client is None:
            import hvac

            client = hvac.Client(self.url, self.token, namespace=self.namespace, timeout=TIMEOUT)
            if self.role is not None:
                client.auth.approle.login(role_id=self.role[0], secret_id=self.role[1])
            PROCESS.note(str(client.token or ""))
            self._client = client
        return self._client

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """What may go wrong, for people; never with a value."""
        from hvac.exceptions import Forbidden, InvalidRequest, Unauthorized, VaultDown, VaultError
        from requests.exceptions import RequestException

        where = f"the secret store at {self.url}"
        try:
            yield
        except (Forbidden, Unauthorized, InvalidRequest) as error:
            raise SecretError(
                f"{where} does not let us read {self.mount}/{path}: {PROCESS.masker.text(str(error)).strip()[:200]}",
                "check its token or role, and that its policy allows `read` there",
            ) from None
        except VaultDown:
            raise SecretError(f"{where} is sealed", "unseal it: bao operator unseal") from None
        except (VaultError, RequestException) as error:
            said = PROCESS.masker.text(f"{type(error).__name__}: {error}")[:200]
            raise SecretError(f"{where} does not answer: {said}", "check DATAPLATFORM_VAULT_URL") from None
