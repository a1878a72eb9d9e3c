"""What people decided: metadata/auto_dw.yaml, and the comments they wrote in the database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from dataplatform.auto_dw.model import (
    ColumnVerdict,
    Evaluation,
    Reference,
    SchemaProfile,
    TableVerdict,
    Verdict,
)
from dataplatform.errors import MetadataError
from dataplatform.metadata.base import Metadata

TableRole = Literal["fact", "dimension", "bridge", "lookup", "other"]
ColumnRole = Literal["key", "foreign_key", "measure", "attribute", "timestamp"]
SURE = 0.97  # of what a person said


class ColumnDecision(Metadata):
    """What a person said about a column."""

    role: ColumnRole | None = Field(default=None, description="What the column is.")
    sensitive: bool | None = Field(default=None, description="Whether its values are private.")
    description: str = Field(default="", description="What it means.")
    references: str | None = Field(default=None, description="`table.column` that it refers to.")


class TableDecision(Metadata):
    """What a person said about a table."""

    role: TableRole | None = Field(default=None, description="What the table is.")
    primary_key: tuple[str, ...] = Field(default=(), description="Columns that identify a row.")
    description: str = Field(default="", description="What it means.")
    columns: dict[str, ColumnDecision] = Field(default={}, description="Decisions about its columns.")


class SchemaDecision(Metadata):
    """Decisions about a schema."""

    omit: tuple[str, ...] = Field(default=(), description="Patterns of tables to leave out.")
    style: Literal["kimball", "data_vault"] = Field(
        default="kimball", description="How the warehouse is built."
    )
    sensitive: Literal["omit", "hash", "mask", "keep"] = Field(
        default="omit", description="What becomes of sensitive columns in the warehouse."
    )
    tables: dict[str, TableDecision] = Field(default={}, description="Decisions about its tables.")


class Decisions(Metadata):
    """metadata/auto_dw.yaml."""

    schemas: dict[str, SchemaDecision] = Field(default={}, description="By schema.")

    def of(self, schema: str) -> SchemaDecision:
        return self.schemas.get(schema, SchemaDecision())


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
    found = decisions.model_dump(mode="json", exclude_defaults=True)
    text = (
        "# What people decided about auto_dw's warehouse; `dataplatform auto-dw` keeps it, you may edit it.\n"
    )
    beside = path.with_suffix(".yaml.new")
    beside.write_text(text + yaml.safe_dump(found, sort_keys=True, allow_unicode=True))
    beside.replace(path)


def with_schema(decisions: Decisions, schema: str, **changes: Any) -> Decisions:
    own = decisions.of(schema).model_copy(update=changes)
    return Decisions(schemas={**decisions.schemas, schema: own})


# a person's word in an evaluation

_ROLE = re.compile(r"\b(fact|dimension|bridge|lookup)\b(?: table)?", re.IGNORECASE)
_PRIVATE = re.compile(r"\b(sensitive|private|personal|confidential|pii)\b", re.IGNORECASE)
_NOT_PRIVATE = re.compile(r"\b(not|no|non)[ -](sensitive|private|personal|confidential|pii)\b", re.IGNORECASE)


def applied(found: Evaluation, schema: SchemaProfile, decisions: SchemaDecision) -> Evaluation:
    """The evaluation with what people said; their word outranks everything."""
    tables = {
        name: _table(
            verdict, schema.tables[name].comment, _comments(schema, name), decisions.tables.get(name)
        )
        for name, verdict in found.tables.items()
    }
    references = _references(found.references, decisions)
    return replace(found, tables=tables, references=references)


def _comments(schema: SchemaProfile, table: str) -> dict[str, str]:
    return {c.name: c.comment for c in schema.tables[table].columns if c.comment}


def _table(
    verdict: TableVerdict, comment: str, comments: Mapping[str, str], decision: TableDecision | None
) -> TableVerdict:
    decision = decision or TableDecision()
    said = decision.description or comment
    role = decision.role or (found[1].lower() if comment and (found := _ROLE.search(comment)) else None)
    own = verdict.verdict
    if role:
        own = Verdict(role, SURE, ("a person said so", *own.evidence))
    elif said:
        own = Verdict(own.role, max(own.confidence, 0.9), (f"a person described it: {said}", *own.evidence))
    columns = {
        name: _column(column, comments.get(name, ""), decision.columns.get(name))
        for name, column in verdict.columns.items()
    }
    result = replace(verdict, verdict=own, columns=columns, description=said)
    key = decision.primary_key
    if not key:
        return result
    return replace(result, primary_key=key, key_confidence=SURE, key_evidence=("a person said so",))


def _column(column: ColumnVerdict, comment: str, decision: ColumnDecision | None) -> ColumnVerdict:
    decision = decision or ColumnDecision()
    said = decision.description or comment
    own = column.verdict
    if decision.role:
        own = Verdict(decision.role, SURE, ("a person said so", *own.evidence))
    elif said:
        own = Verdict(own.role, max(own.confidence, 0.9), (f"a person described it: {said}", *own.evidence))
    private = decision.sensitive
    if private is None and comment:
        private = False if _NOT_PRIVATE.search(comment) else True if _PRIVATE.search(comment) else None
    if private is None:
        return replace(column, verdict=own, description=said)
    return replace(
        column, verdict=own, description=said, sensitive=private, sensitive_confidence=SURE,
        sensitive_evidence=("a person said so",),
    )  # fmt: skip


def _references(found: tuple[Reference, ...], decisions: SchemaDecision) -> tuple[Reference, ...]:
    said = {
        (table, column): decision.references
        for table, own in decisions.tables.items() for column, decision in own.columns.items()
        if decision.references
    }  # fmt: skip
    kept = [r for r in found if len(r.columns) > 1 or (r.table, r.columns[0]) not in said]
    new = [
        Reference(
            table, (column,), target.split(".")[0], (target.split(".")[-1],), SURE, ("a person said so",)
        )
        for (table, column), target in said.items()
    ]
    return (*kept, *new)
