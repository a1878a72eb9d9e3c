"""Quality checks as metadata write them, for entities and for gold models."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from dataplatform.metadata.base import Duration, Metadata, Share
from dataplatform.metadata.pattern import pattern as read_pattern

RECORD_CHECKS = ("not_null", "range", "pattern", "values")
TABLE_CHECKS = ("unique", "row_count", "null_share", "freshness", "reference")
_Scalar = str | int | float | bool


class Bounds(Metadata):
    """Least and greatest legal value; numbers, dates or times."""

    min: int | float | str | None = Field(default=None, description="Least legal value.")
    max: int | float | str | None = Field(default=None, description="Greatest legal value.")


class RowCount(Metadata):
    """How many records a batch (or rows a model) may have."""

    min: int = Field(default=0, ge=0, description="At least so many.")
    max: int | None = Field(default=None, ge=0, description="At most so many.")
    change: Share | None = Field(
        default=None, description="Greatest share by which it may differ from the median of the last five."
    )


class Check(Metadata):
    """One quality check: exactly one of its fields is given, and perhaps a severity."""

    not_null: tuple[str, ...] | None = Field(
        default=None, description="Columns without nulls; an entity's record that has one goes to quarantine."
    )
    range: dict[str, Bounds] | None = Field(
        default=None, description="Column and its bounds; a record outside goes to quarantine."
    )
    pattern: dict[str, str] | None = Field(
        default=None,
        description="Column and a regular expression found in its text, else quarantine; of those that Python "
        "and Postgres read alike (docs/quality.md).",
    )
    values: dict[str, list[_Scalar]] | None = Field(
        default=None, description="Column and its accepted values; others go to quarantine."
    )
    unique: tuple[str, ...] | None = Field(default=None, description="Columns unique together.")
    row_count: RowCount | None = Field(
        default=None, description="Bounds of the number of records of a batch, or of a model's rows."
    )
    null_share: dict[str, Share] | None = Field(
        default=None, description="Column and the greatest share of nulls."
    )
    freshness: dict[str, Duration] | None = Field(
        default=None, description="Column of times; its newest may be so old when the batch is taken."
    )
    reference: dict[str, str] | None = Field(
        default=None,
        description="Column and where each of its values must be: `entity.column` of the same source, "
        "`source.entity.column`, or `gold.model.column`.",
    )
    severity: Literal["warn", "fail"] = Field(
        default="fail",
        description="fail: the batch is refused (records: quarantine); warn: it is only noted.",
    )

    @field_validator("not_null", "unique", mode="before")
    @classmethod
    def _one_column(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("pattern")
    @classmethod
    def _read_alike(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        for text in (value or {}).values():
            read_pattern(text)
        return value

    @field_validator("reference")
    @classmethod
    def _three_parts(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        for text in (value or {}).values():
            if text.count(".") not in (1, 2):
                raise ValueError(f"{text!r}: write entity.column or source.entity.column")
        return value

    @model_validator(mode="after")
    def _one(self) -> Check:
        given = self.model_fields_set - {"severity"}
        if len(given) != 1:
            legal = ", ".join((*RECORD_CHECKS, *TABLE_CHECKS))
            raise ValueError(f"a check has exactly one of {legal}")
        return self

    @property
    def kind(self) -> str:
        """The one field that is given."""
        return next(iter(self.model_fields_set - {"severity"}))

    @property
    def screens(self) -> bool:
        """Whether it sends records to quarantine before they reach silver."""
        return self.kind in RECORD_CHECKS and self.severity == "fail"

    def text(self) -> str:
        """The check as metadata write it, on one line."""
        value = self.model_dump(mode="json", exclude_unset=True)[self.kind]
        shown = (
            ", ".join(value) if isinstance(value, list) else ", ".join(f"{k}: {v}" for k, v in value.items())
        )
        return f"{self.kind} {shown}"
