"""The door for kinds of connectors: a kind is a module `dataplatform.connectors.<kind>` with a model `SOURCE`.

The models of metadata know no kind by name. A kind's module is imported when a file names it, so that its
libraries cost only who uses it.
"""

from __future__ import annotations

from importlib import import_module

from dataplatform.metadata.source import Source

KINDS = ("files", "rest", "sql", "python", "singer", "dlt", "airbyte", "push", "mqtt", "imap", "dav", "fints")


def model_of(kind: str) -> type[Source]:
    """The model of a source's file with a connector of that kind."""
    return import_module(f"dataplatform.connectors.{kind}").SOURCE  # type: ignore[no-any-return]  # by convention
