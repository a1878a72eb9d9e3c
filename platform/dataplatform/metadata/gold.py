"""A gold model: the YAML header in the first comment of metadata/gold/<name>.sql."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from dataplatform.metadata.base import Metadata
from dataplatform.metadata.check import Check


class GoldColumn(Metadata):
    """What a column of a model means."""

    description: str = Field(default="", description="Becomes the column's COMMENT.")


class GoldHeader(Metadata):
    """The header's fields."""

    description: str = Field(default="", description="Becomes the table's COMMENT.")
    materialized: Literal["view", "table", "incremental"] = Field(
        default="table", description="How the result is kept."
    )
    unique_key: tuple[str, ...] = Field(
        default=(), description="incremental: columns by which rows are replaced."
    )
    deleted: str = Field(
        default="",
        description="incremental: a boolean column of the query; a row where it is true is removed from the model, "
        "and the column is not kept.",
    )
    checks: tuple[Check, ...] = Field(default=(), description="Tried before the result is shown.")
    columns: dict[str, GoldColumn | str] = Field(default={}, description="Columns described.")

    @field_validator("unique_key", mode="before")
    @classmethod
    def _one_column(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _key(self) -> GoldHeader:
        if self.materialized == "incremental" and not self.unique_key:
            raise ValueError("an incremental model needs a unique_key")
        if self.deleted and self.materialized != "incremental":
            raise ValueError("`deleted` is for incremental models")
        return self


class GoldModel(Metadata):
    """A model as the catalog holds it."""

    name: str
    header: GoldHeader
    sql: str
    file: str
    first_line: int = Field(description="Line of the file on which the SQL begins.")

    def described(self) -> dict[str, str]:
        """Description of each column that has one."""
        items = self.header.columns.items()
        texts = {n: c if isinstance(c, str) else c.description for n, c in items}
        return {name: text for name, text in texts.items() if text}
