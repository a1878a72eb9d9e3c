"""MongoDB: its errors as ours, translated once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pymongo
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError

from dataplatform.errors import ServerError, SettingsError
from dataplatform.secrets import redact


@contextmanager
def server_errors(url: str = "") -> Iterator[None]:
    """pymongo's errors as ours."""
    where = f" at {redact(url)}" if url else ""
    try:
        yield
    except (InvalidURI, ConfigurationError) as error:
        raise SettingsError(
            f"the MongoDB URL{where} cannot be used: {redact(str(error))}",
            "write DATAPLATFORM_MONGO_URL as mongodb://user:password@host:27017/database",
        ) from None
    except PyMongoError as error:
        text = redact(str(error)).split(", Timeout:")[0]
        raise ServerError(
            f"MongoDB{where} failed: {text}",
            "check that it runs and has disk space, then run again",
        ) from None


def reach(url: str, limit: float = 5.0) -> None:
    """Raises ServerError or SettingsError where the server does not answer within the limit (seconds)."""
    with server_errors(url):
        client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(
            url, serverSelectionTimeoutMS=int(limit * 1000)
        )
        with client:
            client.admin.command("ping")
