"""Runs a Singer tap: catalog, selection, state in; records, schemas, states and deletions out.

A tap's state is one document for all of its streams. Here each entity has a state of its own: its stream's bookmark and
what is not of any stream. So one entity that is read from the beginning leaves the others where they were.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from dataplatform.connectors.contract import Item, State, Wanted, encode
from dataplatform.connectors.environments import environment
from dataplatform.connectors.messages import Pages, schema_of
from dataplatform.connectors.process import lines, message, private_files
from dataplatform.connectors.singer import SingerConnector, SingerEntity
from dataplatform.errors import SourceError

Items = Iterator[tuple[str, Item]]


@dataclass(frozen=True)
class _Tap:
    """The tap, its program and its name in errors."""

    program: str
    what: str
    config: Any
    wanted: Sequence[Wanted]

    def entity(self, one: Wanted) -> SingerEntity:
        return cast("SingerEntity", one.request.entity)

    def stream(self, one: Wanted) -> str:
        return self.entity(one).stream or one.request.name


def read(wanted: Sequence[Wanted]) -> Items:
    """Everything the tap says of the streams that are wanted."""
    tap = _tap(wanted)
    noted = wanted[0].request.noted
    with private_files({"config": tap.config}) as files:
        told = b"".join(
            lines(
                [tap.program, "--config", str(files["config"]), "--discover"], f"{tap.what} --discover", noted
            )
        )
    catalog, names = _catalog(tap, told)
    documents = {"config": tap.config, "catalog": catalog, "state": state_for(tap, names)}
    with private_files(documents) as files:
        argv = [tap.program, "--config", str(files["config"]), "--catalog", str(files["catalog"])]
        # older taps call the catalog `properties`; --catalog is what all that are alive take
        if documents["state"]:
            argv += ["--state", str(files["state"])]
        yield from _items(tap, names, lines(argv, tap.what, noted))


def _tap(wanted: Sequence[Wanted]) -> _Tap:
    request = wanted[0].request
    connector = cast("SingerConnector", request.source.connector)
    name = connector.tap.partition("==")[0].partition("[")[0]
    what = f"source {request.source.source}: the tap {connector.tap}"
    package = _own(request.base_dirs, connector.tap, what) if "/" in connector.tap else connector.tap
    config = request.resolve(connector.config)
    request.noted.note_config(config)
    if Path(package).is_file():
        return _Tap(package, what, config, wanted)
    programs = environment(request.home, (package, *connector.packages), what)
    program = _program(programs, connector.executable, Path(name).name, what)
    return _Tap(str(program), what, config, wanted)


def _program(programs: Path, said: str, name: str, what: str) -> Path:
    """The one that is named, or is called as the package is, or as it ends: `pipelinewise-tap-x` has `tap-x`."""
    there = sorted(programs.glob("*tap*"))
    taps = [path for path in there if path.name.startswith("tap-") and name.endswith(path.name)]
    program = programs / (said or name)
    if not program.exists() and not said and len(taps) == 1:
        return taps[0]
    if not program.exists():
        names = ", ".join(path.name for path in there) or "none"
        raise SourceError(f"{what} has no program {program.name}", f"name it as `executable`; there: {names}")
    return program


def _own(base_dirs: tuple[Path, ...], tap: str, what: str) -> str:
    """Where a person's own tap is: a folder to install, or a program to run as it is."""
    for base in base_dirs:
        if (base / tap).exists():
            return str((base / tap).resolve())
    raise SourceError(f"{what} is not there", f"looked in: {', '.join(map(str, base_dirs))}")


def is_the_taps(field: str, entity: SingerEntity) -> bool:
    """Whether it is what the tap says of its own reading, at every run something else, and nobody asked for it."""
    if not field.startswith("_sdc_") or any(fnmatchcase(field, pattern) for pattern in entity.select):
        return False
    return field not in {*entity.key, *entity.columns, entity.effective_at}


def _catalog(tap: _Tap, told: bytes) -> tuple[dict[str, Any], dict[str, Wanted]]:
    """The catalog with what is wanted selected, and by the name in messages what is wanted."""
    try:
        catalog = json.loads(told)
        streams = catalog["streams"]
    except (ValueError, KeyError, TypeError):
        raise SourceError(
            f"{tap.what} --discover gave no catalog", "is it a tap that can discover?"
        ) from None
    by_name: dict[str, Any] = {}
    for stream in streams:
        by_name[stream.get("tap_stream_id") or stream["stream"]] = stream
        by_name.setdefault(stream["stream"], stream)
        _select(stream, None)
    found = {}
    for one in tap.wanted:
        name = tap.stream(one)
        if name not in by_name:
            known = ", ".join(sorted({s["stream"] for s in streams})) or "none"
            raise SourceError(
                f"{tap.what} has no stream {name!r} (entity {one.request.name})",
                f"name one as `stream`; there: {known}",
            )
        _select(by_name[name], tap.entity(one))
        found[by_name[name]["stream"]] = one
    return catalog, found


