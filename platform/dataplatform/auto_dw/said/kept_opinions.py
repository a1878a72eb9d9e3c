"""What an LLM said of tables, kept by model and table: plans, questions and builds know it without asking again.

As long as the table has the same columns, whatever becomes of its rows; another model, or none, knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from dataplatform.auto_dw.look.profiles import SchemaProfile
from dataplatform.auto_dw.said import answers
from dataplatform.auto_dw.said.opinions import Answers, ColumnAnswer, TableAnswer
from dataplatform.auto_dw.said.wording import structure


def keep(conn: sa.Connection, model: str, schema: SchemaProfile, said: Mapping[str, Answers]) -> None:
    """What is said of a table now takes the place of what was said before."""
    for name, about in said.items():
        body = {
            "table": [answer.model_dump(exclude={"columns"}) for answer in about.table],
            "columns": {n: [column.model_dump() for column in found] for n, found in about.columns.items()},
        }
        answers.put_answer(conn, _id(model, schema, name), model, body, 0)


def kept(conn: sa.Connection, model: str, schema: SchemaProfile) -> dict[str, Answers]:
    """By table."""
    ids = {_id(model, schema, name): name for name in schema.tables}
    return {ids[id_]: _read(body) for id_, body in answers.known_answers(conn, list(ids)).items()}


def _id(model: str, schema: SchemaProfile, table: str) -> str:
    return f"opinion {structure(schema.name, schema.tables[table])} {model}"


def _read(body: Mapping[str, Any]) -> Answers:
    return Answers(
        [TableAnswer.model_validate(answer) for answer in body["table"]],
        {n: [ColumnAnswer.model_validate(column) for column in said] for n, said in body["columns"].items()},
    )
