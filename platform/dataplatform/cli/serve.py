"""`dataplatform up` and `deploy`: the platform as a service."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from dataplatform.bootstrap import open_platform, reread
from dataplatform.cli.common import Json, as_ours, command, err, leave_logging_to_prefect, out, print_json
from dataplatform.cli.listen import listening
from dataplatform.cli.web import tell
from dataplatform.context import Platform
from dataplatform.embedded import start_servers, stop_servers
from dataplatform.embedded.servers import postgres_address
from dataplatform.embedded.up import alone, noted
from dataplatform.errors import BusyError
from dataplatform.secrets import redact
from dataplatform.settings import PrefectApi, Settings, load_settings

log = logging.getLogger(__name__)
AGAIN = 5.0  # seconds until auto_dw's functions are offered again, where that failed


@command
def deploy(
    follow: Annotated[
        bool, typer.Option("--follow", help="Stay: deployments follow the metadata, dead runs are closed.")
    ] = False,
    ready: Annotated[
        Path | None, typer.Option(help="With --follow: a file that is touched while all is well.")
    ] = None,
    json_: Json = False,
) -> None:
    """Makes Prefect's deployments what the metadata say."""
    if follow:
        from dataplatform.cli.follow import stay

        stay(ready)
        return
    with open_platform(prefect=True) as platform:
        deployed = _deploy(platform)
    if json_:
        print_json({"status": "done", **deployed.__dict__})
        return
    for name in deployed.deployments:
        out.print(f"deployed {name}", markup=False)
    for name in deployed.removed:
        out.print(f"removed {name}", markup=False)


def _deploy(platform: Platform) -> Any:
    from dataplatform.orchestration.deploy import deploy as make  # imports Prefect, 2 s
    from dataplatform.orchestration.pools import pool_of
    from dataplatform.orchestration.runners import runner_named

    runner_named(platform.settings.task_runner)  # a wrong name is told now, not by every run
    pool = pool_of(platform.settings)  # the same
    deployed = make(platform.catalog, _api(), pool, platform.settings)
    leave_logging_to_prefect()  # it sets up its own when it loads a flow
    return deployed


@command
def up(
    limit: Annotated[int, typer.Option(help="Flow runs at the same time.")] = 2,
    json_: Json = False,
) -> None:
    """Starts servers, deployments and a worker; Ctrl-C stops all."""
    settings = load_settings().model_copy(update={"linger": 0.0})  # as long as we are up, and no longer
    try:
        _serve(settings, limit, json_)
    finally:
        stop_servers(settings.home_path)  # also those that an earlier command left up


def _serve(settings: Settings, limit: int, json_: bool) -> None:
    from dataplatform.orchestration.follow import seen

    # before they are read: what changes meanwhile is seen by the first look
    there = seen(settings.metadata_path)
    with alone(settings.home_path), open_platform(settings, prefect=True) as platform:
        api = _api()
        pages = api.url.removesuffix("/api")
        with (
            noted(settings.home_path, pages),
            _web(platform) as web,
            _background(_linked(platform, web), api, there) as deployed,
            listening(platform),
        ):
            about = {
                "status": "up",
                "prefect": pages,
                "web": web.url if web else None,
                "web_setup": (web.setup or None) if web else None,
                "postgres": platform.engine.url.render_as_string(hide_password=True),
                "postgres_address": redact(postgres_address(settings)),
                "deployments": deployed.deployments,
            }
            _tell(settings, about, web, json_)
            _keep_going(platform, limit)


def _linked(platform: Platform, web: Any) -> Platform:
    """Where nobody says where the pages are, deployments and runs link to where they are served now."""
    if web is None or platform.settings.web_url:
        return platform
    os.environ["DATAPLATFORM_WEB_URL"] = web.url  # for the worker and its runs
    return replace(platform, settings=platform.settings.model_copy(update={"web_url": web.url}))


@contextlib.contextmanager
def _web(platform: Platform) -> Iterator[Any]:
    """The web pages' address, for as long as they are served; None where they are off."""
    if platform.settings.web_host == "off":
        yield None
        return
    from dataplatform.web.server import beside  # FastAPI

    with beside(platform, platform.settings) as address:
        yield address


