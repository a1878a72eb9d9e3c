"""What people decided: metadata/auto_dw.yaml, and the comments they wrote in the database."""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from dataplatform.auto_dw.judge.verdicts import ColumnVerdict, Evaluation, TableVerdict, Verdict
from dataplatform.auto_dw.look.profiles import Reference, SchemaProfile, TableProfile
from dataplatform.errors import MetadataError
from dataplatform.metadata.base import Metadata
from dataplatform.metadata.source import Trigger

TableRole = Literal["fact", "dimension", "bridge", "lookup", "other"]
ColumnRole = Literal["key", "foreign_key", "measure", "attribute", "timestamp"]
Treatment = Literal["keep", "hash", "mask", "drop"]
SURE = 0.97  # of what a person said
_SO = "a person said so"
NOTHING = "nothing"  # what a column refers to that looks like a reference and is none
_HEAD = "# What people decided about auto_dw's warehouse; `dataplatform auto-dw` keeps it, you may edit it.\n"


class ColumnDecision(Metadata):
    """What a person said about a column."""

    role: ColumnRole | None = Field(default=None, description="What the column is.")
    sensitive: bool | None = Field(default=None, description="Whether its values are private.")
    private: Treatment | None = Field(
        default=None,
        description="What becomes of it in the warehouse, as of the schema's `sensitive`; all but `keep` also say that "
        "it is private, and `keep` lets even a password in.",
    )
    description: str = Field(default="", description="What it means.")
    references: str | None = Field(
        default=None, description="`table.column` that it refers to, or `nothing`."
    )


class TableDecision(Metadata):
    """What a person said about a table."""

    role: TableRole | None = Field(default=None, description="What the table is.")
    primary_key: tuple[str, ...] = Field(default=(), description="Columns that identify a row.")
    description: str = Field(default="", description="What it means.")
    sensitive: Literal["drop", "omit", "hash", "mask", "keep"] | None = Field(
        default=None, description="What becomes of its private columns, as of the schema's `sensitive`."
    )
    columns: dict[str, ColumnDecision] = Field(default={}, description="Decisions about its columns.")


class FlowDecision(Metadata):
    """How the flow `auto_dw` looks after a schema."""

    enabled: bool = Field(default=True, description="Whether the schema has a deployment.")
    go: Literal["ask", "green", "never"] = Field(
        default="ask",
        description="`ask` builds when a person has said yes, `green` builds by itself what only adds models of tables "
        "it is sure of and asks about all else, `never` shows what it found and builds nothing.",
    )
    triggers: tuple[Trigger, ...] = Field(
        default=(), description="When it runs by itself, beside after every change of tables and columns."
    )


class SchemaDecision(Metadata):
    """Decisions about a schema."""

    omit: tuple[str, ...] = Field(default=(), description="Patterns of tables to leave out.")
    style: Literal["kimball", "data_vault"] = Field(
        default="kimball", description="How the warehouse is built."
    )
    sensitive: Literal["drop", "omit", "hash", "mask", "keep"] = Field(
        default="drop",
        description="What becomes of private columns in the warehouse: `drop` leaves them out (`omit` says the same), "
        "`hash` puts a keyed hash in their place, `mask` a part of each value that its kind allows, `keep` the values.",
    )
    private: dict[str, Treatment] = Field(
        default={},
        description="The same for private columns whose names fit a pattern, `*email*` or `customers.*`; the longest "
        "that fits counts, before the table's and the schema's word.",
    )
    tables: dict[str, TableDecision] = Field(default={}, description="Decisions about its tables.")
    flow: FlowDecision | None = Field(
        default=None,
        description="How the flow `auto_dw` looks after it; without this silver is asked about, no other schema is.",
    )

    def treatment(self, table: str, column: str) -> Treatment:
        """What becomes of a private column: its own word, then a pattern's, its table's, the schema's."""
        said = self.tables.get(table, TableDecision())
        own = said.columns.get(column, ColumnDecision()).private
        fits = [pattern for pattern in self.private if _fits(pattern, table, column)]
        by_pattern = self.private[max(fits, key=len)] if fits else None
        found = own or by_pattern or said.sensitive or self.sensitive
        return "drop" if found == "omit" else found


def _fits(pattern: str, table: str, column: str) -> bool:
    name = f"{table}.{column}" if "." in pattern else column
    return fnmatchcase(name.lower(), pattern.lower())


class Decisions(Metadata):
    """metadata/auto_dw.yaml."""

    schemas: dict[str, SchemaDecision] = Field(default={}, description="By schema.")

    def of(self, schema: str) -> SchemaDecision:
        return self.schemas.get(schema, SchemaDecision())

    def flow_of(self, schema: str) -> FlowDecision:
        """How the flow looks after the schema; where nobody said so, silver is looked after and no other."""
        return self.of(schema).flow or FlowDecision(enabled=schema == "silver")

    @property
    def followed(self) -> list[str]:
        """Schemas that the flow looks after."""
        return [name for name in sorted({*self.schemas, "silver"}) if self.flow_of(name).enabled]


def path_of(root: Path) -> Path:
    return root / "auto_dw.yaml"


