"""What goes into the API and comes out of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dataplatform.metadata import editing


class ErrorOut(BaseModel):
    """What went wrong, and what to do next."""

    error: str
    remedy: str = ""


class Out(BaseModel):
    """What an answer is made of."""

    model_config = ConfigDict(from_attributes=True)


class FindingOut(Out):
    """One thing about an entity or a model."""

    kind: str
    state: str
    text: str
    mend: str


class EntityOut(Out):
    """An entity's health."""

    source: str
    entity: str
    table: str
    state: str
    findings: list[FindingOut]
    rows: int = Field(description="About so many; -1: not known yet.")
    quarantine: int
    loaded_at: datetime | None
    checked_at: datetime | None = Field(description="When it was last part of a run that went well.")


class ModelOut(Out):
    """A gold model's health."""

    name: str
    state: str
    findings: list[FindingOut]
    rows: int
    built_at: datetime | None
    materialized: str


class HealthOut(Out):
    """Everything at once."""

    state: str
    counts: dict[str, int]
    entities: list[EntityOut]
    models: list[ModelOut]
    problems: list[str]


class SourceOut(BaseModel):
    """A source."""

    name: str
    description: str
    connector: str
    when: str
    entities: list[str]


class RunOut(Out):
    """A run of a source."""

    run_id: str
    source: str
    batch_id: str
    status: str
    error: str | None
    started_at: datetime
    finished_at: datetime | None


class LoadOut(Out):
    """A load of a batch of an entity into a layer."""

    entity: str
    layer: str
    batch_id: str
    run_id: str
    status: str
    read: int
    inserted: int
    updated: int
    closed: int
    unchanged: int
    quarantined: int
    seconds: float
    error: str | None
    finished_at: datetime


class RunWithLoads(RunOut):
    """A run, and what it did."""

    loads: list[LoadOut]


class Started(BaseModel):
    """Something goes on now: ask for it by its id."""

    status: Literal["started"] = "started"
    id: str
    kind: Literal["run", "job"]


class JobOut(Out):
    """Work of this process."""

    id: str
    title: str
    state: str
    said: list[str]
    started_at: datetime
    finished_at: datetime | None


class RunIn(BaseModel):
    """What to run."""

    model_config = ConfigDict(extra="forbid")
    entities: list[str] = Field(default=[], max_length=1000, description="None: all of them.")
    full: bool = False
    force: bool = False


class TableOut(Out):
    """A table of silver or gold."""

    name: str = Field(validation_alias="name")
    table_schema: str = Field(validation_alias="schema", serialization_alias="schema")
    kind: str
    description: str
    rows: int


class ColumnOut(Out):
    """A column."""

    name: str
    type: str
    description: str


class TableWithColumns(TableOut):
    """A table, and its columns."""

    columns: list[ColumnOut]


class RowsOut(BaseModel):
    """Rows, in the order of `columns`; `more`: whether there are others behind them."""

    columns: list[str]
    rows: list[list[Any]]
    more: bool


class QueryIn(BaseModel):
    """One SELECT over gold and silver."""

    model_config = ConfigDict(extra="forbid")
    query: str = Field(min_length=1, max_length=100_000)
    limit: int = Field(default=1000, ge=1, le=100_000)


class ReasonOut(BaseModel):
    """Records that wait for one reason."""

    entity: str
    reason: str
    count: int
    example: str = Field(description="Id of one of them.")


class QuarantineOut(BaseModel):
    """What waits of an entity; reasons of the newest thousand."""

    count: int
    reasons: list[ReasonOut]


class Dismissed(BaseModel):
    """How many were closed."""

    dismissed: int


class FileIn(BaseModel):
    """A source's file; `seen`: the digest of the file it replaces, empty for a new one."""

    model_config = ConfigDict(extra="forbid")
    text: str = Field(max_length=editing.LONGEST)
    seen: str = ""


class FileOut(BaseModel):
    """A source's file and its digest."""

    text: str
    seen: str


class SecretOut(Out):
    """A secret that metadata name, without its value."""

    name: str
    sources: list[str]
    store: str = Field(description="Which store has it; empty where none has.")
