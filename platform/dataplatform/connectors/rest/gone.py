"""Records that an API says are deleted: they arrive as it sent them, and end at the place where they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from dataplatform.connectors.contract import Deleted, Item
from dataplatform.connectors.rest.answer import Content
from dataplatform.connectors.rest.model import RestEntity
from dataplatform.metadata.paths import MISSING, dig


def told(content: Content, entity: RestEntity) -> Iterator[Item]:
    """The pages, then the keys of the records in them that have gone."""
    yield from content.pages
    if entity.deleted is None:
        return
    keys = [key for record in content.records if (key := _key(record, entity))]
    if keys:
        request = dict(content.pages[-1].request) if content.pages else {}
        yield Deleted([orjson.dumps(key) for key in keys], request)


def _key(record: Any, entity: RestEntity) -> dict[str, Any]:
    """The key of a record that has gone, nested as it came; nothing where it has not, or has no key."""
    if not isinstance(record, Mapping) or dig(record, entity.deleted or "") in (
        MISSING,
        None,
        False,
        0,
        "",
        [],
    ):
        return {}
    found: dict[str, Any] = {}
    for path in (*entity.key, *([entity.effective_at] if entity.effective_at else [])):
        value = dig(record, path)
        if value in (MISSING, None) and path in entity.key:
            return {}
        if value is not MISSING:
            *above, last = path.split(".")
            inner = found
            for name in above:
                inner = inner.setdefault(name, {})
            inner[last] = value
    return found