def load(root: Path) -> Decisions:
    """Raises MetadataError naming the file and what is wrong in it."""
    path = path_of(root)
    if not path.exists():
        return Decisions()
    try:
        return Decisions.model_validate(yaml.safe_load(path.read_text()) or {})
    except yaml.YAMLError as error:
        raise MetadataError(f"{path}: not YAML: {error}", "correct the file") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise MetadataError(f"{path}: {place}: {first['msg']}", "correct the file") from None


def save(root: Path, decisions: Decisions) -> None:
    """Written whole, or not at all."""
    path = path_of(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = decisions.model_dump(mode="json", exclude_defaults=True)
    beside = path.with_suffix(".yaml.new")
    beside.write_text(_HEAD + yaml.safe_dump(document, sort_keys=True, allow_unicode=True))
    beside.replace(path)


def change(root: Path, schema: str, **changes: Any) -> None:
    """Keeps other decisions about a schema; what is not named in `changes` stays."""
    before = load(root)
    changed = before.of(schema).model_copy(update=changes)
    save(root, Decisions(schemas={**before.schemas, schema: changed}))


# a person's word in an evaluation

_ROLE = re.compile(r"\b(fact|dimension|bridge|lookup)\b(?: table)?", re.IGNORECASE)
_PRIVATE = re.compile(r"\b(sensitive|private|personal|confidential|pii)\b", re.IGNORECASE)
_NOT_PRIVATE = re.compile(r"\b(not|no|non)[ -](sensitive|private|personal|confidential|pii)\b", re.IGNORECASE)


def applied(evaluation: Evaluation, schema: SchemaProfile, decisions: SchemaDecision) -> Evaluation:
    """The evaluation with what people said; their word outranks everything."""
    tables = {
        name: _table(verdict, schema.tables[name], decisions.tables.get(name, TableDecision()))
        for name, verdict in evaluation.tables.items()
    }
    return replace(
        evaluation,
        tables=tables,
        references=_references(evaluation.references, decisions),
        possible=_unsaid(evaluation.possible, decisions),
    )


def _unsaid(possible: tuple[Reference, ...], decisions: SchemaDecision) -> tuple[Reference, ...]:
    """What nobody said anything of."""
    said = {
        (table, name)
        for table, decision in decisions.tables.items()
        for name, column in decision.columns.items()
        if column.references
    }
    return tuple(r for r in possible if (r.table, r.columns[0]) not in said)


def _table(verdict: TableVerdict, profile: TableProfile, decision: TableDecision) -> TableVerdict:
    in_comment = _ROLE.search(profile.comment)
    role = decision.role or (in_comment[1].lower() if in_comment else None)
    said = decision.description or profile.comment
    columns = {
        name: _column(column, profile.by_name[name].comment, decision.columns.get(name, ColumnDecision()))
        for name, column in verdict.columns.items()
    }
    result = replace(
        verdict, verdict=_outranked(verdict.verdict, role, said), columns=columns, description=said
    )
    key = decision.primary_key
    return replace(result, primary_key=key, key_confidence=SURE, key_evidence=(_SO,)) if key else result


def _outranked(verdict: Verdict, role: str | None, said: str) -> Verdict:
    """The verdict under a person's word: the role itself, or a description that makes the role likelier."""
    if role:
        return Verdict(role, SURE, (_SO, *verdict.evidence))
    if said:
        evidence = (f"a person described it: {said}", *verdict.evidence)
        return Verdict(verdict.role, max(verdict.confidence, 0.9), evidence)
    return verdict


def _column(column: ColumnVerdict, comment: str, decision: ColumnDecision) -> ColumnVerdict:
    said = decision.description or comment
    role = decision.role or _role_said(column.verdict.role, decision.references)
    result = replace(column, verdict=_outranked(column.verdict, role, said), description=said)
    private = decision.sensitive if decision.private in (None, "keep") else True
    if private is None and decision.private == "keep":
        private = column.sensitive
    if private is None and comment:
        private = False if _NOT_PRIVATE.search(comment) else True if _PRIVATE.search(comment) else None
    if private is None:
        return result
    return replace(result, sensitive=private, sensitive_confidence=SURE, sensitive_evidence=(_SO,))


def _role_said(judged: str, references: str | None) -> ColumnRole | None:
    """What follows from a person's word on what a column refers to."""
    if references == NOTHING:
        return "attribute" if judged == "foreign_key" else None
    return "foreign_key" if references else None


def _references(references: tuple[Reference, ...], decisions: SchemaDecision) -> tuple[Reference, ...]:
    said = {
        (table, name): column.references
        for table, decision in decisions.tables.items()
        for name, column in decision.columns.items()
        if column.references
    }
    kept = [r for r in references if len(r.columns) > 1 or (r.table, r.columns[0]) not in said]
    named = [(place, target) for place, target in said.items() if target != NOTHING]
    return (*kept, *(_said(table, column, target) for (table, column), target in named))


def _said(table: str, column: str, target: str) -> Reference:
    parts = target.split(".")
    return Reference(table, (column,), parts[0], (parts[-1],), SURE, (_SO,))
