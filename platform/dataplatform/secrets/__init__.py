"""Secrets: looked up late, by name, in the stores there are; masked wherever they would be written."""

from dataplatform.secrets.local import LocalStore
from dataplatform.secrets.masking import redact
from dataplatform.secrets.resolver import Secrets, secrets_of

__all__ = ["LocalStore", "Secrets", "redact", "secrets_of"]
