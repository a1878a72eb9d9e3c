"""The state of an entity with `cursor:`, from the records themselves: the greatest value of the cursor's field."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import orjson

from dataplatform.connectors.contract import Item, Records, State
from dataplatform.metadata.cursor import Value, later
from dataplatform.metadata.paths import dig, records_in
from dataplatform.metadata.source import CursorField


def greatest(so_far: Value | None, records: Iterable[Any], cursor: CursorField | None) -> Value | None:
    """The greatest value of the cursor's field among the records, and `so_far`; what is no record has none."""
    if cursor is None:
        return so_far
    for record in records:
        if isinstance(record, dict):
            so_far = later(so_far, dig(record, cursor.field))
    return so_far


def greatest_value(so_far: Value | None, column: Iterable[Any], as_json: Any) -> Value | None:
    """The same for a column of one type; `as_json` gives a value as JSON would hold it."""
    values = [value for value in column if value is not None and not _infinite(value)]
    try:
        if values and not isinstance(values[0], str):  # of texts the greatest may be the one that is no time
            return later(so_far, as_json(max(values)))
    except TypeError:  # values of several types do not compare
        pass
    for value in values:
        so_far = later(so_far, as_json(value))
    return so_far


def _infinite(value: Any) -> bool:
    """Infinity, and what is no number at all (NaN): it compares with nothing."""
    return (isinstance(value, float) and not math.isfinite(value)) or (
        isinstance(value, Decimal) and not value.is_finite()
    )


def with_state(items: Iterator[Item], cursor: CursorField | None) -> Iterator[Item]:
    """The items; at their end the state, where the connector said none itself."""
    newest: Value | None = None
    said = cursor is None
    for item in items:
        said = said or isinstance(item, State)
        if not said and isinstance(item, Records):
            newest = greatest(newest, _parsed(item), cursor)
        yield item
    if not said and newest is not None:
        yield State(newest)


def _parsed(page: Records) -> Iterator[Any]:
    """The records of a page; what cannot be read is quarantined later, and has no cursor."""
    for text in page.data:
        try:
            document = orjson.loads(text)
            yield from records_in(document, page.records_path) if page.kind == "document" else (document,)
        except ValueError:
            continue
