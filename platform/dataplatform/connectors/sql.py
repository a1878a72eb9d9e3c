"""Connector `sql`: tables and queries of any database SQLAlchemy reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from dataplatform.connectors.contract import Item, Request, Since, Wanted
from dataplatform.metadata.base import Metadata, Text
from dataplatform.metadata.found_tables import FoundTable, patterns_of
from dataplatform.metadata.source import Connector, CursorField, Entity, Name, Source


class Tables(Metadata):
    """Tables by patterns: each becomes an entity by itself, new ones with the next run."""

    include: tuple[str, ...] = Field(
        min_length=1, description="Patterns such as `public.*`, or `order_*` of the connector's schema."
    )
    exclude: tuple[str, ...] = Field(default=(), description="Patterns of those that are left out.")
    views: bool = Field(default=False, description="Views, too.")
    each: dict[str, Any] = Field(
        default={}, description="Fields of an entity that all of them have, such as `load` and `cursor`."
    )


class SqlConnector(Connector):
    """A database that SQLAlchemy can reach."""

    type: Literal["sql"]
    url: Text = Field(description="SQLAlchemy URL; a bare postgresql:// uses psycopg 3.")
    db_schema: str | None = Field(
        default=None, alias="schema", description="Schema of the tables that have none."
    )
    page_size: int = Field(default=5_000, ge=1, description="Rows in a page.")
    tables: Tables | None = Field(
        default=None,
        description="Tables by patterns, beside the entities named below: `public.*`, or a list.",
    )
    snapshot: Literal["entity", "run"] = Field(
        default="entity",
        description="run: all entities are read in one transaction, one after the other, as they were at one moment.",
    )

    @field_validator("tables", mode="before")
    @classmethod
    def _patterns(cls, value: Any) -> Any:
        return patterns_of(value) if isinstance(value, str | list) else value


class SqlEntity(Entity):
    """One kind of record: a table, or what a query answers."""

    table: str | None = Field(default=None, description="The table to read.")
    query: str | None = Field(default=None, description="The query to read instead.")
    cursor: CursorField | None = Field(default=None, description="delta: where to go on.")

    @model_validator(mode="after")
    def _table_or_query(self) -> SqlEntity:
        if (self.table is None) == (self.query is None):
            raise ValueError("a sql entity has either `table` or `query`")
        return self


class SqlSource(Source):
    """A database."""

    connector: SqlConnector = Field(description="How it is reached.")
    entities: Mapping[Name, SqlEntity] = Field(
        default={}, description="What it holds, beside the tables that `tables` finds."
    )

    @model_validator(mode="after")
    def _something(self) -> SqlSource:
        if not self.entities and self.connector.tables is None:
            raise ValueError("entities: name at least one, or tables by a pattern: `connector.tables`")
        return self


SOURCE = SqlSource


def functions_in(connector: SqlConnector, folder: Path) -> dict[str, Callable[..., Any]]:
    """One transaction for all entities, or one for each."""
    return {"extract_together": extract_together} if connector.snapshot == "run" else {"extract": extract}


def discover(source: SqlSource, resolve: Callable[[Any], Any]) -> list[FoundTable] | None:
    """The tables that the source's patterns mean now; None of a source that has no patterns."""
    if source.connector.tables is None:
        return None
    from dataplatform.connectors.sql_rows import found_tables  # imports SQLAlchemy, as below

    return found_tables(source, resolve)


def extract(request: Request, since: Since) -> Iterator[Item]:
    """Rows as JSON objects, `page_size` a page, read inside one (repeatable-read) transaction."""
    from dataplatform.connectors.sql_rows import read  # imports SQLAlchemy: only where a database is read

    yield from read(request, since)


def extract_together(wanted: Sequence[Wanted]) -> Iterator[tuple[str, Item]]:
    """All entities in one transaction: rows of two tables that belong together are there both, or neither."""
    from dataplatform.connectors.sql_rows import read_together

    yield from read_together(wanted)
