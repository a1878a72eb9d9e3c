"""Manifests of Airbyte sources: where they are, what they ask for, whether they bring code."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import yaml

from dataplatform.connectors.airbyte import AirbyteConnector
from dataplatform.connectors.environments import install_into
from dataplatform.errors import SourceError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Manifest:
    """A manifest on this machine. `root` is what its own Python is imported from, `components` that Python.

    `asks_for`: what the package says that it needs, such as `airbyte-cdk<1`. Of a source that is written in Python
    `path` is where a manifest would be, and the document is empty.
    """

    path: Path
    root: Path
    components: Path | None
    spec: Mapping[str, Any]
    needs_code: tuple[str, ...]
    document: Mapping[str, Any]
    asks_for: tuple[str, ...] = ()

    @property
    def is_there(self) -> bool:
        return bool(self.document)

    @property
    def whole(self) -> dict[str, Any]:
        """With its spec in it, which older ones have beside, and without what newer CDKs do not take."""
        mended = dict(_without_nameless(self.document))
        if "spec" in self.document or not self.spec:
            return mended
        return {**mended, "spec": {"type": "Spec", "connection_specification": dict(self.spec)}}

    def schema(self, stream: str) -> dict[str, Any]:
        """The JSON Schema that lies beside the manifest; empty where none does."""
        file = self.path.parent / "schemas" / f"{stream}.json"
        return dict(json.loads(file.read_text("utf-8"))) if file.exists() else {}


def _without_nameless(value: Any) -> Any:
    """Request options with an empty name went nowhere, and are refused since."""
    if isinstance(value, Mapping):
        return {k: _without_nameless(v) for k, v in value.items() if not _is_nameless(v)}
    return [_without_nameless(v) for v in value] if isinstance(value, list) else value


def _is_nameless(value: Any) -> bool:
    return isinstance(value, Mapping) and "inject_into" in value and value.get("field_name") == ""


def at_hand(connector: AirbyteConnector, home: Path, base_dirs: tuple[Path, ...]) -> Manifest | None:
    """The manifest, where nothing has to be fetched for it."""
    if connector.manifest is not None:
        return _read(_own(connector.manifest, base_dirs))
    folder = _folder(connector, home)
    return _packaged(folder, connector) if (folder / ".ready").exists() else None


def manifest_of(
    connector: AirbyteConnector, home: Path | None, base_dirs: tuple[Path, ...], what: str
) -> Manifest:
    """The manifest; that of a package is fetched once. Raises SourceError where there is none."""
    if connector.manifest is not None:
        return _read(_own(connector.manifest, base_dirs))
    if home is None:
        raise SourceError(f"{what}: there is no HOME to keep its manifest in", "set DATAPLATFORM_HOME")
    folder = _folder(connector, home)
    install_into(folder, str(connector.package), what)
    return _packaged(folder, connector)


def _folder(connector: AirbyteConnector, home: Path) -> Path:
    digest = hashlib.sha256(str(connector.package).encode()).hexdigest()[:20]
    return home / "environments" / f"airbyte-{digest}"


def _own(name: str, base_dirs: tuple[Path, ...]) -> Path:
    for base in base_dirs:
        if (base / name).is_file():
            return (base / name).resolve()
    raise SourceError(f"there is no manifest {name}", f"looked in: {', '.join(map(str, base_dirs))}")


def _packaged(folder: Path, connector: AirbyteConnector) -> Manifest:
    """Raises SourceError for a package that no manifest describes, unless its own program is to read it."""
    asks_for = _asks_for(folder)
    found = sorted(folder.glob("source_*/manifest.yaml")) or sorted(folder.glob("*/manifest.yaml"))
    if found:
        return replace(_read(found[0]), asks_for=asks_for)
    inside = next(iter(sorted(folder.glob("source_*/"))), folder)
    if not connector.own_program:
        raise SourceError(
            f"{connector.package} has no manifest: it is a source that is written in Python",
            f"look at it ({inside}), then say `allow_code: true` and `own_program: true` in the connector",
        )
    return Manifest(
        inside / "manifest.yaml", folder, None, _spec(inside / "manifest.yaml", {}), (), {}, asks_for
    )


def _asks_for(folder: Path) -> tuple[str, ...]:
    """Of what lies in a folder of one package; extras are nobody's wish."""
    found = next(iter(distributions(path=[str(folder)])), None)
    wanted = (one for one in (found.requires if found else None) or () if "extra ==" not in one)
    return tuple(one.replace("(", "").replace(")", "").replace(" ", "").partition(";")[0] for one in wanted)


