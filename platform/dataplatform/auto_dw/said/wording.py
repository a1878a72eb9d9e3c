"""Names and descriptions that an LLM gave: kept by table, so that plans and builds have them without asking."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from dataplatform.auto_dw.judge.verdicts import ColumnVerdict, Evaluation, TableVerdict
from dataplatform.auto_dw.look.profiles import SchemaProfile, TableProfile
from dataplatform.auto_dw.said import answers


def keep(
    conn: sa.Connection, model: str, schema: SchemaProfile, before: Evaluation, after: Evaluation
) -> None:
    """What the LLM added to the evaluation; what was said before, by a person or by it, stays."""
    ids = {name: _id(schema.name, table) for name, table in schema.tables.items()}
    known = answers.known_answers(conn, list(ids.values()))
    for name, verdict in after.tables.items():
        words = _added(before.tables[name], verdict)
        if words:
            old = known.get(ids[name], {})
            columns = {**old.get("columns", {}), **words.pop("columns", {})}
            answers.put_answer(conn, ids[name], model, {**old, **words, "columns": columns}, 0)


def applied(conn: sa.Connection, schema: SchemaProfile, evaluation: Evaluation) -> Evaluation:
    """The evaluation with the words that are kept, where nobody said anything."""
    ids = {_id(schema.name, table): name for name, table in schema.tables.items()}
    words = {ids[id_]: body for id_, body in answers.known_answers(conn, list(ids)).items()}
    tables = {n: _worded(v, words[n]) if n in words else v for n, v in evaluation.tables.items()}
    return replace(evaluation, tables=tables)


def _id(schema: str, table: TableProfile) -> str:
    return f"words {structure(schema, table)}"


def structure(schema: str, table: TableProfile) -> str:
    """A hash that is the same as long as the table has the same columns, whatever becomes of its rows."""
    columns = ",".join(sorted(f"{c.name} {c.type}" for c in table.columns))
    return hashlib.blake2b(f"{schema}.{table.name}({columns})".encode(), digest_size=16).hexdigest()


def _added(before: TableVerdict, after: TableVerdict) -> dict[str, Any]:
    """The words that are new."""
    columns = {n: new for n, column in after.columns.items() if (new := _new(before.columns[n], column))}
    return _new(before, after) | ({"columns": columns} if columns else {})


def _new(before: TableVerdict | ColumnVerdict, after: TableVerdict | ColumnVerdict) -> dict[str, Any]:
    words = {"name": (before.name, after.name), "description": (before.description, after.description)}
    return {key: new for key, (old, new) in words.items() if new and not old}


def _worded(table: TableVerdict, words: Mapping[str, Any]) -> TableVerdict:
    said: Mapping[str, Mapping[str, str]] = words["columns"]
    columns = {n: replace(c, **_missing(c, said[n])) if n in said else c for n, c in table.columns.items()}
    return replace(table, columns=columns, **_missing(table, words))


def _missing(verdict: TableVerdict | ColumnVerdict, words: Mapping[str, str]) -> dict[str, Any]:
    description = verdict.description or words.get("description", "")
    return {"name": verdict.name or words.get("name", ""), "description": description}
