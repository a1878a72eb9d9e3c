"""Composition root: puts the Platform together, once, and takes it apart again."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from kink import Container
from sqlalchemy.engine import Engine

from dataplatform import pipeline
from dataplatform.audit import migrate
from dataplatform.context import Platform
from dataplatform.embedded import Servers, postgres, start_servers
from dataplatform.embedded.private import make_private
from dataplatform.errors import DataplatformError
from dataplatform.layers.bronze import Bronze
from dataplatform.layers.silver.ahead import Shelf
from dataplatform.metadata import Catalog, load_catalog
from dataplatform.orchestration.blocks import known_secrets
from dataplatform.pipeline import Move
from dataplatform.processes import Processes
from dataplatform.records.counts import Counts
from dataplatform.secrets import Secrets
from dataplatform.secrets.masking import PROCESS, masked_logs
from dataplatform.settings import PrefectApi, Settings, load_settings
from dataplatform.stamp import Stamp, refuse_other, stamp_of
from dataplatform.storage import FileStore
from dataplatform.storage.postgres import make_engine, ping
from dataplatform.upkeep.backup import journal

# Records come and go by the million and hold no cycles: to look at them as often as Python's own
# setting says (700) costs a quarter of a load.
COLLECT_AFTER = 100_000

log = logging.getLogger(__name__)


@contextmanager
def open_platform(
    settings: Settings | None = None, catalog: Catalog | None = None, prefect: bool = False
) -> Iterator[Platform]:
    """The Platform for the block. `prefect`: with a Prefect server, PREFECT_API_URL set for it."""
    gc.set_threshold(COLLECT_AFTER, 20, 20)
    found = settings or load_settings()
    make_private(found.home_path)
    journal.refuse_unfinished(found.home_path)
    _note_secrets(found)
    wanted = catalog or load_catalog(found.metadata_path)
    servers = _servers_and_prefect(found) if prefect else start_servers(found, prefect=False)
    _say_what_stays(servers)
    try:
        container = _container(found, wanted, servers)
        platform = container[Platform]
        try:
            migrate.upgrade(platform.engine, before=lambda: _restore_point(platform))
            with _lent_to_this_process(platform), masked_logs():
                yield platform
        finally:
            platform.processes.close()
            platform.shelf.close()
            platform.engine.dispose()
            platform.bronze.close()
    finally:
        servers.close()


@contextmanager
def open_database(settings: Settings) -> Iterator[Engine]:
    """Postgres alone, as it is, for the block: an embedded one is started where it must be, nothing is migrated."""
    journal.refuse_unfinished(settings.home_path)
    with ExitStack() as stack:
        url = settings.postgres_url.get_secret_value() if settings.postgres_url else ""
        if not url:
            make_private(settings.home_path)
            lease = postgres.start(settings.home_path, settings.linger)
            stack.callback(Servers("", "", None, [lease], settings.linger).close)
            url = postgres.url(lease.about)
        engine = _engine(url)
        stack.callback(engine.dispose)
        yield engine


def _restore_point(platform: Platform) -> None:
    """A newer release meets data of an older one: a backup is made before anything is changed."""
    if not platform.settings.upgrade_backup:
        return
    from dataplatform.upkeep.backup.make import make_beside
    from dataplatform.upkeep.backup.stores import Stores

    log.info("these data are of an older release: a backup is made before they are brought up to date")
    try:
        made = make_beside(Stores.of(platform))
    except DataplatformError as error:
        error.message = f"the backup before the upgrade failed, and nothing was changed: {error.message}"
        error.remedy += "; or go without one: DATAPLATFORM_UPGRADE_BACKUP=false"
        raise
    log.info("to go back to it: install the older release, then dataplatform restore %s", made.archive)


_of_process: dict[int, Platform] = {}  # by process id: a forked process must not use its parent's connections
_opening = threading.Lock()


@contextmanager
def _lent_to_this_process(platform: Platform) -> Iterator[None]:
    before = _of_process.get(os.getpid())
    _of_process[os.getpid()] = platform
    try:
        yield
    finally:
        if before is None:
            del _of_process[os.getpid()]
        else:
            _of_process[os.getpid()] = before


def lend(platform: Platform) -> Platform:
    """This process does its moves with that one from now on: the metadata of the one it opened have grown."""
    _of_process[os.getpid()] = platform
    return platform


def perform(move: Move, stamp: Stamp | None = None) -> Counts:
    """Does a move with this process's platform, which is opened once, for good, where none is open yet.

    `stamp`: what the run works by; a process that works by something else refuses.
    """
    with _opening:
        platform = _of_process.get(os.getpid())
        if platform is None:
            stack = ExitStack()
            platform = stack.enter_context(open_platform())
            atexit.register(stack.close)
    if stamp is not None:
        platform = _alike(platform, stamp, move.batch.source)
    return pipeline.perform(platform, move)


def _alike(platform: Platform, stamp: Stamp, source: str) -> Platform:
    """The platform, with its metadata read again where they are not the run's: people edit them meanwhile."""
    mine = stamp_of(platform, source)
    if mine.metadata != stamp.metadata:
        platform = reread(platform)
        _of_process[os.getpid()] = platform
        mine = stamp_of(platform, source)
    refuse_other(mine, stamp, source)
    return platform


