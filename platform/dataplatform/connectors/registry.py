"""Which `extract` belongs to which connector kind."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import cast

from dataplatform.connectors.contract import Extract
from dataplatform.errors import SourceError
from dataplatform.metadata.connector import PythonConnector
from dataplatform.metadata.source import Source


def extract_of(source: Source, folder: Path) -> Extract:
    """The `extract` of a source; `folder` is where your own connectors lie."""
    connector = source.connector
    if not isinstance(connector, PythonConnector):
        # the module of the kind is imported here: nobody waits for the libraries of the others
        return cast(Extract, importlib.import_module(f"dataplatform.connectors.{connector.type}").extract)
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
