"""Secrets: looked up late, by name, from the environment, files or the local encrypted store."""

from dataplatform.secrets.local import LocalStore
from dataplatform.secrets.resolver import Secrets, redact, secrets_of

__all__ = ["LocalStore", "Secrets", "redact", "secrets_of"]
