"""The one tree of errors.

Every message says what happened; `remedy` says what to do next. Whether a retry can help is told
by the class: `TransientError` may go away by itself, everything else will not.
"""

from __future__ import annotations

from typing import Any


class DataplatformError(Exception):
    """Base of all errors that are meant for people; shown without a traceback.

    `message` says what happened and where, `remedy` what to do next (may be empty).
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.remedy}" if self.remedy else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross process borders (Prefect and Dask pickle them): whatever they hold goes along."""
        return type(self), (self.message, self.remedy), self.__dict__


class TransientError(DataplatformError):
    """May succeed when tried again: a time-out, a refused connection, HTTP 429 or 5xx."""


class TerminalError(DataplatformError):
    """Will fail again until a person changes something."""


class SettingsError(TerminalError):
    """A setting from the environment is missing or wrong."""


class MetadataError(TerminalError):
    """A file under metadata/ is malformed or describes something that cannot be."""


class SecretError(TerminalError):
    """A secret is missing, or the local secret store cannot be read."""


class SourceError(TerminalError):
    """A source delivered something that cannot be landed, or refused us for good."""


class ConnectionExpiredError(SourceError):
    """A source lets us in no more until a person connects it again."""


class StorageError(TerminalError):
    """Raw storage is damaged, full or not writable."""


class LoadError(TerminalError):
    """A layer refused a batch as a whole (too many deletes, a frozen schema)."""


class CheckFailedError(LoadError):
    """A quality check refused a batch. `results`: check, status and finding of every check that ran."""

    def __init__(
        self, message: str, remedy: str = "", results: tuple[tuple[str, str, str], ...] = ()
    ) -> None:
        super().__init__(message, remedy)
        self.results = results


class RunFailedError(TerminalError):
    """A run in which an entity failed. `result` is the document of `dataplatform run --json`."""

    def __init__(self, message: str, remedy: str = "", result: dict[str, Any] | None = None) -> None:
        super().__init__(message, remedy)
        self.result = result or {}


class ModelError(TerminalError):
    """A gold model is wrong: a cycle, an unknown table, a SQL error, a failed check."""


class BusyError(TransientError):
    """Somebody else holds the lock of this source."""


class SourceUnavailableError(TransientError):
    """A source did not answer, or asked us to come back later.

    `retry_after` is the number of seconds it asked for, or None.
    """

    def __init__(self, message: str, remedy: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, remedy)
        self.retry_after = retry_after


class ServerError(TransientError):
    """A database server cannot be reached or went away."""


class EmbeddedServerError(TerminalError):
    """An embedded server cannot be started on this machine."""
