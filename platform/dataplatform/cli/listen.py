"""`dataplatform listen`: receives from brokers; `up` and `serve` do so beside their pages."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.context import Platform
from dataplatform.errors import MetadataError
from dataplatform.metadata import load_catalog
from dataplatform.metadata.source import Source
from dataplatform.settings import load_settings

log = logging.getLogger(__name__)
LOOK = 5.0  # seconds between two looks at the metadata


@command
def listen(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Sources; all of `type: mqtt` when absent.")
    ] = None,
    json_: Json = False,
) -> None:
    """Receives what brokers pass on, for sources with `connector: {type: mqtt}`, until Ctrl-C.

    A message is on the disk before the broker hears that we have it; runs load it."""
    settings = load_settings()
    catalog = load_catalog(settings.metadata_path)
    for name in sources or ():
        if catalog.source(name).connector.type != "mqtt":
            raise MetadataError(f"{name} listens to no broker", "only `connector: {type: mqtt}` does")
    names = sources or [name for name, one in catalog.sources.items() if one.connector.type == "mqtt"]
    if not names:
        raise MetadataError(
            "no source listens to a broker", "`connector: {type: mqtt}`: docs/sources/push.md"
        )
    with open_platform(settings, catalog) as platform:
        print_json({"status": "up", "sources": names}) if json_ else out.print(
            f"listening for {', '.join(names)}"
        )
        with listening(platform, set(sources or ())):
            _until_told()


@contextlib.contextmanager
def listening(platform: Platform, only: set[str] | None = None) -> Iterator[None]:
    """For the block, whatever sources have a broker are listened to, as the metadata say meanwhile."""
    stop = threading.Event()
    thread = threading.Thread(target=_look_after, args=(platform, only, stop), name="brokers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def _look_after(platform: Platform, only: set[str] | None, stop: threading.Event) -> None:
    """A thread for each source; another one where its description is another."""
    running: dict[str, tuple[str, threading.Event, threading.Thread]] = {}
    while not stop.is_set():
        wanted = {name: one for name, one in _sources(platform).items() if not only or name in only}
        for name in list(running):
            said, ended, thread = running[name]
            if name not in wanted or wanted[name].model_dump_json() != said or not thread.is_alive():
                ended.set()
                thread.join(10)
                del running[name]
        for name, source in wanted.items():
            if name not in running and (begun := _started(platform, source)):
                running[name] = (source.model_dump_json(), *begun)
        stop.wait(LOOK)
    for _, ended, _ in running.values():
        ended.set()
    for _, _, thread in running.values():
        thread.join(10)


def _sources(platform: Platform) -> dict[str, Source]:
    catalog = load_catalog(platform.catalog.root)
    return {name: one for name, one in catalog.sources.items() if one.connector.type == "mqtt"}


def _started(platform: Platform, source: Any) -> tuple[threading.Event, threading.Thread] | None:
    """None where the library is missing, which is told."""
    try:
        from dataplatform.connectors.mqtt_listening import Listener  # paho: only where there is a broker
    except ImportError:
        log.warning("%s: MQTT needs paho-mqtt: pip install 'dataplatform[mqtt]'", source.source)
        return None
    ended = threading.Event()
    listener = Listener(platform.engine, source, platform.secrets.resolve)
    thread = threading.Thread(target=listener.run, args=(ended,), name=f"mqtt {source.source}", daemon=True)
    thread.start()
    return ended, thread


def _until_told() -> None:
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    told.wait()
