"""A Prefect server of our own on a port of the loopback interface, its data in HOME/prefect.

The port is chosen once and kept in HOME/prefect/port, so bookmarks and a worker's address stay right; where
somebody else has taken it meanwhile another is chosen. Prefect is not imported here: the server is a process
like the others.

Whoever may call the API may run commands as this user. So it asks for a password (HOME/prefect/auth), wants a token
with every change that no page of another site can have (CSRF), and lets no other origin read an answer (CORS).
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path

from dataplatform.embedded.process import Lease, Spec, joined, lease, server_env
from dataplatform.embedded.sockets import kept_password, kept_port
from dataplatform.errors import EmbeddedServerError
from dataplatform.settings import PrefectApi

USER = "dataplatform"


def start(home: Path, linger: float, keep_days: int) -> Lease:
    """A share in HOME's Prefect server; a port that was taken meanwhile is replaced once. Runs are kept for so long."""
    folder = home / "prefect"
    try:
        return lease("Prefect server", folder, lambda: _spec(folder, linger, keep_days), _ready, _explain)
    except EmbeddedServerError as error:
        if "address already in use" not in error.message:
            raise
        return lease("Prefect server", folder, lambda: _spec(folder, linger, keep_days), _ready, _explain)


def running(home: Path) -> PrefectApi | None:
    """The API of HOME's server where it runs, without starting it."""
    about = joined(home / "prefect")
    return api(home, about) if about is not None else None


def api(home: Path, about: dict[str, str]) -> PrefectApi:
    """How a running server is spoken to."""
    return PrefectApi(url(about), auth(home))


def auth(home: Path) -> str:
    """`user:password` of HOME's server, made at the first time; also what its pages ask for."""
    return kept_password(home / "prefect" / "auth", USER)


def url(about: dict[str, str]) -> str:
    return f"http://127.0.0.1:{about['port']}/api"


def reachable(api: str) -> bool:
    """Whether a Prefect API answers at the URL."""
    try:
        with urllib.request.urlopen(api.rstrip("/") + "/health", timeout=10) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _spec(folder: Path, linger: float, keep_days: int) -> Spec:
    port = str(kept_port(folder))
    database = folder / "prefect.db"
    if not database.exists():
        _from_template(database)
    pages = f"http://127.0.0.1:{port}"
    env = server_env(
        PREFECT_HOME=str(folder),
        PREFECT_SERVER_API_AUTH_STRING=auth(folder.parent),
        PREFECT_SERVER_CSRF_PROTECTION_ENABLED="true",
        PREFECT_SERVER_CORS_ALLOWED_ORIGINS=pages,
        PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE="prefect.server.concurrency.lease_storage.filesystem",
        PREFECT_API_DATABASE_CONNECTION_URL=f"sqlite+aiosqlite:///{database}",
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED="events,flow_runs",
        PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD=str(keep_days * 86_400),
        PREFECT_UI_URL=pages,
        PREFECT_SERVER_UI_API_URL=f"{pages}/api",
        PREFECT_LOGGING_LEVEL="WARNING",
        DO_NOT_TRACK="1",
    )
    argv = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        port,
        "--log-level",
        "WARNING",
    ]
    return Spec(argv, env, str(folder), "SIGTERM", linger=linger, about={"port": port})


def template() -> Path:
    """Where `make setup` keeps an empty database of this Prefect: migrating one anew takes five seconds."""
    version = importlib.metadata.version("prefect")
    return Path(sys.prefix) / "share" / "dataplatform" / f"prefect-{version}.db"


def _from_template(database: Path) -> None:
    if template().is_file():
        beside = database.with_suffix(".new")
        shutil.copyfile(template(), beside)
        os.replace(beside, database)


def _ready(about: dict[str, str]) -> bool:
    return reachable(url(about))


def _explain(log: str, code: int | None) -> EmbeddedServerError:
    remedy = "see HOME/prefect/server.log, or set PREFECT_API_URL"
    if "No space left" in log or "disk is full" in log:
        remedy = "free some disk space, or set DATAPLATFORM_HOME to another disk"
    return EmbeddedServerError(
        f"the embedded Prefect server did not start (exit code {code}):\n{log.strip()[-1500:]}",
        remedy,
    )
