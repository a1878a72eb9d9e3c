"""Runs a dlt source in its environment by `dlt_runner.txt`, and makes items of what that tells, a line of JSON
at a time.

The state is dlt's own of a resource (`dlt.sources.incremental` keeps its cursor there): one for each entity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from dataplatform.connectors.contract import Item, Schema, State, Wanted
from dataplatform.connectors.dlt import DltConnector, DltEntity
from dataplatform.connectors.environments import environment
from dataplatform.connectors.messages import Pages
from dataplatform.connectors.process import lines, message, private_files
from dataplatform.errors import SourceError
from dataplatform.metadata.source import check_type

_TYPES = {
    "text": "text", "bigint": "bigint", "double": "double precision", "bool": "boolean", "timestamp": "timestamptz",
    "date": "date", "decimal": "numeric", "wei": "numeric", "json": None, "time": "time", "binary": None,
}  # fmt: skip


def read(wanted: Sequence[Wanted]) -> Iterator[tuple[str, Item]]:
    """Everything the resources give that are wanted."""
    request = wanted[0].request
    connector = cast("DltConnector", request.source.connector)
    what = f"source {request.source.source}: the dlt source {connector.source}"
    programs = environment(request.home, (connector.version, *connector.packages), what)
    order = {
        "source": connector.source,
        "config": request.resolve(connector.config),
        "folder": str(request.connectors.absolute()),
        "resources": {_resource(one): _state(one) for one in wanted},
    }
    runner = Path(__file__).with_name("dlt_runner.txt")
    telling = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "WARNING", "DO_NOT_TRACK": "1"}
    with private_files({"order": order}) as files:
        argv = [str(programs / "python"), "-P", str(runner), str(files["order"])]
        yield from _items(wanted, what, lines(argv, what, request.noted, telling))


def _resource(one: Wanted) -> str:
    return cast("DltEntity", one.request.entity).resource or one.request.name


def _state(one: Wanted) -> Any:
    """A full load begins at the beginning."""
    return (
        one.since.state
        if one.request.entity.load == "delta" and isinstance(one.since.state, Mapping)
        else None
    )


def _items(wanted: Sequence[Wanted], what: str, told: Iterator[bytes]) -> Iterator[tuple[str, Item]]:
    pages = {
        _resource(w): Pages(w.request.name, w.request.entity, {"resource": _resource(w)}) for w in wanted
    }
    ended = False
    for line in told:
        said = message(line, what)
        if said is None:
            continue
        one = pages.get(str(said.get("resource") or ""))
        match said.get("say"):
            case "record" if one is not None:
                yield from one.add(said["record"])
            case "schema" if one is not None:
                yield one.name, _schema(said["columns"])
            case "state" if one is not None:
                yield from one.flush()
                if said["state"]:
                    yield one.name, State(said["state"])
            case "end":
                ended = True
            case "unknown":
                known = ", ".join(said["known"]) or "none"
                raise SourceError(
                    f"{what} has no resource {said['resource']!r}", f"name one as `resource`; there: {known}"
                )
    if not ended:
        raise SourceError(f"{what} ended before its end", "run again; nothing was landed")


def _schema(columns: Mapping[str, Mapping[str, Any]]) -> Schema:
    """What the resource declares of its columns."""
    fields = {name: _TYPES.get(str(column.get("data_type"))) for name, column in columns.items()}
    checked = {name: check_type(type_) if type_ else None for name, type_ in fields.items()}
    return Schema(checked, tuple(name for name, column in columns.items() if column.get("primary_key")))
