"""References whose table is named by another column: `object_type` beside `object_id`. Reported, not built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dataplatform.auto_dw.look.profiles import ColumnProfile, SchemaProfile, TableProfile
from dataplatform.auto_dw.names.words import names_table, says_id, stem, table_words, words


def polymorphic(
    schema: SchemaProfile, keys: Mapping[str, Sequence[tuple[str, ...]]]
) -> Iterator[dict[str, Any]]:
    """Pairs of columns of which one names tables of this schema in its values."""
    for table in schema.tables.values():
        for column in table.columns:
            if column.labels:
                partner = _partner(table, column)
                named = _named_tables(schema, column)
                if partner is not None and len(named) >= 2:
                    yield {
                        "table": table.name,
                        "column": partner.name,
                        "type_column": column.name,
                        "ref_tables": named,
                    }


def _partner(table: TableProfile, column: ColumnProfile) -> ColumnProfile | None:
    before = words(column.called)[:-1]
    return next((c for c in table.columns if says_id(c.called) and stem(c.called) == before and before), None)


def _named_tables(schema: SchemaProfile, column: ColumnProfile) -> list[str]:
    """Tables that at least half of the column's values name."""
    found = {
        value: next(
            (
                t.name
                for t in schema.tables.values()
                if names_table(words(value), table_words(t.called)) >= 0.95
            ),
            None,
        )
        for value in column.labels
    }
    hits = sorted({t for t in found.values() if t})
    return hits if found and sum(t is not None for t in found.values()) >= len(found) / 2 else []