def _read(path: Path) -> Manifest:
    text = path.read_text("utf-8")
    try:
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise SourceError(f"{path} is no YAML: {str(error).splitlines()[0]}", "correct it") from None
    if not isinstance(document, dict) or "streams" not in document:
        raise SourceError(
            f"{path} is no manifest: it has no `streams`", "see Airbyte's reference of manifests"
        )
    beside = path.parent / "components.py"
    classes = sorted(set(re.findall(r"class_name:\s*[\"']?([\w.]+)", text)))
    return Manifest(
        path,
        path.parent.parent,
        beside if beside.exists() else None,
        _spec(path, document),
        tuple(classes),
        document,
    )


def _spec(path: Path, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the source asks for, as JSON Schema: in the manifest, or beside it as older ones have it."""
    own = document.get("spec") or {}
    found = own.get("connection_specification") or own.get("connectionSpecification")
    for name in ("spec.yaml", "spec.json"):
        if found is None and (path.parent / name).exists():
            beside = yaml.safe_load((path.parent / name).read_text("utf-8")) or {}
            found = beside.get("connectionSpecification") or beside.get("connection_specification")
    return found if isinstance(found, Mapping) else {}


def spec_problems(manifest: Manifest, config: Mapping[str, Any]) -> list[str]:
    """What is wrong with the configuration, each with what is legal; a `{secret: …}` stands for any text."""
    from jsonschema import Draft7Validator

    known = manifest.spec.get("properties") or {}
    found = []
    for error in Draft7Validator(dict(manifest.spec)).iter_errors(_with_texts(config)):
        place = ".".join(map(str, error.absolute_path)) or "config"
        if error.validator == "required":
            missing = re.sub(r" is a required property$", "", error.message).strip("'")
            about = (
                (known.get(missing) or {}).get("description") or (known.get(missing) or {}).get("title") or ""
            )
            found.append(f"config: {missing} is missing" + (f": {_plain(about)}" if about else ""))
        elif error.validator in ("oneOf", "anyOf"):
            titles = [str(one.get("title", "")) for one in error.validator_value if isinstance(one, Mapping)]
            found.append(f"config: {place} fits none of: {', '.join(filter(None, titles)) or 'its forms'}")
        else:
            value = "" if "secret" in place.lower() else f" ({error.message[:150]})"
            found.append(f"config: {place} is not what the source asks for{value}")
    return found


def _plain(text: str) -> str:
    return re.sub(r"<[^>]+>", "", " ".join(text.split()))[:160]


def _with_texts(value: Any) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {"secret"}:
            return "x" * 24
        return {k: _with_texts(v) for k, v in value.items()}
    return [_with_texts(v) for v in value] if isinstance(value, list | tuple) else value


def secrets_in(spec: Mapping[str, Any], config: Any) -> list[str]:
    """Values of the configuration that the spec calls secret, also those that were written as they are."""
    found: list[str] = []
    properties = spec.get("properties") if isinstance(spec, Mapping) else None
    for name, about in (properties or {}).items():
        value = config.get(name) if isinstance(config, Mapping) else None
        if isinstance(value, str) and isinstance(about, Mapping) and about.get("airbyte_secret"):
            found.append(value)
        elif isinstance(value, Mapping) and isinstance(about, Mapping):
            for one in (about, *(about.get("oneOf") or ())):
                found += secrets_in(one, value)
    return found


def refuse_code(manifest: Manifest, connector: AirbyteConnector, what: str) -> None:
    """Raises SourceError for Python of the source's own which nobody has allowed, or which `cdk` would not run."""
    if manifest.needs_code and not connector.allow_code:
        raise SourceError(
            f"{what} needs code of its own ({', '.join(c.rpartition('.')[2] for c in manifest.needs_code[:3])})",
            f"look at it ({manifest.components or manifest.path.parent}), then say `allow_code: true` in the connector",
        )
    if manifest.components and not manifest.needs_code and not connector.own_program:
        raise SourceError(
            f"{what} brings code ({manifest.components.name}) that its manifest does not name: without it, it would "
            "read something else",
            f"look at it ({manifest.components}), then say `allow_code: true` and `own_program: true` in the connector",
        )
