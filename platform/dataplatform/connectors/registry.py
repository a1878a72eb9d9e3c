"""The kinds of connectors: each is one module here, with its `SOURCE` model and its `extract`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from dataplatform.connectors.contract import Extract
from dataplatform.metadata.source import Source


def extract_of(source: Source, folder: Path) -> Extract:
    """The `extract` of a source; `folder` is where your own connectors lie.

    The module of the kind is imported here: nobody waits for the libraries of the others.
    """
    if source.connector.type == "python":
        from dataplatform.connectors.python import PythonConnector, extract_in

        return extract_in(cast(PythonConnector, source.connector), folder)
    return cast(Extract, import_module(f"dataplatform.connectors.{source.connector.type}").extract)
