"""What people do: describe, answer questions, leave tables out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from dataplatform.auto_dw import decisions as kept
from dataplatform.auto_dw.model import Evaluation, SchemaProfile
from dataplatform.auto_dw.report import status
from dataplatform.errors import MetadataError
from dataplatform.names import qualified, quote
from dataplatform.storage.postgres import database_errors, raw_connection


def describe(engine: Engine, schema: str, target: str, text: str) -> None:
    """Writes the COMMENT of `table` or `table.column`; raises MetadataError where there is no such thing."""
    table, _, column = target.removeprefix(f"{schema}.").partition(".")
    with database_errors(engine), engine.begin() as conn:
        inspector = sa.inspect(conn)
        if not (inspector.has_table(table, schema=schema)):
            raise MetadataError(f"there is no table {schema}.{table}", "dataplatform auto-dw evaluate")
        columns = [c["name"] for c in inspector.get_columns(table, schema=schema)]
        if column and column not in columns:
            raise MetadataError(
                f"{schema}.{table} has no column {column}", f"its columns: {', '.join(columns)}"
            )
        name = qualified(schema, table)
        what = f"column {name}.{quote(column)}" if column else f"table {name}"
        literal = raw_connection(conn).execute("select quote_literal(%s)", (text,)).fetchone()
        assert literal is not None
        conn.exec_driver_sql(f"comment on {what} is {literal[0].replace('%', '%%')}")


def omit(root: Path, schema: str, patterns: list[str], out: bool) -> list[str]:
    """Adds patterns to those left out, or takes them away; returns what is left out then."""
    decisions = kept.load(root)
    before = decisions.of(schema).omit
    if out:
        after = tuple(dict.fromkeys([*before, *patterns]))
    else:
        after = tuple(p for p in before if p not in patterns and not any(fnmatchcase(p, q) for q in patterns))
    if after != before:
        kept.save(root, kept.with_schema(decisions, schema, omit=after))
    return list(after)


@dataclass(frozen=True)
class Question:
    """Something to ask. `kind` is role, key or column_role; `draft` the likely answer."""

    kind: str
    table: str
    column: str
    text: str
    draft: str
    legal: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def questions(schema: SchemaProfile, found: Evaluation) -> list[Question]:
    """What is not green, what matters most first: roles of tables, keys, then columns."""
    roles, keys, columns = [], [], []
    for name, table in found.tables.items():
        if status(table.verdict.confidence) != "green":
            legal = ("fact", "dimension", "bridge", "lookup", "other")
            roles.append(Question("role", name, "", f"What is the table {name} ({'; '.join(table.verdict.evidence)})?",
                                  table.verdict.role, legal))  # fmt: skip
        if not table.primary_key or status(table.key_confidence) != "green":
            draft = ", ".join(table.primary_key)
            keys.append(Question("key", name, "", f"Which columns identify a row of {name}?", draft,
                                 tuple(schema.tables[name].by_name)))  # fmt: skip
        for column, verdict in table.columns.items():
            if status(verdict.verdict.confidence) != "green":
                legal = ("key", "foreign_key", "measure", "attribute", "timestamp")
                why = "; ".join(verdict.verdict.evidence)
                columns.append(Question("column_role", name, column, f"What is {name}.{column} ({why})?",
                                        verdict.verdict.role, legal))  # fmt: skip
    return [*roles, *keys, *columns]


def answer(root: Path, schema: str, question: Question, said: str) -> None:
    """Keeps a decision in metadata/auto_dw.yaml; `y` takes the draft. Raises MetadataError for an illegal one."""
    said = question.draft if said.strip().lower() in ("y", "yes", "") else said.strip()
    decisions = kept.load(root)
    own = decisions.of(schema)
    table = own.tables.get(question.table, kept.TableDecision())
    if question.kind == "key":
        names = tuple(part.strip() for part in said.split(",") if part.strip())
        unknown = [n for n in names if n not in question.legal]
        if unknown or not names:
            raise MetadataError(
                f"{question.table} has no column {', '.join(unknown) or '(none named)'}",
                f"its columns: {', '.join(question.legal)}",
            )
        table = table.model_copy(update={"primary_key": names})
    else:
        if said not in question.legal:
            raise MetadataError(f"{said!r} is no answer to that", f"legal: {', '.join(question.legal)}")
        if question.kind == "role":
            table = table.model_copy(update={"role": said})
        else:
            column = table.columns.get(question.column, kept.ColumnDecision()).model_copy(
                update={"role": said}
            )
            table = table.model_copy(update={"columns": {**table.columns, question.column: column}})
    tables = {**own.tables, question.table: table}
    kept.save(root, kept.with_schema(decisions, schema, tables=tables))
