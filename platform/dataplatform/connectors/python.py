"""Connector `python`: your own `extract` function, in one file under connectors/."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from dataplatform.connectors.contract import Extract
from dataplatform.errors import SourceError
from dataplatform.metadata.source import Connector, CursorField, Entity, Name, Source


class PythonConnector(Connector):
    """Your own `extract` function in one file under connectors/."""

    type: Literal["python"]
    module: str = Field(description="Name of the file under connectors/, without .py.")
    config: dict[str, object] = Field(default={}, description="Passed on; may hold secrets.")


class PythonEntity(Entity):
    """One kind of record, as your `extract` gives it."""

    cursor: CursorField | None = Field(default=None, description="delta: where to go on.")


class PythonSource(Source):
    """A source that YAML cannot describe."""

    connector: PythonConnector = Field(description="How it is reached.")
    entities: Mapping[Name, PythonEntity] = Field(min_length=1, description="What it holds.")


SOURCE = PythonSource


def extract_in(connector: PythonConnector, folder: Path) -> Extract:
    """The user's function; raises SourceError where the file, or the function in it, is not there or fails."""
    path = folder / f"{connector.module}.py"
    spec = importlib.util.spec_from_file_location(f"dataplatform_user_{connector.module}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        known = ", ".join(sorted(p.stem for p in folder.glob("*.py"))) or "none"
        raise SourceError(f"there is no connector {path}", f"connectors there: {known}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's module raises is the user's to mend
        raise SourceError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    found = getattr(module, "extract", None)
    if not callable(found):
        raise SourceError(f"{path} has no function `extract(request, since)`")
    return found  # type: ignore[no-any-return]  # checked by the contract test, not by types
