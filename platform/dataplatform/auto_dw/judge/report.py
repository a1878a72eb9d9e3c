"""An evaluation as the document of `auto-dw evaluate --json`: status, evidence, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dataplatform.auto_dw.judge.verdicts import ColumnVerdict, Evaluation, TableVerdict
from dataplatform.auto_dw.look.profiles import Reference

GREEN, AMBER = 0.80, 0.50


def status(confidence: float) -> str:
    return "green" if confidence >= GREEN else "amber" if confidence >= AMBER else "red"


def as_json(evaluation: Evaluation, tables: Iterable[str] = ()) -> dict[str, Any]:
    """All tables, or those named. Confidences are between 0 and 1."""
    wanted = set(tables) or set(evaluation.tables)
    return {
        "schema": evaluation.schema,
        "tables": {n: _table(evaluation.schema, n, t) for n, t in evaluation.tables.items() if n in wanted},
        "foreign_keys": [_reference(r) for r in evaluation.references if r.table in wanted],
        "possible_foreign_keys": [_reference(r) for r in evaluation.possible if r.table in wanted],
        "polymorphic": [p for p in evaluation.polymorphic if p["table"] in wanted],
    }


def _reference(reference: Reference) -> dict[str, Any]:
    return {
        "table": reference.table,
        "columns": list(reference.columns),
        "ref_table": reference.ref_table,
        "ref_columns": list(reference.ref_columns),
        "confidence": round(reference.confidence, 3),
        "status": status(reference.confidence),
        "evidence": list(reference.evidence),
    }


def _table(schema: str, name: str, table: TableVerdict) -> dict[str, Any]:
    confidence = round(table.verdict.confidence, 3)
    return {
        "role": table.verdict.role,
        "confidence": confidence,
        "status": status(confidence),
        "role_confidence": confidence,
        "primary_key": list(table.primary_key),
        "pk_confidence": table.key_confidence,
        "alternate_keys": [list(k) for k in table.alternate_keys],
        "grain": table.grain,
        "name": table.name,
        "description": table.description,
        "evidence": [*table.verdict.evidence, *table.key_evidence],
        "advice": advice_on_table(schema, name, table),
        "columns": {c: _column(schema, name, c, v) for c, v in table.columns.items()},
    }


def _column(schema: str, table: str, name: str, column: ColumnVerdict) -> dict[str, Any]:
    confidence = round(column.verdict.confidence, 3)
    return {
        "role": column.verdict.role,
        "confidence": confidence,
        "status": status(confidence),
        "sensitive": column.sensitive,
        "sensitive_confidence": column.sensitive_confidence,
        "secret": column.secret,
        "name": column.name,
        "description": column.description,
        "evidence": [*column.verdict.evidence, *column.sensitive_evidence],
        "advice": advice_on_column(schema, table, name, column),
    }


def advice_on_table(schema: str, name: str, table: TableVerdict) -> str:
    """What a person can do; empty where nothing is needed."""
    if status(table.verdict.confidence) != "green":
        return (
            f"Is {name} {_a(table.verdict.role)}? Say what it is: "
            f"COMMENT ON TABLE {schema}.{name} IS '{table.verdict.role}: …'"
        )
    if not table.primary_key:
        return f"Which columns identify a row of {name}? dataplatform auto-dw ask --schema {schema}"
    if status(table.key_confidence) != "green":
        return f"Do {', '.join(table.primary_key)} identify a row of {name}? dataplatform auto-dw ask --schema {schema}"
    return ""


def _a(role: str) -> str:
    if role == "other":
        return "none of fact, dimension, bridge and lookup"
    return f"an {role}" if role == "attribute" else f"a {role}"


def advice_on_column(schema: str, table: str, name: str, column: ColumnVerdict) -> str:
    if column.secret:
        return "It is left out of the warehouse."
    if status(column.verdict.confidence) != "green":
        return (
            f"Is {name} {_a(column.verdict.role)}? Say what it means: "
            f"COMMENT ON COLUMN {schema}.{table}.{name} IS '…'"
        )
    if column.sensitive:
        return "It is left out of the warehouse, unless metadata/auto_dw.yaml says `hash`, `mask` or `keep` for it."
    return ""
