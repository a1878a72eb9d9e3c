"""Tables that a source names by patterns: looked for at the beginning of a run, noted beside its metadata."""

from __future__ import annotations

import logging
from dataclasses import replace

from dataplatform.connectors.registry import discover_of
from dataplatform.context import Platform
from dataplatform.errors import DataplatformError, MetadataError
from dataplatform.metadata import load_catalog
from dataplatform.metadata.found_tables import note

log = logging.getLogger(__name__)


def with_tables(platform: Platform, source: str) -> Platform:
    """The platform with what the source's patterns find now. A database that does not answer hides no table that is
    known: each of them says so by itself."""
    what = platform.catalog.source(source)
    discover = discover_of(what)
    try:
        found = discover(what, platform.secrets.resolve) if discover is not None else None
    except DataplatformError as error:
        if not what.entities:
            raise
        log.warning("%s: its tables were not looked for: %s", source, error.message)
        return platform
    if found is None:
        return platform
    new = note(platform.catalog.root, source, found)
    if new:
        log.info("%s: found %s", source, ", ".join(new))
    catalog = load_catalog(platform.catalog.root)
    whole = catalog.source(source)
    if not whole.entities:
        raise MetadataError(
            f"no table of {source} matches `connector.tables`", "correct `include` and `exclude`"
        )
    for name in new:
        if name in whole.entities and whole.entities[name].by_row:
            log.warning(
                "%s.%s has no key: its rows are told apart by what they hold; `key:` of an entity %s says better",
                source, name, name,
            )  # fmt: skip
    return replace(platform, catalog=catalog)
