"""Records that an API says are deleted: they are no versions of their own, but end what was there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from dataplatform.connectors.contract import Deleted, Item, encode
from dataplatform.connectors.rest.answer import Content, carried
from dataplatform.connectors.rest.model import RestEntity
from dataplatform.metadata.paths import MISSING, dig

_NO = ("", "false", "f", "no", "n", "0", "null", "none")
_NO_TIMES = ("0001-01-01", "0000-00-00")


def told(content: Content, entity: RestEntity) -> Iterator[Item]:
    """The pages, and after them the records that have gone, as the API sent them."""
    gone = [r for r in content.records if _is_gone(r, entity)] if entity.deleted else []
    if not gone:
        yield from content.pages
        return
    left = carried(content, {}, entity.request.records, lambda record: not _is_gone(record, entity))
    (page,) = left.pages
    yield replace(page, part=content.pages[0].part)
    yield Deleted([encode(record) for record in gone], page.request)


def _is_gone(record: Any, entity: RestEntity) -> bool:
    """Whether it says so, and has the key of what has gone; without a key it is a record to be set aside."""
    if not isinstance(record, Mapping):
        return False
    return _says_yes(dig(record, entity.deleted or "")) and not any(
        dig(record, path) in (MISSING, None) for path in entity.key
    )


def _says_yes(value: Any) -> bool:
    """Whether it is true, or a time, also where an API writes false and no time as text (`0001-01-01T00:00:00Z`)."""
    if isinstance(value, str):
        return value.strip().lower() not in _NO and not value.startswith(_NO_TIMES)
    return value is not MISSING and bool(value)
