"""One record as fields for COPY, of all its tables: for those that are not made column by column (see columns)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dataplatform.layers.silver.plan import Plan, TablePlan
from dataplatform.layers.silver.rows import Row, Rows, moment_text, row_hashes, texts, typed


@dataclass(frozen=True, slots=True)
class Staged:
    """A record on its way: its row, the rows of its lists, and the time it became valid."""

    root: Row
    children: Rows
    valid_from: int
    fields: Mapping[str, list[list[str]]]


def prepare(plan: Plan, root: Row, children: Rows, valid_from: int) -> Staged:
    """Converts every value; raises BadValue where one does not fit its column."""
    start = moment_text(valid_from)
    fields: dict[str, list[list[str]]] = {plan.root.name: [_fields(plan.root, root, root.key, start)]}
    for table in plan.root.tables():
        if table.is_child:
            rows = children.get(table.name, ())
            fields[table.name] = [_fields(table, row, root.key, start) for row in rows]
    return Staged(root, children, valid_from, fields)


def _fields(table: TablePlan, row: Row, root: bytes, start: str) -> list[str]:
    values = typed(table, row.values)
    hash1, hash2 = row_hashes(table, values)
    head = [row.key.hex(), hash1.hex(), hash2.hex(), start]
    if table.is_child:
        assert row.parent is not None
        index = "\\N" if row.index is None else str(row.index)
        head += [root.hex(), row.parent.hex(), index]
    return head + texts(table, values)
