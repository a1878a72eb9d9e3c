"""The kinds of connectors: each is one module here, with its `SOURCE` model and its `extract`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, cast

from dataplatform.connectors.contract import Extract, ExtractTogether
from dataplatform.metadata.source import Source


def extract_of(source: Source, folder: Path) -> Extract | None:
    """The `extract` of a source that can be read entity by entity; None of one that is read as a whole.

    `folder` is where your own connectors lie. Raises SourceError where one of these offers neither.
    """
    return cast("Extract | None", _offered(source, folder, "extract"))


def extract_together_of(source: Source, folder: Path) -> ExtractTogether | None:
    """The `extract_together` of a source whose entities come out of one process; None of all others."""
    return cast("ExtractTogether | None", _offered(source, folder, "extract_together"))


def _offered(source: Source, folder: Path, name: str) -> Any:
    """The module of the kind is imported here: nobody waits for the libraries of the others."""
    kind = import_module(f"dataplatform.connectors.{source.connector.type}")
    if hasattr(kind, "functions_in"):  # a kind whose functions are a person's own
        return kind.functions_in(source.connector, folder).get(name)
    return getattr(kind, name, None)


def receives(source: Source) -> bool:
    """Whether its records are pushed to us, and wait in the inbox."""
    return bool(getattr(import_module(f"dataplatform.connectors.{source.connector.type}"), "RECEIVES", False))


def problems_of(source: Source, home: Path, base_dirs: tuple[Path, ...]) -> list[str]:
    """What the kind finds wrong in a source beyond its models, without asking anybody; for `check`."""
    kind = import_module(f"dataplatform.connectors.{source.connector.type}")
    return list(kind.problems(source, home, base_dirs)) if hasattr(kind, "problems") else []


def connect_of(source: Source) -> Any:
    """The kind's `connect(request, talk)`, which asks a person in its own way; None where it has none."""
    return getattr(import_module(f"dataplatform.connectors.{source.connector.type}"), "connect", None)


def discover_of(source: Source) -> Any:
    """The kind's `discover(source, resolve)`, which finds tables by patterns; None where it has none."""
    return getattr(import_module(f"dataplatform.connectors.{source.connector.type}"), "discover", None)


def reread_of(source: Source) -> Any:
    """The kind's `reread(request, part, content)`, which reads a kept original again; None where it has none."""
    return getattr(import_module(f"dataplatform.connectors.{source.connector.type}"), "reread", None)
