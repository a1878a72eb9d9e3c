"""From one record to the rows of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from dataplatform.layers.silver.convert import NULL, BadValue
from dataplatform.layers.silver.plan import TablePlan
from dataplatform.records.record import (
    Lists,
    flatten,
    item_fields,
    key_hash,
    row_hash,
    within,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_VALUES = row_hash({})


@dataclass(frozen=True, slots=True)
class Row:
    """The attributes of one row, by path; the keys are 16-byte hashes.

    `said`: the paths it says something of, of scalars and of lists.
    """

    key: bytes
    values: Mapping[str, Any]
    parent: bytes | None = None
    index: int | None = None
    said: frozenset[str] = frozenset()


Rows = dict[str, list[Row]]  # by table


def micros(moment: datetime) -> int:
    """Microseconds since 1970, exact."""
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


@lru_cache(maxsize=1_000)
def moment_text(at: int) -> str:
    """Microseconds since 1970 as text for COPY; exact, for any year Python knows."""
    seconds, rest = divmod(at, 1_000_000)
    days, seconds = divmod(seconds, 86_400)
    day = datetime.fromordinal(EPOCH.toordinal() + days)
    hours, seconds = divmod(seconds, 3600)
    return f"{day:%Y-%m-%d} {hours:02}:{seconds // 60:02}:{seconds % 60:02}.{rest:06}+00"


def typed_rows(root: TablePlan, rows: Rows) -> Rows:
    """The rows of the tables below a root, their values typed."""
    return {
        table.name: [replace(row, values=typed(table, row.values)) for row in rows.get(table.name, ())]
        for table in root.tables()
        if table.is_child
    }


def child_rows(table: TablePlan, parent: bytes, lists: Lists, whole: frozenset[str], into: Rows) -> None:
    """Rows of all child tables below a record; a repeated key: the last one wins."""
    for child in table.children:
        inner_whole = within(whole, child.prefix) if whole else whole
        found: dict[bytes, Row] = {}
        below: dict[bytes, Lists] = {}
        for index, item in enumerate(lists.get(child.list_path) or ()):
            scalars, inner = flatten(item_fields(item), inner_whole)
            key = child_key(child, parent, scalars, index)
            said = frozenset([*scalars, *inner])
            found[key] = Row(key, scalars, parent, None if child.key else index, said)
            below[key] = inner
        into.setdefault(child.name, []).extend(found.values())
        for key, inner in below.items():
            child_rows(child, key, inner, whole, into)


def child_key(table: TablePlan, parent: bytes, values: Mapping[str, Any], index: int) -> bytes:
    """Hash of parent and own key; of parent and position where it has no (whole) key."""
    scope = parent + table.list_path.encode("utf-8", "surrogatepass")
    own = key_hash([values.get(p) for p in table.key], scope) if table.key else None
    found = own or key_hash(["", index], scope)
    assert found is not None
    return found


def row_hashes(table: TablePlan, fields: Mapping[str, str]) -> tuple[bytes, bytes]:
    """dp_hash1 (attributes that are overwritten) and dp_hash2 (attributes with history), of typed values."""
    scd1, scd2 = table.scd1, table.scd2
    second = row_hash({p: text for p, text in fields.items() if p in scd2})
    return row_hash({p: t for p, t in fields.items() if p in scd1}) if scd1 else NO_VALUES, second


def typed(table: TablePlan, values: Mapping[str, Any]) -> dict[str, str]:
    """What the table's columns hold of these values: by path the text for COPY; nulls are left out.

    Raises BadValue naming the column.
    """
    get = values.get
    try:
        return {
            path: convert(value) for path, convert in table.converters if (value := get(path)) is not None
        }
    except BadValue:
        raise _naming_the_column(table, values) from None


def texts(table: TablePlan, fields: Mapping[str, str]) -> list[str]:
    """The fields in the order of the table's columns."""
    return [fields.get(column.path, NULL) for column in table.columns]


def _naming_the_column(table: TablePlan, values: Mapping[str, Any]) -> BadValue:
    for column in table.columns:
        value = values.get(column.path)
        try:
            if value is not None:
                column.convert(value)
        except BadValue as error:
            return BadValue(f"column {column.name} ({column.type}): {error}")
    raise AssertionError("a value did not convert before and does now")
