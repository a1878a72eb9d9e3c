"""What was loaded once and is named by no metadata any more: nobody refreshes it, and nobody has removed it."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from dataplatform.audit import tables as t
from dataplatform.metadata import Catalog
from dataplatform.names import qualified
from dataplatform.records.refs import EntityRef


@dataclass(frozen=True)
class LeftOver:
    """An entity that the metadata do not name; `rows` of its table in silver, 0 where there is none."""

    entity: str
    table: str
    rows: int

    def __str__(self) -> str:
        return (
            f"{self.entity} is no longer in metadata; {self.table} keeps {self.rows:,} rows. "
            f"Put it back, or remove it: dataplatform purge {self.entity}"
        )


def left_over(conn: sa.Connection, catalog: Catalog) -> tuple[LeftOver, ...]:
    """By name. What a file that cannot be read may name is not among them."""
    if conn.execute(sa.text("select to_regclass('audit.load')")).scalar() is None:
        return ()  # a database that no command has opened yet
    loaded = conn.execute(sa.select(t.load.c.source, t.load.c.entity).distinct())
    refs = sorted(EntityRef(source, entity) for source, entity in loaded)
    return tuple(_left(conn, ref) for ref in refs if not _named(catalog, ref))


def _named(catalog: Catalog, ref: EntityRef) -> bool:
    source = catalog.sources.get(ref.source)
    return ref.source in catalog.broken_sources or (source is not None and ref.name in source.entities)


def _left(conn: sa.Connection, ref: EntityRef) -> LeftOver:
    table = qualified("silver", ref.table)
    there = conn.execute(sa.text("select to_regclass(:n)"), {"n": table}).scalar() is not None
    rows = int(conn.exec_driver_sql(f"select count(*) from {table}").scalar_one()) if there else 0
    return LeftOver(str(ref), f"silver.{ref.table}", rows)