def _select(stream: dict[str, Any], entity: SingerEntity | None) -> None:
    """Marks a stream and its fields in the catalog, in the ways of old and new taps."""
    chosen = entity is not None
    entries = {tuple(m["breadcrumb"]): m for m in stream.setdefault("metadata", [])}
    if () not in entries:
        entries[()] = {"breadcrumb": [], "metadata": {}}
        stream["metadata"].append(entries[()])
    own = entries[()].setdefault("metadata", {})
    own["selected"] = chosen
    schema = stream.get("schema") or {}
    if isinstance(schema, dict):
        schema["selected"] = chosen
    if entity is None:
        return
    if entity.replication_method:
        own["replication-method"] = stream["replication_method"] = entity.replication_method
    if entity.replication_key:
        own["replication-key"] = stream["replication_key"] = entity.replication_key
    for field in schema.get("properties") or {}:
        place = ("properties", field)
        if place not in entries:
            entries[place] = {"breadcrumb": list(place), "metadata": {}}
            stream["metadata"].append(entries[place])
        marks = entries[place].setdefault("metadata", {})
        if marks.get("inclusion") not in ("automatic", "unsupported"):
            marks["selected"] = _is_chosen(field, entity)


def _is_chosen(field: str, entity: SingerEntity) -> bool:
    wanted = not entity.select or any(fnmatchcase(field, pattern) for pattern in entity.select)
    return wanted and not any(fnmatchcase(field, pattern) for pattern in entity.deselect)


def state_for(tap: _Tap, names: Mapping[str, Wanted]) -> dict[str, Any]:
    """The tap's state out of those of the entities; a full load begins at the beginning."""
    state: dict[str, Any] = {}
    for stream, one in names.items():
        own = one.since.state
        if one.request.entity.load == "full" or not isinstance(own, Mapping):
            continue
        state |= own.get("rest") or {}
        if own.get("bookmark") is not None:
            state.setdefault("bookmarks", {})[stream] = own["bookmark"]
    return state


def _items(tap: _Tap, names: Mapping[str, Wanted], told: Iterator[bytes]) -> Items:
    """A state is passed on after the records that came before it: they are in what is landed, or nothing is."""
    pages = {stream: _pages(tap, one, stream) for stream, one in names.items()}
    last: dict[str, Any] | None = None
    for line in told:
        said = message(line, tap.what)
        if said is None:
            continue
        kind, stream = said.get("type"), str(said.get("stream") or "")
        if kind == "STATE":
            last = said.get("value") or {}
        elif kind == "BATCH":
            raise SourceError(f"{tap.what} gives files (BATCH)", "leave `batch_config` out of its config")
        elif stream in pages:
            yield from _of_stream(pages[stream], said)
    for one in pages.values():
        yield from one.flush()
    if last is not None:  # the tap ended well: its last state stands for all that came
        for stream, one in pages.items():
            yield one.name, State(_own_state(last, stream))


def _pages(tap: _Tap, one: Wanted, stream: str) -> Pages:
    entity = tap.entity(one)
    about = {"tap": tap.what.rpartition(" ")[2], "stream": stream}

    def leaves_out(field: str) -> bool:
        return is_the_taps(field, entity) or any(fnmatchcase(field, pattern) for pattern in entity.deselect)

    return Pages(one.request.name, entity, about, leaves_out)


def _of_stream(pages: Pages, said: Mapping[str, Any]) -> Items:
    match said.get("type"):
        case "SCHEMA":
            key = tuple(said.get("key_properties") or ())
            yield pages.name, schema_of(said.get("schema") or {}, key, pages.leaves_out)
        case "RECORD":
            whole = said.get("record") or {}
            record, gone = pages.kept(whole), whole.get("_sdc_deleted_at")
            yield from pages.end(record) if gone else pages.add(record)
        case "ACTIVATE_VERSION":
            yield from pages.flush()  # a full load ends what is absent by itself


def _own_state(state: Mapping[str, Any], stream: str) -> dict[str, Any]:
    rest = {k: v for k, v in state.items() if k not in ("bookmarks", "currently_syncing")}
    bookmark = (state.get("bookmarks") or {}).get(stream)
    return json.loads(encode({"bookmark": bookmark, "rest": rest}))  # type: ignore[no-any-return]  # an object
