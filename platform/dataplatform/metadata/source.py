"""A source and its entities: the models behind metadata/sources/*.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from fnmatch import fnmatchcase as fnmatch
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from dataplatform.metadata.base import Duration, Metadata, Share, Zone
from dataplatform.metadata.check import Check
from dataplatform.metadata.triggers import (
    CATCH_UP,
    CATCH_UP_FIELD,
    JITTER_FIELD,
    NO_JITTER,
    SOON,
    CatchUp,
    EventTrigger,
    FileTrigger,
    NotifyTrigger,
    RRuleTrigger,
    check_jitter,
)
from dataplatform.names import MAX_IDENTIFIER, NAME_PATTERN

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=40)]

COLUMN_TYPES = (
    "text",
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "real",
    "double precision",
    "date",
    "timestamp",
    "timestamptz",
    "time",
    "uuid",
    "inet",
    "jsonb",
)
_ALIASES = {
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "int2": "smallint",
    "bool": "boolean",
    "float": "double precision",
    "float8": "double precision",
    "double": "double precision",
    "string": "text",
    "varchar": "text",
    "decimal": "numeric",
    "datetime": "timestamptz",
    "json": "jsonb",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
}
_NUMERIC = re.compile(r"numeric\((\d{1,4})(,\s*\d{1,4})?\)")


def check_type(value: str) -> str:
    name = _ALIASES.get(value.strip().lower(), value.strip().lower())
    name = re.sub(r"^decimal\(", "numeric(", name)
    if name not in COLUMN_TYPES and not _NUMERIC.fullmatch(name):
        raise ValueError(f"{value!r} is not a type; legal: {', '.join(COLUMN_TYPES)}, numeric(p,s)")
    return name


ColumnType = Annotated[str, AfterValidator(check_type)]


class Column(Metadata):
    """What a person says about one column."""

    scd: Literal[1, 2] = Field(default=2, description="1: overwrite; 2: keep history.")
    type: ColumnType | None = Field(default=None, description="Postgres type; inferred if absent.")
    format: str = Field(
        default="", description="date, timestamp, timestamptz: how it is written, such as `%d/%m/%Y`."
    )
    sensitive: bool = Field(default=False, description="Holds something private. Kept for auto_dw.")
    description: str = Field(default="", description="Becomes the column's COMMENT.")

    @model_validator(mode="after")
    def _format_of_a_time(self) -> Column:
        if self.format and self.type not in ("date", "timestamp", "timestamptz"):
            raise ValueError("`format` needs `type: date`, `timestamp` or `timestamptz`")
        return self


class CursorField(Metadata):
    """How a delta load knows where to go on."""

    field: str = Field(description="Field of the record that grows with every change.")
    overlap: Duration = Field(
        default=timedelta(0), description="How far to step back, for changes that arrive late."
    )
    initial: str | int | float | None = Field(default=None, description="Where the first run begins.")


class Child(Metadata):
    """A nested list, kept in a table of its own."""

    key: tuple[str, ...] = Field(
        default=(), description="Fields that tell items apart; empty: the position does."
    )
    columns: dict[str, Column] = Field(default={}, description="What you say about its columns.")


class Retention(Metadata):
    """How long each layer keeps what is no longer current."""

    raw: Duration | Literal["keep"] = Field(
        default="keep", description="Raw batches; what they said that was new stays."
    )
    archive: str | None = Field(default=None, description="fsspec URL raw files are moved to.")
    bronze: Duration | Literal["keep"] = Field(default="keep", description="Versions that ended, in bronze.")
    silver_history: Duration | Literal["keep"] = Field(
        default="keep", description="Rows that ended, in every layer."
    )


class CronTrigger(Metadata):
    """Runs at the times of a cron expression."""

    type: Literal["cron"]
    cron: str = Field(description="Five fields, such as `15 * * * *`.")
    timezone: Zone = Field(default="UTC", description="IANA time zone.")
    catch_up: Annotated[CatchUp, CATCH_UP_FIELD] = CATCH_UP
    jitter: Annotated[Duration, JITTER_FIELD] = NO_JITTER

    @model_validator(mode="after")
    def _jitter(self) -> CronTrigger:
        if self.jitter:
            from cronsim import CronSim

            check_jitter(self.jitter, list(islice(CronSim(self.cron, datetime(2026, 1, 1)), SOON)))
        return self

    @field_validator("cron")
    @classmethod
    def _cron(cls, value: str) -> str:
        from cronsim import CronSim, CronSimError  # only where there is a cron trigger

        try:
            next(CronSim(value, datetime(2026, 1, 1)))
        except (CronSimError, StopIteration) as error:
            raise ValueError(
                f"{value!r} is no cron expression: {error or 'it never comes'}; its five fields are minute, hour, "
                "day of month, month, day of week"
            ) from None
        return value


class IntervalTrigger(Metadata):
    """Runs again and again after a fixed time."""

    type: Literal["interval"]
    every: Duration = Field(description="Time between two runs, such as 15m.")
    catch_up: Annotated[CatchUp, CATCH_UP_FIELD] = CATCH_UP
    jitter: Annotated[Duration, JITTER_FIELD] = NO_JITTER

    @model_validator(mode="after")
    def _jitter(self) -> IntervalTrigger:
        check_jitter(self.jitter, [datetime(2026, 1, 1), datetime(2026, 1, 1) + self.every])
        return self

    @field_validator("every")
    @classmethod
    def _positive(cls, value: timedelta) -> timedelta:
        if value.total_seconds() < 1:
            raise ValueError("an interval is at least 1s")
        return value


Trigger = Annotated[CronTrigger | IntervalTrigger | RRuleTrigger, Field(discriminator="type")]
SourceTrigger = Annotated[
    CronTrigger | IntervalTrigger | RRuleTrigger | EventTrigger | FileTrigger | NotifyTrigger,
    Field(discriminator="type"),
]


def _key_or_model(schema: dict[str, Any]) -> None:
    """For editors: an entity with `model:` may leave its key to the class."""
    if "key" in schema.get("required", ()):
        schema["required"] = [name for name in schema["required"] if name != "key"]
        schema["anyOf"] = [{"required": ["key"]}, {"required": ["model"]}]


class Entity(Metadata):
    """One kind of record of a source."""

    model_config = ConfigDict(json_schema_extra=_key_or_model)

    description: str = Field(default="", description="Becomes the table's COMMENT.")
    model: str | None = Field(
        default=None,
        description="`file.Class`: a Pydantic class in models/file.py beside sources/ that says key, columns and "
        "children; what stands here overrides it.",
    )
    key: tuple[str, ...] = Field(
        description="Fields that identify a record; `row` (no list) for what has none: its content does, and its "
        "number among equals."
    )
    load: Literal["full", "delta"] = Field(
        default="full", description="full: what is missing was deleted; delta: only changes come."
    )
    effective_at: str | None = Field(
        default=None, description="Field with the time a version became valid; else the batch's."
    )
    partial: bool = Field(default=False, description="A missing field means unchanged, not null.")
    columns: dict[str, Column] = Field(default={}, description="What you say about columns.")
    children: dict[str, Child] = Field(default={}, description="What you say about nested lists.")
    checks: tuple[Check, ...] = Field(
        default=(), description="Quality checks: records to quarantine, batches refused."
    )
    schema_changes: Literal["evolve", "freeze", "discard"] = Field(
        default="evolve", description="What to do about columns never seen before."
    )
    null_values: tuple[str, ...] | None = Field(
        default=None, description="Strings that mean null; default: the empty one, for CSV only."
    )
    max_delete: Share = Field(
        default=0.5, description="Stop a full load that would delete more than this share of rows."
    )
    rename: str | None = Field(
        default=None,
        pattern=r"^(\w+\.)?\w+$",
        description="What it was called before, `entity` or `source.entity`: the next run carries its history over.",
    )
    max_misfits: Share = Field(
        default=0.01,
        description="Of the values of a column without a declared type, the share that may be of another kind: they "
        "wait in quarantine instead of turning it into text. From twenty values on, one may be.",
    )
    max_quarantine: Share = Field(
        default=0.1, description="More records set aside than this share: the load fails, nothing moves."
    )
    fresh_within: Duration | None = Field(
        default=None,
        description="How old its last good run may be before it counts as late; else the triggers say.",
    )
    full_every: Duration | None = Field(
        default=None,
        description="delta: how often everything is read, so that what is no longer there ends.",
    )
    retention: Retention = Field(
        default=Retention(), description="How long data are kept (docs/retention.md)."
    )

    @field_validator("key", mode="before")
    @classmethod
    def _one_key(cls, value: Any) -> Any:
        if value == "row":
            return ()
        if isinstance(value, list | tuple) and not value:
            raise ValueError(
                "name the fields that identify a record, or write `key: row` where there are none"
            )
        return (value,) if isinstance(value, str) else value

    @field_validator("key")
    @classmethod
    def _distinct_key(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value) or not all(value):
            raise ValueError("the fields of a key are distinct and not empty")
        return value

    @property
    def by_row(self) -> bool:
        """Whether its records have no key: their content identifies them, and their number among equals."""
        return not self.key

    @model_validator(mode="after")
    def _delta_cursor(self) -> Entity:
        if cursor_of(self) and self.load == "full":
            raise ValueError("a cursor needs `load: delta`; a full load always reads everything")
        if self.full_every is not None and self.load == "full":
            raise ValueError("`full_every` needs `load: delta`; a full load always reads everything")
        return self


def cursor_of(entity: Entity) -> CursorField | None:
    """The cursor of an entity of a kind that has cursors; None for all others."""
    return getattr(entity, "cursor", None)


class Connector(Metadata):
    """How a source is reached. Each kind has a model of its own, told apart by `type`."""

    type: str = Field(description="The kind of connector.")


class Source(Metadata):
    """metadata/sources/<source>.yaml. Each kind of connector has a model of its own, with its kind of entity."""

    source: Name = Field(description="Name of the source, the same as the file's.")
    description: str = Field(default="", description="What it is.")
    connector: Connector = Field(description="How it is reached.")
    triggers: tuple[SourceTrigger, ...] = Field(default=(), description="When it runs by itself.")
    entities: Mapping[Name, Entity] = Field(min_length=1, description="What it holds.")

    @model_validator(mode="after")
    def _fits(self) -> Source:
        for name in self.entities:
            if len(f"{self.source}__{name}") > MAX_IDENTIFIER:
                raise ValueError(f"{self.source}__{name} is over {MAX_IDENTIFIER} characters long")
        for trigger in self.triggers:
            if isinstance(trigger, EventTrigger) and any(
                fnmatch(self.source, p.split(".")[0]) for p in trigger.of
            ):
                raise ValueError(f"triggers: an event of {self.source} itself would run it again and again")
        return self