def reread(platform: Platform) -> Platform:
    """The same Platform with its metadata read again: a process that stays up sees what people edited meanwhile."""
    return replace(platform, catalog=load_catalog(platform.catalog.root))


def _servers_and_prefect(settings: Settings) -> Servers:
    """Prefect is imported while the servers start: either takes its second."""
    os.environ.setdefault("PREFECT_HOME", str(settings.home_path / "prefect"))
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "dataplatform")
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # a server that Prefect starts by itself asks nobody for a password
    os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] = "false"
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(start_servers, settings, True)
        from dataplatform.orchestration.connection import use_api

        servers = starting.result()
    if servers.prefect:
        use_api(servers.prefect)
        _note_sign_in(servers.prefect)
    return servers


def _note_secrets(settings: Settings) -> None:
    """Whatever an error of ours may say of a server, not its password."""
    for url in (settings.postgres_url, settings.mongo_url, settings.mlflow_url):
        PROCESS.note_url(url.get_secret_value() if url else "")
    PROCESS.note_url(settings.llm_url or "")
    PROCESS.note(settings.llm_key.get_secret_value() if settings.llm_key else "")
    _note_sign_in(settings.prefect)


def _note_sign_in(api: PrefectApi | None) -> None:
    PROCESS.note((api.auth or "").partition(":")[2] if api else "")


def _say_what_stays(servers: Servers) -> None:
    """Said once: by the command that started them."""
    if servers.started:
        log.info(
            "%s: started, and kept for %.0f s after the last command; `dataplatform stop` ends them",
            ", ".join(servers.started),
            servers.linger,
        )


def _container(settings: Settings, catalog: Catalog, servers: Servers) -> Container:
    container = Container()  # type: ignore[no-untyped-call]  # kink has no types here
    container[Settings] = settings
    container[Catalog] = catalog
    container[Secrets] = lambda c: known_secrets(c[Settings])
    container[FileStore] = lambda c: FileStore(c[Settings].raw_location)
    container[Engine] = lambda _: _engine(servers.postgres_url)
    container[Bronze] = lambda _: Bronze.connect(servers.mongo_url, settings.home_path)
    container[Processes] = lambda c: Processes(c[Settings].processes)
    container[Shelf] = lambda _: Shelf()
    container[Platform] = lambda c: Platform(
        c[Settings], c[Catalog], c[Engine], c[Bronze], c[FileStore], c[Secrets], c[Processes], c[Shelf]
    )
    return container


def _engine(url: str) -> Engine:
    engine = make_engine(url)
    ping(engine)
    return engine
