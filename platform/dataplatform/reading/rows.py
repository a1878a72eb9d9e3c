"""The rows of a table as a reader of silver or gold sees them: current ones, so many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dataplatform.context import Platform
from dataplatform.names import SYSTEM_PREFIX
from dataplatform.reading.names import TableName, table_named
from dataplatform.storage.postgres import connected


@dataclass(frozen=True)
class Rows:
    """Some rows of `table`, each with a value for each column; `more`: whether there are others."""

    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    more: bool

    def without_system(self) -> Rows:
        """The same rows without the columns that are the platform's own (dp_…)."""
        places = [i for i, name in enumerate(self.columns) if not name.startswith(SYSTEM_PREFIX)]
        rows = tuple(tuple(row[i] for i in places) for row in self.rows)
        return Rows(self.table, tuple(self.columns[i] for i in places), rows, self.more)

    def as_json(self) -> dict[str, Any]:
        """The document of `show TABLE --json`."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"status": "done", "table": self.table, "rows": rows, "more": self.more}


def current_rows(platform: Platform, table: str, limit: int) -> Rows:
    """At most `limit` rows, of silver the current ones; raises MetadataError for an unknown table."""
    with connected(platform.engine) as conn:
        name = table_named(conn, platform.catalog, table)
        result = conn.execute(_query(name).limit(limit + 1))
        rows = tuple(tuple(row) for row in result)
        return Rows(str(name), tuple(result.keys()), rows[:limit], len(rows) > limit)


def _query(name: TableName) -> sa.Select[Any]:
    everything = sa.select(sa.text("*"))
    if name.schema == "silver":
        return everything.select_from(sa.table(name.name, schema="silver_current")).order_by(
            sa.column("dp_id")
        )
    return everything.select_from(sa.table(name.name, schema=name.schema))
