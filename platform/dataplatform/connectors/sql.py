"""Connector `sql`: tables and queries of any database SQLAlchemy reaches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, model_validator

from dataplatform.connectors.contract import Item, Request, Since
from dataplatform.metadata.base import Text
from dataplatform.metadata.source import Connector, CursorField, Entity, Name, Source


class SqlConnector(Connector):
    """A database that SQLAlchemy can reach."""

    type: Literal["sql"]
    url: Text = Field(description="SQLAlchemy URL; a bare postgresql:// uses psycopg 3.")
    db_schema: str | None = Field(
        default=None, alias="schema", description="Schema of the tables that have none."
    )
    page_size: int = Field(default=5_000, ge=1, description="Rows in a page.")


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
    entities: Mapping[Name, SqlEntity] = Field(min_length=1, description="What it holds.")


SOURCE = SqlSource


def extract(request: Request, since: Since) -> Iterator[Item]:
    """Rows as JSON objects, `page_size` a page, read inside one (repeatable-read) transaction."""
    from dataplatform.connectors.sql_rows import read  # imports SQLAlchemy: only where a database is read

    yield from read(request, since)
