"""`dataplatform up` and `deploy`: the platform as a service."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from dataplatform import project
from dataplatform.bootstrap import open_platform, reread
from dataplatform.cli.common import Json, command, err, leave_logging_to_prefect, out, print_json
from dataplatform.context import Platform
from dataplatform.embedded import stop_servers
from dataplatform.embedded.servers import postgres_address
from dataplatform.embedded.up import noted, who_is_up
from dataplatform.errors import BusyError
from dataplatform.secrets import redact
from dataplatform.settings import Settings, load_settings
from dataplatform.storage.postgres import exclusive

log = logging.getLogger(__name__)
WORKER_PATIENCE = 30.0  # seconds for the worker to end its flow runs; then it is killed, which loses nothing


@command
def deploy(json_: Json = False) -> None:
    """Makes Prefect's deployments what the metadata say."""
    with open_platform(prefect=True) as platform:
        deployed = _deploy(platform)
    if json_:
        print_json({"status": "done", **deployed.__dict__})
        return
    for name in deployed.deployments:
        out.print(f"deployed {name}", markup=False)
    for name in deployed.removed:
        out.print(f"removed {name}", markup=False)


def _settle(settings: Settings) -> None:
    """On a Prefect server of our own no other worker is there: what it calls running is not."""
    if settings.prefect_api_url is None:
        from dataplatform.orchestration.deploy import settle

        settle()


def _deploy(platform: Platform) -> Any:
    from dataplatform.orchestration.deploy import deploy as make  # imports Prefect, 2 s
    from dataplatform.orchestration.runners import runner_named

    runner_named(platform.settings.task_runner)  # a wrong name is told now, not by every run
    deployed = make(platform.catalog, platform.settings.work_pool)
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
    from dataplatform.auto_dw.build import sql_api  # and all of auto_dw, which `deploy` has no use for
    from dataplatform.orchestration.follow import seen

    there = seen(
        settings.metadata_path
    )  # before they are read: what changes meanwhile is seen by the first look
    with (
        open_platform(settings, prefect=True) as platform,
        _alone(platform),
        noted(settings.home_path, _pages()),
    ):
        _settle(settings)
        deployed = _deploy(platform)
        worker = _worker(settings, limit)
        stop, answering = threading.Event(), None
        following = threading.Thread(
            target=_follow, args=(platform, there, stop), name="metadata", daemon=True
        )
        following.start()
        with contextlib.suppress(BusyError):  # another worker of auto_dw serves this database already
            sql_api.install(platform.engine)
            answering = threading.Thread(target=_answer, args=(platform, stop), name="auto_dw", daemon=True)
            answering.start()
        about = {
            "status": "up",
            "prefect": _pages(),
            "postgres": platform.engine.url.render_as_string(hide_password=True),
            "postgres_address": redact(postgres_address(settings)),
            "deployments": deployed.deployments,
        }
        if json_:
            print_json(about)
        else:
            out.print(f"Prefect   {about['prefect']}")
            out.print(
                f"Postgres  {about['postgres_address']} (password: dataplatform sql --url)", markup=False
            )
            out.print(f"{len(deployed.deployments)} deployments; Ctrl-C stops everything")
        try:
            _wait(worker)
        finally:
            stop.set()
            following.join(10)
            if answering is not None:
                answering.join(10)


def _follow(platform: Platform, there: dict[str, tuple[int, int]], stop: threading.Event) -> None:
    """Brings the deployments up to date with the metadata for as long as the platform is up."""
    from dataplatform.orchestration.follow import follow

    def redeploy() -> None:
        deployed = _deploy(reread(platform))
        for what, names in (("deployed", deployed.changed), ("removed", deployed.removed)):
            if names:
                log.info("metadata have changed: %s %s", what, ", ".join(names))

    follow(platform.settings.metadata_path, there, redeploy, stop)


def _pages() -> str:
    """Address of Prefect's pages, once the platform is open."""
    return os.environ["PREFECT_API_URL"].removesuffix("/api")


@contextlib.contextmanager
def _alone(platform: Platform) -> Iterator[None]:
    """Keeps a second `up` of the same HOME away; raises BusyError that says who is up."""
    home = platform.settings.home_path
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive(platform.engine, f"dataplatform up in {home}"))
        except BusyError:
            other = who_is_up(home)
            raise BusyError(
                f"`dataplatform up` is running already in {home}: {other or 'not seen from here'}",
                "use that one; or end it (Ctrl-C there) and try again; or set DATAPLATFORM_HOME to another folder",
            ) from None
        yield


def _answer(platform: Platform, stop: threading.Event) -> None:
    """The SQL functions of auto_dw, as long as the platform is up."""
    from dataplatform.auto_dw.build import sql_api
    from dataplatform.auto_dw.workspace import Workspace

    with contextlib.suppress(BusyError):
        sql_api.work(platform.engine, lambda schema: Workspace.of(reread(platform), schema), stop)


def _worker(settings: Settings, limit: int) -> subprocess.Popen[bytes]:
    """A Prefect worker; its flow runs find the same servers through the same settings."""
    env = os.environ | {
        "DATAPLATFORM_HOME": str(settings.home_path),
        "DATAPLATFORM_METADATA": str(settings.metadata_path.absolute()),
        "DATAPLATFORM_CONNECTORS": str(settings.connectors.absolute()),
        "PYTHONSAFEPATH": "1",
    }
    argv = [
        sys.executable,
        "-m",
        "prefect",
        "worker",
        "start",
        "--pool",
        settings.work_pool,
        "--type",
        "process",
        "--limit",
        str(limit),
    ]
    return subprocess.Popen(
        argv,
        env=env,
        cwd=project.working_directory(),
        stdout=sys.stderr,
        start_new_session=True,
        preexec_fn=_hear_interrupts,
    )


def _hear_interrupts() -> None:
    """A script's background job inherits a deaf SIGINT; the worker is stopped by one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait(worker: subprocess.Popen[bytes]) -> None:
    """Until Ctrl-C or SIGTERM; the worker ends its flow runs first."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)  # a script's background job inherits a deaf one
    try:
        while worker.poll() is None:
            time.sleep(0.2)
        err.print(f"the worker ended with {worker.returncode}")
        raise typer.Exit(1)
    except KeyboardInterrupt:
        err.print("stopping …")
    finally:
        if worker.poll() is None:
            worker.send_signal(signal.SIGINT)
            try:
                worker.wait(WORKER_PATIENCE)
            except subprocess.TimeoutExpired:
                worker.kill()


def _stop(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
