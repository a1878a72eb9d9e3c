"""What people do: describe, answer questions, leave tables out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, get_args

import sqlalchemy as sa

from dataplatform.auto_dw.judge.choose import POSSIBLE
from dataplatform.auto_dw.judge.report import GREEN, status
from dataplatform.auto_dw.judge.verdicts import Evaluation, TableVerdict, Verdict
from dataplatform.auto_dw.look.profiles import Reference, SchemaProfile, TableProfile
from dataplatform.auto_dw.said import decisions
from dataplatform.auto_dw.said.decisions import NOTHING, ColumnDecision, ColumnRole, TableDecision, TableRole
from dataplatform.auto_dw.workspace import Workspace
from dataplatform.errors import MetadataError
from dataplatform.names import SYSTEM_PREFIX, qualified, quote
from dataplatform.storage.postgres import raw_connection, transaction


def describe(workspace: Workspace, target: str, text: str) -> None:
    """Writes the COMMENT of `table` or `table.column`; raises MetadataError where there is no such thing."""
    schema = workspace.schema
    table, _, column = target.removeprefix(f"{schema}.").partition(".")
    with transaction(workspace.engine) as conn:
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


def omit(workspace: Workspace, patterns: Sequence[str]) -> list[str]:
    """Adds patterns of the shell to those of the tables left out; returns all that are left out then."""
    before = decisions.load(workspace.root).of(workspace.schema).omit
    return _left_out(workspace, before, tuple(dict.fromkeys([*before, *patterns])))


def include(workspace: Workspace, patterns: Sequence[str]) -> list[str]:
    """Takes away patterns, and those that they match; returns all that are left out then."""
    before = decisions.load(workspace.root).of(workspace.schema).omit
    after = tuple(p for p in before if p not in patterns and not any(fnmatchcase(p, q) for q in patterns))
    return _left_out(workspace, before, after)


def _left_out(workspace: Workspace, before: tuple[str, ...], after: tuple[str, ...]) -> list[str]:
    if after != before:
        decisions.change(workspace.root, workspace.schema, omit=after)
    return list(after)


@dataclass(frozen=True)
class Question:
    """Something to ask. `kind` is role, key, reference, private or column_role; `draft` the likely answer."""

    kind: str
    table: str
    column: str
    text: str
    draft: str
    legal: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def questions(schema: SchemaProfile, evaluation: Evaluation) -> list[Question]:
    """What is not green, what matters most first: roles, keys, references, privacy, columns; not of dp_… columns."""
    tables = evaluation.tables.items()
    roles = [_about_role(name, table) for name, table in tables if _is_unclear(table.verdict)]
    keys = [_about_key(schema.tables[name], table) for name, table in tables if _is_key_unclear(table)]
    columns = [
        _about_column(name, column, verdict.verdict)
        for name, table in tables
        for column, verdict in table.columns.items()
        if _is_unclear(verdict.verdict) and not column.startswith(SYSTEM_PREFIX)
    ]
    return [*roles, *keys, *_about_references(evaluation), *_about_privacy(evaluation), *columns]


def _about_references(evaluation: Evaluation) -> list[Question]:
    """One for each column that may refer, with all that it may refer to, the likeliest first."""
    single = [r for r in (*evaluation.references, *evaluation.possible) if len(r.columns) == 1]
    sure = {(r.table, r.columns) for r in single if status(r.confidence) == "green"}
    found: dict[tuple[str, str], list[Reference]] = {}
    for reference in sorted(single, key=lambda r: -r.confidence):
        place = reference.table, reference.columns[0]
        if (reference.table, reference.columns) not in sure and not place[1].startswith(SYSTEM_PREFIX):
            found.setdefault(place, []).append(reference)
    return [_about_reference(table, column, own) for (table, column), own in found.items()]


def _about_reference(table: str, column: str, likely: Sequence[Reference]) -> Question:
    targets = tuple(dict.fromkeys(f"{r.ref_table}.{r.ref_columns[0]}" for r in likely))
    text = f"What does {table}.{column} refer to ({'; '.join(likely[0].evidence)})?"
    return Question("reference", table, column, text, targets[0], (*targets, NOTHING))


def _about_privacy(evaluation: Evaluation) -> list[Question]:
    return [
        Question(
            "private",
            table,
            column,
            f"Are the values of {table}.{column} private ({'; '.join(found.sensitive_evidence)})?",
            "yes" if found.sensitive else "no",
            ("yes", "no"),
        )
        for table, verdict in evaluation.tables.items()
        for column, found in verdict.columns.items()
        if POSSIBLE <= found.sensitive_confidence < GREEN and not found.secret
    ]


def _is_unclear(verdict: Verdict) -> bool:
    return status(verdict.confidence) != "green"


def _is_key_unclear(table: TableVerdict) -> bool:
    if any(column.startswith(SYSTEM_PREFIX) for column in table.primary_key):
        return False  # the platform made it, and knows
    return not table.primary_key or status(table.key_confidence) != "green"


def _about_role(name: str, table: TableVerdict) -> Question:
    text = f"What is the table {name} ({'; '.join(table.verdict.evidence)})?"
    return Question("role", name, "", text, table.verdict.role, get_args(TableRole))


def _about_key(profile: TableProfile, table: TableVerdict) -> Question:
    text, draft = f"Which columns identify a row of {profile.name}?", ", ".join(table.primary_key)
    legal = tuple(name for name in profile.by_name if not name.startswith(SYSTEM_PREFIX))
    return Question("key", profile.name, "", text, draft, legal)


def _about_column(table: str, column: str, verdict: Verdict) -> Question:
    text = f"What is {table}.{column} ({'; '.join(verdict.evidence)})?"
    return Question("column_role", table, column, text, verdict.role, get_args(ColumnRole))


def answer(workspace: Workspace, question: Question, said: str) -> None:
    """Keeps a decision in metadata/auto_dw.yaml; `y` takes the draft, so does `yes` where it is no answer.

    Raises MetadataError for an illegal one.
    """
    said = said.strip()
    if said not in question.legal and said.lower() in ("y", "yes", ""):
        said = question.draft
    before = decisions.load(workspace.root).of(workspace.schema).tables
    table = before.get(question.table, TableDecision())
    if question.kind == "key":
        table = table.model_copy(update={"primary_key": _columns_named(question, said)})
    elif said not in question.legal:
        raise MetadataError(f"{said!r} is no answer to that", f"legal: {', '.join(question.legal)}")
    elif question.kind == "role":
        table = table.model_copy(update={"role": said})
    else:
        column = table.columns.get(question.column, ColumnDecision()).model_copy(
            update=_of_column(question, said)
        )
        table = table.model_copy(update={"columns": {**table.columns, question.column: column}})
    decisions.change(workspace.root, workspace.schema, tables={**before, question.table: table})


def _of_column(question: Question, said: str) -> dict[str, Any]:
    if question.kind == "private":
        return {"sensitive": said == "yes"}
    return {"references": said} if question.kind == "reference" else {"role": said}


def _columns_named(question: Question, said: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in said.split(",") if part.strip())
    unknown = [n for n in names if n not in question.legal]
    if unknown or not names:
        raise MetadataError(
            f"{question.table} has no column {', '.join(unknown) or '(none named)'}",
            f"its columns: {', '.join(question.legal)}",
        )
    return names