def _tell(settings: Settings, about: dict[str, Any], web: Any, json_: bool) -> None:
    if json_:
        print_json(about)
        return
    if web:
        tell(web.url, web.setup, web.sign_in)
    sign_in = "" if settings.prefect else f" (sign in with what {settings.home_path}/prefect/auth holds)"
    out.print(f"Prefect   {about['prefect']}{sign_in}", markup=False, soft_wrap=True)
    out.print(f"Postgres  {about['postgres_address']} (password: dataplatform sql --url)", markup=False)
    out.print(f"{len(about['deployments'])} deployments; Ctrl-C stops everything")


@contextlib.contextmanager
def _background(platform: Platform, api: PrefectApi, there: dict[str, tuple[int, int]]) -> Iterator[Any]:
    """Deploys; for the block, deployments follow the metadata, runs are looked after, auto_dw answers."""
    from dataplatform.orchestration.watch import Watch, settle
    from dataplatform.triggers.watching import Watching, asking

    pool = platform.settings.work_pool
    if platform.settings.prefect is None:  # on a Prefect server of our own no other worker is there
        settle(api, platform.engine, pool)
    deployed = _deploy(platform)
    stop = threading.Event()
    threads = [
        threading.Thread(target=_follow, args=(platform, there, stop), name="metadata", daemon=True),
        threading.Thread(
            target=Watch(api, platform.engine, pool).run, args=(stop,), name="runs", daemon=True
        ),
        threading.Thread(target=_answer, args=(platform, stop), name="auto_dw", daemon=True),
        threading.Thread(
            target=Watching(platform.settings.metadata_path, platform.engine, asking(api)).run,
            args=(stop,),
            name="triggers",
            daemon=True,
        ),
    ]
    for thread in threads:
        thread.start()
    try:
        yield deployed
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)


def _follow(platform: Platform, there: dict[str, tuple[int, int]], stop: threading.Event) -> None:
    """Brings the deployments up to date with the metadata for as long as the platform is up."""
    from dataplatform.orchestration.follow import follow

    def redeploy() -> None:
        deployed = _deploy(reread(platform))
        for what, names in (("deployed", deployed.changed), ("removed", deployed.removed)):
            if names:
                log.info("metadata have changed: %s %s", what, ", ".join(names))

    follow(platform.settings.metadata_path, there, redeploy, stop)


def _api() -> PrefectApi:
    """The Prefect API that the open platform speaks to."""
    return PrefectApi(os.environ["PREFECT_API_URL"], os.environ.get("PREFECT_API_AUTH_STRING"))


def _answer(platform: Platform, stop: threading.Event) -> None:
    """The SQL functions of auto_dw, as long as the platform is up."""
    from dataplatform.auto_dw.build import sql_api
    from dataplatform.auto_dw.workspace import Workspace

    while not stop.is_set():
        try:
            sql_api.install(platform.engine)
            sql_api.work(platform.engine, lambda schema: Workspace.of(reread(platform), schema), stop)
        except BusyError:  # another worker of auto_dw serves this database already
            log.debug("auto_dw's functions are answered by somebody else")
        except Exception as error:  # Postgres went away, most likely: it comes back
            if as_ours(error) is None:
                log.exception("auto_dw's functions are not answered now")
        stop.wait(AGAIN)


def _keep_going(platform: Platform, limit: int) -> None:
    """Until Ctrl-C or SIGTERM; the worker ends its flow runs first."""
    from dataplatform.embedded.supervise import Supervised, supervise
    from dataplatform.orchestration.worker import start_worker, stop_worker

    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)  # a script's background job inherits a deaf one

    def start() -> subprocess.Popen[bytes]:
        return start_worker(platform.settings, limit)

    supervised = Supervised(platform.settings, start_servers(platform.settings, True), start, start())
    try:
        supervise(supervised, threading.Event())
    except KeyboardInterrupt:
        err.print("stopping …")
    finally:
        stop_worker(supervised.worker)
        for lease in supervised.servers.leases:
            lease.release()


def _stop(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
