"""Finds secrets in the stores there are, the nearest first, and puts them where metadata refer to them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataplatform.errors import SecretError, SettingsError
from dataplatform.secrets.local import LocalStore
from dataplatform.secrets.masking import PROCESS, SHORTEST, Noted
from dataplatform.secrets.stores import Environment, MountedFiles, SecretStore
from dataplatform.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Secrets:
    """Resolves `{secret: name}`; what it resolves is masked from then on."""

    stores: tuple[SecretStore, ...]
    noted: Noted = PROCESS

    def get(self, name: str) -> str:
        """The value of the first store that has one; raises SecretError naming every place that was looked at."""
        found = self.find(name)
        if found is not None:
            return found[1]
        raise SecretError(
            f"the secret {name!r} is not set", ", or ".join(store.remedy(name) for store in self.stores)
        )

    def find(self, name: str) -> tuple[str, str] | None:
        """Name of the store that counts, and the value."""
        for store in self.stores:
            value = store.get(name)
            if value is not None:
                return store.name, value
        return None

    def resolve(self, value: Any, noted: Noted | None = None) -> Any:
        """Replaces every `{secret: name}` (model or plain mapping) inside a value; `noted` learns what they are."""
        name = _secret_name(value)
        if name is not None:
            noted = noted or self.noted
            return noted.note_parts(noted.note(_long_enough(name, self.get(name))))
        if isinstance(value, Mapping):
            return {k: self.resolve(v, noted) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.resolve(v, noted) for v in value)
        return value


def _long_enough(name: str, value: str) -> str:
    if len(value) < SHORTEST:
        log.warning(
            "the secret %s has fewer than %d characters: it is not masked in data and errors", name, SHORTEST
        )
    return value


def secrets_of(settings: Settings, *others: SecretStore) -> Secrets:
    """The stores that the settings name, in their order; `others`: those that only the composition root can ask.

    Raises SettingsError for a name that no store has.
    """
    made: dict[str, SecretStore | None] = {
        "environment": Environment(),
        "docker": MountedFiles(Path("/run/secrets")),
        "local": LocalStore(settings.home_path),
        "vault": _vault(settings),
        "prefect": None,
    }
    made |= {store.name: store for store in others}
    names = [name.strip() for name in settings.secret_stores.split(",") if name.strip()]
    unknown = [name for name in names if name not in made]
    if unknown or not names:
        raise SettingsError(
            f"the setting DATAPLATFORM_SECRET_STORES names no store: {', '.join(unknown) or 'it is empty'}",
            f"legal: {', '.join(made)}, with commas between",
        )
    return Secrets(tuple(store for name in names if (store := made[name]) is not None))


def _vault(settings: Settings) -> SecretStore | None:
    if not settings.vault_url:
        return None
    from dataplatform.secrets.stores import read_text
    from dataplatform.secrets.vault import Vault

    token = settings.vault_token.get_secret_value() if settings.vault_token else None
    if token is None and settings.vault_token_file:
        token = read_text(settings.vault_token_file, "DATAPLATFORM_VAULT_TOKEN_FILE")
    role = None
    if settings.vault_role_id and settings.vault_secret_id:
        role = (settings.vault_role_id, PROCESS.note(settings.vault_secret_id.get_secret_value()))
    return Vault(
        settings.vault_url,
        PROCESS.note(token or "") or None,
        role,
        settings.vault_mount,
        settings.vault_prefix,
        settings.vault_namespace,
        settings.vault_kv,
    )


def names_in(value: Any) -> set[str]:
    """Names of all secrets that a piece of (dumped) metadata refers to."""
    name = _secret_name(value)
    if name is not None:
        return {name}
    items = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, Mapping | list | tuple):
        return {n for item in items for n in names_in(item)}
    return set()


def _secret_name(value: Any) -> str | None:
    name = getattr(value, "secret", None)
    if isinstance(value, Mapping) and set(value) == {"secret"}:
        name = value["secret"]
    return name if isinstance(name, str) else None
