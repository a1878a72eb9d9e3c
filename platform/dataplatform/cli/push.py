"""`dataplatform push`: lines of JSON on standard input become records of a push source."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from queue import Empty, Queue
from typing import Annotated, Any

import typer

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, err, print_json
from dataplatform.cli.run import run_flow, show
from dataplatform.connectors.receiving import Received, due, receive
from dataplatform.context import Platform
from dataplatform.errors import MetadataError, SourceError
from dataplatform.metadata import load_catalog
from dataplatform.metadata.source import Source
from dataplatform.settings import load_settings

AT_ONCE = 1_000  # lines
PATIENCE = 0.5  # seconds that lines are gathered before they are kept


@command
def push(
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    entity: Annotated[str, typer.Argument(help="Its entity; may be left out where it has one.")] = "",
    key: Annotated[
        str, typer.Option("--key", help="Idempotency key: sent again with the same one, it counts once.")
    ] = "",
    run: Annotated[
        bool, typer.Option(help="Load at the end what was received; else the next run does.")
    ] = True,
    json_: Json = False,
) -> None:
    """Receives lines of JSON from standard input as records of a source with `connector: {type: push}`.

    What was received is on the disk before it is loaded. While lines go on coming, they are loaded by the
    connector's `count` and `every`."""
    settings = load_settings()
    catalog = load_catalog(settings.metadata_path)
    known = catalog.source(source)
    name = _entity(known, entity)
    with open_platform(settings, catalog, prefect=run) as platform:
        received, result = _receive_all(platform, known, name, key, run)
        if run and received["records"]:
            result = run_flow(source, [name], False, False, False)
    if result is None:
        _say(source, name, received, json_)
        return
    show({**result, "received": received["records"], "repeated": received["repeated"]}, json_)


def _entity(source: Source, name: str) -> str:
    if name:
        return name
    if len(source.entities) > 1:
        raise MetadataError(
            f"{source.source} has {len(source.entities)} entities: which one?",
            f"legal: {', '.join(source.entities)}",
        )
    return next(iter(source.entities))


def _receive_all(
    platform: Platform, source: Source, entity: str, key: str, run: bool
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Keeps what comes, and loads it when enough has come or long enough ago; counts, and the last run's document."""
    total, repeated, result = 0, 0, None
    for number, some in enumerate(_parts(whole=bool(key))):
        if some:
            one = _received(platform, source, entity, some, f"{key}#{number}" if key else None, total)
            total, repeated = total + one.records, repeated + (one.records if one.repeated else 0)
        if run and due(platform.engine, source):
            result = run_flow(source.source, [entity], False, False, False)
    return {"records": total, "repeated": repeated}, result


def _received(
    platform: Platform, source: Source, entity: str, lines: list[bytes], key: str | None, before: int
) -> Received:
    try:
        return receive(platform.engine, source, entity, lines, key)
    except SourceError as error:
        after = f"; the {before:,} records before these are kept" if before else ""
        raise SourceError(error.message + after, error.remedy) from None


def _parts(whole: bool) -> Iterator[list[bytes]]:
    """Lines as they come, what came within half a second together; nothing where none came for a second.

    `whole`: by count alone, so that the same input has the same parts each time.
    """
    coming: Queue[bytes | None] = Queue(AT_ONCE * 2)
    threading.Thread(target=_listen, args=(coming,), daemon=True).start()
    ended = False
    while not ended:
        some: list[bytes] = []
        until = time.monotonic() + (PATIENCE if not whole else 1e9)
        while len(some) < AT_ONCE and not ended:
            try:
                line = coming.get(timeout=None if whole else max(0.01, until - time.monotonic()))
            except Empty:
                break
            ended = line is None
            some += [line] if line is not None else []
        yield some


def _listen(coming: Queue[bytes | None]) -> None:
    for line in sys.stdin.buffer:
        if line.strip():
            coming.put(line)
    coming.put(None)


def _say(source: str, entity: str, received: dict[str, Any], json_: bool) -> None:
    if json_:
        print_json({"status": "done", "source": source, "entity": entity, **received})
    else:
        err.print(f"{received['records']:,} records of {source}.{entity} are received", highlight=False)
