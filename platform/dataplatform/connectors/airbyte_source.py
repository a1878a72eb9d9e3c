"""Runs an Airbyte manifest by `airbyte-cdk`, or a package's own program, in an environment of its own: discover, then
read; its messages as items.

A configuration that the source changes while it runs (CONTROL: a provider rotated a token) is kept before the records
that follow are taken, and laid over what a person wrote from then on, until they write something else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson

from dataplatform.connectors.airbyte import AirbyteConnector, AirbyteEntity
from dataplatform.connectors.airbyte_manifest import (
    Manifest,
    manifest_of,
    refuse_code,
    secrets_in,
    spec_problems,
)
from dataplatform.connectors.contract import Item, State, Wanted
from dataplatform.connectors.environments import environment
from dataplatform.connectors.messages import Pages, schema_of
from dataplatform.connectors.process import PASSING, lines, message, private_files
from dataplatform.errors import ConnectionExpiredError, DataplatformError, SourceError, SourceUnavailableError
from dataplatform.secrets.kept import Kept
from dataplatform.secrets.masking import Noted

Items = Iterator[tuple[str, Item]]


@dataclass
class _Run:
    """One source that is read: its program, what is asked of it, and what it said went wrong."""

    what: str
    argv: list[str]
    manifest: Manifest
    written: Mapping[str, Any]
    kept: Kept | None
    name: str
    noted: Noted
    env: dict[str, str]
    own_program: bool = False
    config: dict[str, Any] = field(default_factory=dict)
    error: DataplatformError | None = None

    @property
    def documents(self) -> dict[str, Any]:
        """What it is called with: its own program knows its manifest."""
        return {"config": self.config, **({} if self.own_program else {"manifest-path": self.manifest.whole})}

    def command(self, verb: str, files: Mapping[str, Any]) -> list[str]:
        options = [part for name, path in files.items() for part in (f"--{name}", str(path))]
        return [self.argv[0], verb, *options, *self.argv[1:]]


def read(wanted: Sequence[Wanted]) -> Items:
    """Everything the source says of the streams that are wanted."""
    run = _run(wanted)
    with run.kept.alone(run.name) if run.kept else nullcontext():
        run.config = _config(run)
        run.noted.note_config(run.config)
        for secret in secrets_in(run.manifest.spec, run.config):
            run.noted.note(secret)
        streams = _discovered(run)
        catalog, names = _catalog(run, streams, wanted)
        documents = {**run.documents, "catalog": catalog, "state": _state(names)}
        with private_files(documents) as files:
            yield from _items(run, names, _told(run, run.command("read", files)))


def _run(wanted: Sequence[Wanted]) -> _Run:
    request = wanted[0].request
    connector = cast("AirbyteConnector", request.source.connector)
    what = f"source {request.source.source}: {connector.package or connector.manifest}"
    manifest = manifest_of(connector, request.home, request.base_dirs, what)
    refuse_code(manifest, connector, what)
    config = request.resolve(connector.config)
    if wrong := spec_problems(manifest, config):
        raise SourceError(f"{what}: " + "; ".join(wrong), "correct `config` in the connector")
    argv, env = _program(connector, manifest, request.home, what)
    kept = Kept(request.home) if request.home else None
    name = f"airbyte/{request.source.source}"
    return _Run(what, argv, manifest, config, kept, name, request.noted, env, connector.own_program)


def _program(
    connector: AirbyteConnector, manifest: Manifest, home: Path | None, what: str
) -> tuple[list[str], dict[str, str]]:
    """What is called, and more of its environment; it is installed where it is not there."""
    if connector.own_program:
        programs = environment(home, (str(connector.package), *connector.packages), what)
        found = sorted(set(programs.glob("source-*")) - {programs / "source-declarative-manifest"})
        if not found:
            raise SourceError(f"{what} has no program of its own", "leave `own_program` out")
        return [str(found[0])], {"DO_NOT_TRACK": "1"}
    programs = environment(home, (connector.cdk, *connector.packages), what)
    argv, env = [str(programs / "source-declarative-manifest")], {"DO_NOT_TRACK": "1"}
    if connector.allow_code and manifest.needs_code:
        env |= {"AIRBYTE_ENABLE_UNSAFE_CODE": "true", "PYTHONPATH": str(manifest.root)}
        if manifest.components:
            argv += ["--components-path", str(manifest.components)]
    return argv, env


def _config(run: _Run) -> dict[str, Any]:
    """What a person wrote, with what the source has changed since."""
    there = run.kept.get(run.name) if run.kept else None
    if there is None or there.get("written") != _digest(run.written):
        return dict(run.written)
    return dict(_laid_over(run.written, there["changed"]))


def _digest(config: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(config, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def _laid_over(old: Any, new: Any) -> Any:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **{name: _laid_over(old.get(name), value) for name, value in new.items()}}
    return new


def _keep(run: _Run, config: Mapping[str, Any]) -> None:
    """Keeps what is another than what was written; its texts are secrets."""
    changed = _changes(run.written, {k: v for k, v in config.items() if not k.startswith("__")})
    for text in _texts(changed):
        run.noted.note(text)
    if run.kept is not None and changed:
        run.kept.put(run.name, {"written": _digest(run.written), "changed": changed})


def _changes(old: Any, new: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in new.items():
        before = old.get(name) if isinstance(old, Mapping) else None
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := _changes(before, value):
                found[name] = inner
        elif value != before:
            found[name] = value
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)


def _told(run: _Run, argv: list[str]) -> Iterator[dict[str, Any]]:
    """Messages; errors that it traces are raised when it has ended, in its own words."""
    run.error = None
    try:
        for line in lines(argv, run.what, run.noted, run.env):
            said = message(line, run.what)
            if said is None:
                continue
            match said.get("type"):
                case "TRACE":
                    run.error = run.error or _traced(run, said["trace"])
                case "CONTROL":
                    _keep(run, (said["control"].get("connectorConfig") or {}).get("config") or {})
                case None | "LOG":
                    continue
                case _:
                    yield said
    except SourceError as error:
        raise (run.error or error) from None
    if run.error is not None:
        raise run.error


def _traced(run: _Run, trace: Mapping[str, Any]) -> DataplatformError | None:
    error = trace.get("error")
    if trace.get("type") != "ERROR" or not isinstance(error, Mapping):
        return None
    stream = (error.get("stream_descriptor") or {}).get("name")
    words = " ".join(str(error.get("message") or "").split())[:400]
    inner = " ".join(str(error.get("internal_message") or "").split())[:300]
    said = run.noted.masker.text(words if inner in words or not inner else f"{words} ({inner})")
    text = f"{run.what} failed" + (f" at the stream {stream}" if stream else "") + f": {said}"
    kind = error.get("failure_type")
    if kind == "transient_error" or (kind != "config_error" and PASSING.search(text)):
        return SourceUnavailableError(text, "try again later; nothing was landed")
    if "invalid_grant" in text or "refresh token" in text.lower():
        return ConnectionExpiredError(text, "set a new token in the connector's `config`")
    return SourceError(text, _hint(run, text, str(kind)))


def _hint(run: _Run, text: str, kind: str) -> str:
    if re.search(r"No module named|cannot import name|has no attribute", text) and run.manifest.components:
        return (
            f"its own Python was written for {', '.join(run.manifest.asks_for) or 'other libraries'}: say what is "
            "missing as `packages`, an older `cdk: airbyte-cdk==6.60.0`, or `own_program: true`"
        )
    return "check `config` in the connector" if kind == "config_error" else "see its documentation"


def _discovered(run: _Run) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    with private_files(run.documents) as files:
        for said in _told(run, run.command("discover", files)):
            if said["type"] == "CATALOG":
                found = {stream["name"]: stream for stream in said["catalog"]["streams"]}
    return found


def _catalog(
    run: _Run, streams: Mapping[str, dict[str, Any]], wanted: Sequence[Wanted]
) -> tuple[dict[str, Any], dict[str, Wanted]]:
    """The configured catalog, and by stream what is wanted."""
    names = {cast("AirbyteEntity", w.request.entity).stream or w.request.name: w for w in wanted}
    for name in names:
        if name not in streams:
            raise SourceError(
                f"{run.what} has no stream {name!r}",
                f"name one as `stream`; there: {', '.join(sorted(streams))}",
            )
    return {"streams": [_configured(run, streams[name], one) for name, one in names.items()]}, names


def _configured(run: _Run, stream: dict[str, Any], one: Wanted) -> dict[str, Any]:
    if not (stream.get("json_schema") or {}).get("properties"):
        stream = {
            **stream,
            "json_schema": run.manifest.schema(stream["name"]) or {"type": "object", "properties": {}},
        }
    entity = cast("AirbyteEntity", one.request.entity)
    incremental = entity.load == "delta" and "incremental" in (stream.get("supported_sync_modes") or ())
    cursor = [entity.cursor_field] if entity.cursor_field else stream.get("default_cursor_field")
    return {
        "stream": stream,
        "sync_mode": "incremental" if incremental else "full_refresh",
        "destination_sync_mode": "append",
        **({"cursor_field": cursor} if cursor else {}),
    }


def _state(names: Mapping[str, Wanted]) -> list[dict[str, Any]]:
    """Where each stream stands; a full load begins at the beginning."""
    return [
        {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": one.since.state}}
        for name, one in names.items()
        if one.request.entity.load == "delta" and isinstance(one.since.state, Mapping)
    ]


def _items(run: _Run, names: Mapping[str, Wanted], told: Iterator[dict[str, Any]]) -> Items:
    """Records as they come; states after the records that they stand for."""
    about = run.what.rpartition(" ")[2]
    pages = {
        s: Pages(w.request.name, w.request.entity, {"source": about, "stream": s}) for s, w in names.items()
    }
    for name, one in pages.items():
        schema = schema_of(run.manifest.schema(name), ())
        if schema.fields:
            yield one.name, schema
    for said in told:
        if said["type"] == "RECORD":
            record = said["record"]
            if record["stream"] in pages:
                yield from pages[record["stream"]].add(record["data"])
        elif said["type"] == "STATE":
            stream = said["state"].get("stream") or {}
            told_of = str((stream.get("stream_descriptor") or {}).get("name"))
            if told_of in pages and names[told_of].request.entity.load == "delta":
                state = stream.get("stream_state") or {}
                if not all(name.startswith("__ab_") for name in state):  # of a stream that has no cursor
                    yield from pages[told_of].flush()
                    yield pages[told_of].name, State(state)
    for one in pages.values():
        yield from one.flush()
