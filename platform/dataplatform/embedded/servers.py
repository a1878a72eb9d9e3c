"""All embedded servers that a command needs, started together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from dataplatform.embedded import mongo, postgres, prefect_server, process
from dataplatform.embedded.process import Lease
from dataplatform.errors import ServerError
from dataplatform.settings import PrefectApi, Settings


@dataclass
class Servers:
    """URLs of the servers, embedded or not, and our shares in the embedded ones."""

    postgres_url: str
    mongo_url: str
    prefect: PrefectApi | None
    leases: list[Lease] = field(default_factory=list)
    linger: float = 0.0

    @property
    def started(self) -> list[str]:
        """Names of the servers that were started for us and will stay up."""
        return [lease.name for lease in self.leases if lease.started and self.linger]

    def close(self) -> None:
        """Gives the shares back; waits for those servers to stop that nobody else uses (unless they linger)."""
        for lease in self.leases:
            lease.release()
        for lease in () if self.linger else self.leases:
            lease.wait_stopped()


def stop_servers(home: Path) -> dict[str, str]:
    """Stops HOME's embedded servers that nobody uses; what became of each: `stopped`, `in use`, `not running`."""
    return {name: process.stop(home / name) for name in ("prefect", "mongo", "postgres")}


def postgres_address(settings: Settings) -> str:
    """URL of Postgres for other programs, its password included; an embedded server must be running."""
    if settings.postgres_url is not None:
        return settings.postgres_url.get_secret_value()
    return postgres.address(settings.home_path)


def start_servers(settings: Settings, prefect: bool) -> Servers:
    """Starts (or joins) what has no URL in the settings. Raises EmbeddedServerError, ServerError."""
    if prefect and settings.prefect_api_url and not prefect_server.reachable(settings.prefect_api_url):
        raise ServerError(
            f"the Prefect API at {settings.prefect_api_url} cannot be reached",
            "check PREFECT_API_URL, or unset it to use an embedded server",
        )
    home, linger = settings.home_path, settings.linger
    wanted: dict[str, Callable[[], Lease]] = {}
    if settings.postgres_url is None:
        wanted["postgres"] = lambda: postgres.start(home, linger)
    if settings.mongo_url is None:
        wanted["mongo"] = lambda: mongo.start(home, linger)
    if prefect and settings.prefect_api_url is None:
        wanted["prefect"] = lambda: prefect_server.start(home, linger, settings.keep_runs_days)
    leases = _start(wanted)
    outside_pg = settings.postgres_url.get_secret_value() if settings.postgres_url else ""
    outside_mongo = settings.mongo_url.get_secret_value() if settings.mongo_url else ""
    return Servers(
        postgres.url(leases["postgres"].about) if "postgres" in leases else outside_pg,
        mongo.url(leases["mongo"].about) if "mongo" in leases else outside_mongo,
        prefect_server.api(home, leases["prefect"].about) if "prefect" in leases else settings.prefect,
        list(leases.values()),
        linger=linger,
    )


def _start(wanted: dict[str, Callable[[], Lease]]) -> dict[str, Lease]:
    """All at once; where one fails the others are given back."""
    if not wanted:
        return {}
    with ThreadPoolExecutor(len(wanted)) as pool:
        futures = {name: pool.submit(start) for name, start in wanted.items()}
    failed = [e for f in futures.values() if (e := f.exception()) is not None]
    if failed:
        for future in futures.values():
            if future.exception() is None:
                future.result().release()
        raise failed[0]
    return {name: future.result() for name, future in futures.items()}
